//! A call, and everything that can be wrong with one.

use abi::number as own;
use abi::redox::flag::StdFsCallKind;
use abi::redox::number::*;
use host_stories::*;
use kernel_core::syscall::ROWS;

#[test]
fn a_program_can_make_a_call() {
    story_on_any(|user| assert_eq!(user.pid(), 1));
}

#[test]
fn an_unknown_call_is_an_error_and_logged_once() {
    let finished = story(|user| {
        for number in [0, 1, 0x4000_0FFF, usize::MAX] {
            assert_eq!(user.call(number, []), error(ENOSYS));
        }
    });
    assert_eq!(finished.log.matches("invalid number").count(), 1, "{}", finished.log);
}

/// Pointers that lead nowhere: null, the first byte of the user half, one past its end, the
/// kernel, the end of the address space. (Nothing is mapped at the first byte.)
const NOWHERE: [usize; 7] =
    [0, 8, USER_START, USER_END, 1 << 47, 0xFFFF_8000_0000_0000, usize::MAX - 7];

/// What a pointer that leads nowhere may be answered with.
const REFUSALS: [i32; 5] = [EFAULT, EINVAL, ENAMETOOLONG, E2BIG, ENOMEM];

/// How a call is made so that only its pointer is wrong.
struct Try {
    name: &'static str,
    /// The arguments, with 0 where the pointer goes.
    arguments: [usize; 6],
    /// Which argument is the pointer.
    pointer: usize,
    /// Which argument is its length, if it has one.
    length: Option<usize>,
    /// Whether null means "not wanted".
    may_be_null: bool,
}

/// Every pointer of every call. `fd` can be read and written, `word` is a good address.
fn pointers(fd: usize, word: usize) -> Vec<Try> {
    let must = |name, arguments, pointer, length| Try {
        name,
        arguments,
        pointer,
        length,
        may_be_null: false,
    };
    let may = |name, arguments, pointer| Try {
        name,
        arguments,
        pointer,
        length: None,
        may_be_null: true,
    };
    let map = size_of::<Map>();
    let get_status = CallFlags::STD_FS.bits() | 1;
    let socket = 60;
    vec![
        must("read", [fd, 0, 64, 0, 0, 0], 1, Some(2)),
        must("write", [fd, 0, 64, 0, 0, 0], 1, Some(2)),
        must("read2", [fd, 0, 64, usize::MAX, 0, 0], 1, Some(2)),
        must("write2", [fd, 0, 64, usize::MAX, 0, 0], 1, Some(2)),
        must("open", [0, 64, O_RDONLY, 0, 0, 0], 0, Some(1)),
        must("openat", [fd, 0, 64, O_RDONLY, LOWEST_FREE, 0], 1, None),
        must("dup", [fd, 0, 64, LOWEST_FREE, 0, 0], 1, Some(2)),
        must("dup2", [fd, 50, 0, 64, 0, 0], 2, Some(3)),
        must("fstat", [fd, 0, size_of::<abi::redox::data::Stat>(), 0, 0, 0], 1, None),
        must("fpath", [fd, 0, 64, 0, 0, 0], 1, Some(2)),
        must("frename", [fd, 0, 64, 0, 0, 0], 1, Some(2)),
        must("flink", [fd, 0, 64, 0, 0, 0], 1, Some(2)),
        must("unlinkat", [fd, 0, 64, 0, 0, 0], 1, Some(2)),
        must("unlink", [0, 64, 0, 0, 0, 0], 0, Some(1)),
        must("call", [fd, word, 100, get_status, 0, 0], 4, None),
        must("call", [fd, 0, 100, get_status, word, 0], 1, None),
        must("register_scheme", [socket, 0, 64, socket, 0, 0], 1, Some(2)),
        must("mmap", [ANONYMOUS, 0, map, 0, 0, 0], 1, None),
        must("munmap", [0, PAGE_SIZE, 0, 0, 0, 0], 0, Some(1)),
        must("mprotect", [0, PAGE_SIZE, 0, 0, 0, 0], 0, Some(1)),
        must("msync", [0, PAGE_SIZE, 0, 0, 0, 0], 0, Some(1)),
        must("futex", [0, 0, 0, 0, 0, 0], 0, None),
        may("futex", [word, 0, 0, 0, 0, 0], 3),
        must("nanosleep", [0, 0, 0, 0, 0, 0], 0, None),
        must("clock_gettime", [CLOCK_MONOTONIC, 0, 0, 0, 0, 0], 1, None),
        must("exec", [0; 6], 0, None),
        may("wait", [usize::MAX, 0, 0, 0, 0, 0], 1),
        must("getids", [0; 6], 0, None),
        must("setids", [0; 6], 0, None),
        must("chdir", [0, 64, 0, 0, 0, 0], 0, Some(1)),
        must("getcwd", [0, 64, 0, 0, 0, 0], 0, Some(1)),
        must("thread_new", [0; 6], 0, None),
        may("thread_exit", [0; 6], 2),
        may("sigaction", [SIGUSR1, 0, 0, 0, 0, 0], 1),
        may("sigaction", [SIGUSR1, 0, 0, 0, 0, 0], 2),
        may("sigaltstack", [0; 6], 0),
        may("sigaltstack", [0; 6], 1),
        may("sigprocmask", [0; 6], 1),
        may("sigprocmask", [0; 6], 2),
        must("sigpending", [0; 6], 0, None),
        must("sigsuspend", [0; 6], 0, None),
        must("sigtimedwait", [0; 6], 0, None),
        may("sigtimedwait", [word, 0, 0, 0, 0, 0], 2),
        must("read_masked", [fd, 0, 64, word, 0, 0], 1, None),
        must("read_masked", [fd, word, 64, 0, 0, 0], 3, None),
        may("settimer", [0; 6], 0),
        may("settimer", [0; 6], 1),
        may("timer_set", [0; 6], 1),
        may("timer_set", [0; 6], 2),
        must("discard", [0, PAGE_SIZE, 0, 0, 0, 0], 0, Some(1)),
    ]
}

