//! Pointers that lead nowhere, in every argument that takes one.

use crate::trial::{Places, in_child};
use guest::abi::exec::ExecArgs;
use guest::abi::number::*;
use guest::abi::redox::data::{Event, Map, Stat, TimeSpec};
use guest::abi::redox::error::*;
use guest::abi::redox::flag::*;
use guest::abi::redox::number::*;
use guest::abi::{ANONYMOUS, LOWEST_FREE};
use guest::call::{answer, call5};
use guest::event::Queue;
use guest::file::{File, open, pipe};
use guest::process::{Child, Ended, wait};
use guest::program::{HELLO, build, exec_with};
use guest::report::{Check, equal, holds, refused};
use guest::signal::SIGUSR1;

/// A call with five arguments.
type Call = (usize, [usize; 5]);

fn make((number, [a, b, c, d, e]): Call) -> guest::Result<usize> {
    // SAFETY: what the calls fill is ours or nobody's.
    answer(unsafe { call5(number, a, b, c, d, e) })
}

/// Where in a call the pointer goes, and whether the kernel writes through it.
struct Place {
    what: &'static str,
    call: Call,
    index: usize,
    is_written: bool,
}

/// Open files that the calls need to get as far as their pointers.
struct Files {
    reader: File,
    writer: File,
    text: File,
    directory: File,
    queue: Queue,
    clock: File,
    namespace: File,
}

impl Files {
    fn new() -> guest::Result<Self> {
        let (reader, writer) = pipe()?;
        writer.write(&[7; 100])?;
        let queue = Queue::new(O_NONBLOCK)?;
        queue.watch(reader.0, EventFlags::EVENT_READ, 1)?;
        Ok(Self {
            reader,
            writer,
            text: open("sys:uname", O_RDONLY)?,
            directory: open("sys:", O_RDONLY)?,
            queue,
            clock: open("time:4", O_RDWR)?,
            namespace: open("namespace:", O_RDWR)?,
        })
    }

    fn places(&self) -> Vec<Place> {
        let read = |what, number, args, index| Place {
            what,
            call: (number, args),
            index,
            is_written: false,
        };
        let written = |what, number, args, index| Place {
            is_written: true,
            ..read(what, number, args, index)
        };
        let event = size_of::<Event>();
        let (stat, time) = (size_of::<Stat>(), size_of::<TimeSpec>());
        let map = size_of::<Map>();
        static NO_SIGNALS: u64 = 0;
        let mask = &raw const NO_SIGNALS as usize;
        let getdents = CallFlags::STD_FS.bits() | CallFlags::READ.bits() | 3;
        vec![
            written("read pipe", SYS_READ, [self.reader.0, 0, 64, 0, 0], 1),
            written("read text", SYS_READ, [self.text.0, 0, 64, 0, 0], 1),
            written("read events", SYS_READ, [self.queue.0.0, 0, event, 0, 0], 1),
            written("read clock", SYS_READ, [self.clock.0, 0, time, 0, 0], 1),
            written("read at", SYS_READ2, [self.text.0, 0, 8, 1, 0], 1),
            read("write pipe", SYS_WRITE, [self.writer.0, 0, 64, 0, 0], 1),
            read("write events", SYS_WRITE, [self.queue.0.0, 0, event, 0, 0], 1),
            read("write clock", SYS_WRITE, [self.clock.0, 0, time, 0, 0], 1),
            read("open", OPEN, [0, 9, O_RDONLY, 0, 0], 0),
            read("openat", SYS_OPENAT_INTO2, [self.directory.0, 0, 5, 0, LOWEST_FREE], 1),
            read("dup", SYS_DUP_INTO, [self.reader.0, 0, 5, LOWEST_FREE, 0], 1),
            read("dup2", SYS_DUP2, [self.reader.0, 500, 0, 5, 0], 2),
            written("fstat", SYS_FSTAT, [self.text.0, 0, stat, 0, 0], 1),
            written("fpath", SYS_FPATH, [self.text.0, 0, 64, 0, 0], 1),
            read("frename", SYS_FRENAME, [self.text.0, 0, 9, 0, 0], 1),
            read("flink", SYS_FLINK, [self.text.0, 0, 9, 0, 0], 1),
            read("unlink", UNLINK, [0, 9, 0, 0, 0], 0),
            read("unlinkat", SYS_UNLINKAT, [self.directory.0, 0, 9, 0, 0], 1),
            read("call, words", SYS_CALL, [self.directory.0, 0, 0, getdents, 0], 4),
            read("register", REGISTER_SCHEME, [self.namespace.0, 0, 5, self.namespace.0, 0], 1),
            read("mmap", SYS_FMAP, [ANONYMOUS, 0, map, 0, 0], 1),
            read("nanosleep", SYS_NANOSLEEP, [0; 5], 0),
            written("clock_gettime", SYS_CLOCK_GETTIME, [CLOCK_MONOTONIC, 0, 0, 0, 0], 1),
            written("getids", GETIDS, [0; 5], 0),
            read("setids", SETIDS, [0; 5], 0),
            read("chdir", CHDIR, [0, 9, 0, 0, 0], 0),
            written("getcwd", GETCWD, [0, 4096, 0, 0, 0], 0),
            read("sigaction, new", SIGACTION, [SIGUSR1, 0, 0, 0, 0], 1),
            written("sigaction, old", SIGACTION, [SIGUSR1, 0, 0, 0, 0], 2),
            read("sigprocmask, new", SIGPROCMASK, [0; 5], 1),
            written("sigprocmask, old", SIGPROCMASK, [0; 5], 2),
            written("sigpending", SIGPENDING, [0; 5], 0),
            read("sigsuspend", SIGSUSPEND, [0; 5], 0),
            read("sigtimedwait", SIGTIMEDWAIT, [0; 5], 0),
            written("read_masked", READ_MASKED, [self.text.0, 0, 64, mask, 0], 1),
            read("read_masked, mask", READ_MASKED, [self.text.0, mask, 8, 0, 0], 3),
            read("settimer, new", SETTIMER, [0; 5], 0),
            written("settimer, old", SETTIMER, [0; 5], 1),
            read("timer_set, new", TIMER_SET, [0; 5], 1),
            written("timer_set, old", TIMER_SET, [0; 5], 2),
            read("exec", EXEC, [0; 5], 0),
        ]
    }
}