/// Calls without a pointer.
const NO_POINTERS: [&str; 24] = [
    "timer_missed",
    "sigqueue",
    "timer_new",
    "timer_end",
    "close",
    "lseek",
    "fcntl",
    "fsync",
    "fevent",
    "fchown",
    "yield",
    "exit",
    "fork",
    "getpid",
    "getppid",
    "gettid",
    "getpgid",
    "setpgid",
    "getsid",
    "setsid",
    "kill",
    "tgkill",
    "umask",
    "sigreturn",
];

fn number_of(name: &str) -> usize {
    ROWS.iter().find(|row| row.name == name).unwrap_or_else(|| panic!("no call {name}")).number
}

#[test]
fn every_call_is_in_the_list_of_pointers_or_has_none() {
    let with: Vec<_> = pointers(0, 0).iter().map(|entry| entry.name).collect();
    for row in ROWS {
        let is_listed = with.contains(&row.name) != NO_POINTERS.contains(&row.name);
        assert!(is_listed, "{} must be in one of the two lists", row.name);
    }
}

/// Makes sure that there are descriptors for every kind of call, and returns one that can be read
/// and written: a pipe's read end for some calls and a directory for others will not do.
fn prepare(user: &mut User) -> (usize, usize) {
    let server = user.serve("bad");
    user.dup2(server.fd, 60).expect("there is room");
    let word = user.allocate(PAGE_SIZE);
    user.store_word(word, StdFsCallKind::Fstat as usize);
    let log = user.open("sys:log", O_RDWR).expect("root may");
    (log, word)
}

#[test]
fn a_pointer_that_leads_nowhere_is_an_error_in_every_call() {
    story(|user| {
        let (fd, word) = prepare(user);
        for Try { name, arguments, pointer, may_be_null, .. } in pointers(fd, word) {
            for place in NOWHERE {
                if place == 0 && may_be_null {
                    continue;
                }
                // `wait` needs a child that has ended.
                let child = (name == "wait").then(|| user.fork(|_| {}));
                let mut arguments = arguments;
                arguments[pointer] = place;
                let answer = user.call(number_of(name), arguments);
                let is_refused = matches!(answer, Err(Errno(errno)) if REFUSALS.contains(&errno));
                let is_mapped_lazily =
                    matches!(name, "munmap" | "mprotect" | "msync") && place == USER_START;
                let starts_a_thread = name == "thread_new" && place == USER_START;
                assert!(
                    is_refused || is_mapped_lazily || starts_a_thread,
                    "{name} with argument {pointer} at {place:#x}: {answer:?}"
                );
                child.map(|child| user.wait_for(child));
                if starts_a_thread {
                    return;
                }
            }
        }
    });
}

#[test]
fn a_length_beyond_all_memory_is_an_error_in_every_call() {
    story(|user| {
        let (fd, word) = prepare(user);
        let huge = [usize::MAX, usize::MAX - 7, usize::MAX - word + 1, 1 << 47, USER_END, 1 << 40];
        for Try { name, arguments, pointer, length, .. } in pointers(fd, word) {
            let Some(length) = length else { continue };
            for size in huge {
                let mut arguments = arguments;
                (arguments[pointer], arguments[length]) = (word, size);
                let ended = fate(user, move |user| {
                    let answer = user.call(number_of(name), arguments);
                    // A text ends before the buffer does, and what is not mapped may be unmapped.
                    let may_be_long = ["read", "read2", "fpath", "getcwd", "munmap"];
                    let is_fine = may_be_long.contains(&name) && size <= USER_END - word;
                    assert!(answer.is_err() || is_fine, "{name} with length {size:#x}: {answer:?}");
                });
                assert_eq!(ended, Ended::Exited(0), "{name} with length {size:#x}");
            }
        }
    });
}

#[test]
fn a_descriptor_that_is_not_open_is_an_error_in_every_call() {
    story(|user| {
        let word = user.allocate(PAGE_SIZE);
        user.store(word, b"some path");
        let map = Map {
            offset: 0,
            size: PAGE_SIZE,
            flags: MapFlags::PROT_READ | MapFlags::MAP_PRIVATE,
            address: 0,
        };
        let good_map = user.allocate(PAGE_SIZE);
        user.store(good_map, &map);
        for bad in [99, abi::FD_MAX, 1 << 32, usize::MAX - 1] {
            for (number, arguments) in [
                (SYS_READ, [bad, word, 8, 0, 0, 0]),
                (SYS_WRITE, [bad, word, 8, 0, 0, 0]),
                (SYS_READ2, [bad, word, 8, 0, 0, 0]),
                (SYS_WRITE2, [bad, word, 8, 0, 0, 0]),
                (SYS_OPENAT_INTO2, [bad, word, 9, O_RDONLY, LOWEST_FREE, 0]),
                (SYS_CLOSE, [bad, 0, 0, 0, 0, 0]),
                (SYS_DUP_INTO, [bad, word, 0, LOWEST_FREE, 0, 0]),
                (SYS_DUP2, [bad, 40, 0, 0, 0, 0]),
                (SYS_LSEEK, [bad, 0, 0, 0, 0, 0]),
                (SYS_FCNTL, [bad, 1, 0, 0, 0, 0]),
                (SYS_FSTAT, [bad, word, size_of::<abi::redox::data::Stat>(), 0, 0, 0]),
                (SYS_FSYNC, [bad, 0, 0, 0, 0, 0]),
                (SYS_FPATH, [bad, word, 64, 0, 0, 0]),
                (SYS_FEVENT, [bad, 1, 0, 0, 0, 0]),
                (SYS_FCHOWN, [bad, 1, 1, 0, 0, 0]),
                (SYS_FRENAME, [bad, word, 9, 0, 0, 0]),
                (SYS_FLINK, [bad, word, 9, 0, 0, 0]),
                (SYS_UNLINKAT, [bad, word, 9, 0, 0, 0]),
                (SYS_CALL, [bad, word, 9, 0, 0, 0]),
                (SYS_FMAP, [bad, good_map, size_of::<Map>(), 0, 0, 0]),
                (own::REGISTER_SCHEME, [bad, word, 4, 0, 0, 0]),
            ] {
                let name = ROWS.iter().find(|row| row.number == number).map(|row| row.name);
                assert_eq!(user.call(number, arguments), error(EBADF), "{name:?} with {bad:#x}");
            }
        }
    });
}