/// Calls for which no pointer at all is a choice.
const MAY_BE_NULL: [&str; 8] = [
    "sigaction, new",
    "sigaction, old",
    "sigprocmask, new",
    "sigprocmask, old",
    "settimer, new",
    "settimer, old",
    "timer_set, new",
    "timer_set, old",
];

pub(crate) fn bad_pointers() -> Check {
    let (places, files) = (Places::new()?, Files::new()?);
    let mut bad = places.unreadable().to_vec();
    bad.extend([places.edge(), guest::abi::USER_END - 4, places.constant.address]);
    for place in files.places() {
        for address in bad.iter().copied() {
            let is_null = address == 0 && MAY_BE_NULL.contains(&place.what);
            let is_readable = address == places.constant.address && !place.is_written;
            // The root directory's name fits before the edge.
            let fits = address == places.edge() && place.what == "getcwd";
            if is_null || is_readable || fits {
                continue;
            }
            let mut call = place.call;
            call.1[place.index] = address;
            refused(&format!("{} at {address:#x}", place.what), make(call), EFAULT)?;
        }
    }
    futexes(&places)
}

/// A futex word must be aligned before it is looked at.
fn futexes(places: &Places) -> Check {
    for address in places.unreadable() {
        let aligned = address & !3;
        let call = (SYS_FUTEX, [aligned, FUTEX_WAIT, 0, 0, 0]);
        refused(&format!("futex at {aligned:#x}"), make(call), EFAULT)?;
        if address == 0 {
            continue; // no timeout
        }
        let call = (SYS_FUTEX, [places.good.address, FUTEX_WAIT, 0, address, 0]);
        refused(&format!("futex timeout at {address:#x}"), make(call), EFAULT)?;
    }
    Ok(())
}

pub(crate) fn bad_pointers_in_exec() -> Check {
    let places = Places::new()?;
    let (image, length) = build(&HELLO)?;
    let (args, path) = (b"a\0", b"/a");
    let good = ExecArgs {
        image: image.address,
        image_len: length,
        args: args.as_ptr() as usize,
        args_len: 2,
        args_count: 1,
        envs: args.as_ptr() as usize,
        envs_len: 2,
        envs_count: 1,
        path: path.as_ptr() as usize,
        path_len: 2,
    };
    for address in places.unreadable() {
        for (what, arguments) in [
            ("image", ExecArgs { image: address, ..good }),
            ("arguments", ExecArgs { args: address, args_len: 8, ..good }),
            ("environment", ExecArgs { envs: address, envs_len: 8, ..good }),
            ("path", ExecArgs { path: address, path_len: 8, ..good }),
        ] {
            let error = exec_with(&raw const arguments as usize);
            equal(&format!("exec: {what} at {address:#x}"), error.errno, EFAULT)?;
        }
    }
    Ok(())
}

/// What a failed call was about to hand over is still there.
pub(crate) fn nothing_is_lost() -> Check {
    let (reader, writer) = pipe()?;
    writer.write(b"kept")?;
    refused("read to null", make((SYS_READ, [reader.0, 0, 4, 0, 0])), EFAULT)?;
    let mut bytes = [0; 8];
    equal("bytes still in the pipe", reader.read(&mut bytes)?, 4)?;
    equal("which ones", &bytes[..4], b"kept")?;
    let queue = Queue::new(O_NONBLOCK)?;
    queue.watch(reader.0, EventFlags::EVENT_READ, 5)?;
    writer.write(b"x")?;
    let size = size_of::<Event>();
    refused("events to null", make((SYS_READ, [queue.0.0, 0, size, 0, 0])), EFAULT)?;
    equal("the event is still there", queue.take(&mut [Event::default()])?, 1)?;
    let child = std::mem::ManuallyDrop::new(Child::start(|| 33)?);
    refused("status to nowhere", make((WAIT, [child.pid, 16, 0, 0, 0])), EFAULT)?;
    let found = wait(child.pid as isize, 0)?;
    equal("the child is still there", found, Some((child.pid, Ended::Exited(33))))
}

pub(crate) fn misaligned() -> Check {
    let places = Places::new()?;
    for skew in 1..8 {
        let address = places.good.address + skew;
        make((SYS_CLOCK_GETTIME, [CLOCK_MONOTONIC, address, 0, 0, 0]))?;
        make((GETIDS, [address, 0, 0, 0, 0]))?;
        make((SIGPENDING, [address, 0, 0, 0, 0]))?;
        if skew % 4 != 0 {
            for operation in [FUTEX_WAIT, FUTEX_WAIT64] {
                let call = (SYS_FUTEX, [address, operation, 0, 0, 0]);
                refused("a misaligned futex", make(call), EINVAL)?;
            }
        }
    }
    Ok(())
}

pub(crate) fn huge_lengths() -> Check {
    let (places, files) = (Places::new()?, Files::new()?);
    let address = places.good.address;
    let wraps = 0usize.wrapping_sub(address);
    for length in [usize::MAX, isize::MAX as usize, 1 << 47, wraps, wraps + 4096] {
        for (what, number, args, wanted) in [
            ("read", SYS_READ, [files.reader.0, address, length, 0, 0], EFAULT),
            ("read text", SYS_READ, [files.text.0, address, length, 0, 0], EFAULT),
            ("read at", SYS_READ2, [files.text.0, address, length, 0, 0], EFAULT),
            ("write", SYS_WRITE, [files.writer.0, address, length, 0, 0], EFAULT),
            ("open", OPEN, [address, length, 0, 0, 0], ENAMETOOLONG),
            ("unlink", UNLINK, [address, length, 0, 0, 0], ENAMETOOLONG),
            ("chdir", CHDIR, [address, length, 0, 0, 0], ENAMETOOLONG),
            ("getcwd", GETCWD, [address, length, 0, 0, 0], EFAULT),
            ("dup", SYS_DUP_INTO, [files.reader.0, address, length, LOWEST_FREE, 0], E2BIG),
            ("fstat", SYS_FSTAT, [files.text.0, address, length, 0, 0], EINVAL),
            ("fpath", SYS_FPATH, [files.text.0, address, length, 0, 0], EFAULT),
            ("mmap", SYS_FMAP, [ANONYMOUS, address, length, 0, 0], EINVAL),
            ("munmap", SYS_FUNMAP, [address, length, 0, 0, 0], EINVAL),
            ("mprotect", SYS_MPROTECT, [address, length, 0, 0, 0], EINVAL),
            ("call", SYS_CALL, [files.directory.0, address, length, 0, 0], EFAULT),
        ] {
            refused(&format!("{what} of {length:#x}"), make((number, args)), wanted)?;
        }
    }
    // The user half has room for it, but nothing is there.
    let long = 1 << 40;
    refused("a long write", make((SYS_WRITE, [files.writer.0, address, long, 0, 0])), EFAULT)
}

pub(crate) fn zero_lengths() -> Check {
    in_child("nothing from nowhere", || {
        let (reader, writer) = pipe()?;
        let text = open("sys:uname", O_RDONLY)?;
        for (what, number, args) in [
            ("read", SYS_READ, [text.0, 0, 0, 0, 0]),
            ("read an empty pipe", SYS_READ, [reader.0, 0, 0, 0, 0]),
            ("write", SYS_WRITE, [writer.0, 0, 0, 0, 0]),
            ("fpath", SYS_FPATH, [text.0, 0, 0, 0, 0]),
        ] {
            equal(what, make((number, args)), Ok(0))?;
        }
        for (what, number, args, wanted) in [
            ("open", OPEN, [0; 5], EINVAL),
            ("unlink", UNLINK, [0; 5], EINVAL),
            ("chdir", CHDIR, [0; 5], EINVAL),
            ("getcwd", GETCWD, [0; 5], ERANGE),
            ("munmap", SYS_FUNMAP, [0x10_0000, 0, 0, 0, 0], EINVAL),
            ("mprotect", SYS_MPROTECT, [0x10_0000, 0, 0, 0, 0], EINVAL),
            ("mmap", SYS_FMAP, [ANONYMOUS, 0, 0, 0, 0], EINVAL),
        ] {
            refused(what, make((number, args)), wanted)?;
        }
        let copy = make((SYS_DUP_INTO, [text.0, 0, 0, LOWEST_FREE, 0]))?;
        holds("a copy of the descriptor", copy != text.0)
    })
}
