//! Every allocation of a frame is refused once, one after the other: whatever a program was doing
//! gets an error or ends, nothing is lost, and the same thing done again works.

use host_stories::*;
use kernel_core::memory::Frame;

/// What may be answered when something has run out.
const REFUSALS: [i32; 4] = [ENOMEM, EMFILE, EAGAIN, ENFILE];
/// How a child ends that was refused: with this status, or by touching memory that there is not.
const REFUSED: u8 = 3;

/// Something that needs memory.
type Work = fn(&mut User) -> Answer;

const WORKS: &[(&str, Work)] = &[
    ("private memory", |user| {
        let at = user.try_allocate(8 * PAGE_SIZE)?;
        user.fill(at, 8 * PAGE_SIZE, 1);
        user.unmap(at, 8 * PAGE_SIZE)
    }),
    ("shared memory", |user| {
        let flags = MapFlags::PROT_READ | MapFlags::PROT_WRITE | MapFlags::MAP_SHARED;
        let size = 6 * PAGE_SIZE;
        let at = user.map(ANONYMOUS, Map { offset: 0, size, flags, address: 0 })?;
        user.fill(at, size, 2);
        user.unmap(at, size)
    }),
    ("a fork and a copy of each page", |user| {
        let at = user.try_allocate(4 * PAGE_SIZE)?;
        user.fill(at, 4 * PAGE_SIZE, 3);
        let child = user.try_fork(move |user| user.fill(at, 4 * PAGE_SIZE, 4))?;
        match user.wait_for(child) {
            Ended::Exited(0) => Ok(0),
            Ended::Signalled(11) => error(ENOMEM),
            ended => panic!("{ended:?}"),
        }
    }),
    ("a thread", |user| {
        let thread = user.try_thread(|user| {
            user.with_stack_at(STACK_TOP - STACK_SIZE / 2, |user| user.sleep(1));
        })?;
        user.join(thread);
        Ok(0)
    }),
    ("a program", |user| {
        let program = user.program(|user| {
            let at = user.allocate(2 * PAGE_SIZE);
            user.fill(at, 2 * PAGE_SIZE, 1);
        });
        let child = user.try_fork(move |user| {
            let errno = user.exec("/bin/x", &program, &["x", "y"], &[]);
            assert_eq!(errno, Errno(ENOMEM));
            user.exit(REFUSED as usize);
        })?;
        match user.wait_for(child) {
            Ended::Exited(0) => Ok(0),
            Ended::Exited(REFUSED) | Ended::Signalled(11) => error(ENOMEM),
            ended => panic!("{ended:?}"),
        }
    }),
    ("a handler", |user| {
        user.on(SIGUSR1, 0, Action::run(|_, _| {}));
        let pid = user.pid();
        user.with_stack_at(STACK_TOP - STACK_SIZE / 2, |user| {
            user.call(abi::number::KILL, [pid, SIGUSR1])
        })
    }),
    ("pipes and events", |user| {
        let both = user.open("pipe:", O_RDWR)?;
        let queue = user.open("event:", O_RDWR)?;
        user.watch(queue, both, EventFlags::EVENT_READ, 7)?;
        user.close(queue)?;
        user.close(both)
    }),
    ("rights that change", |user| {
        let at = user.try_allocate(4 * PAGE_SIZE)?;
        user.fill(at, 4 * PAGE_SIZE, 1);
        user.protect(at + PAGE_SIZE, PAGE_SIZE, MapFlags::PROT_READ)?;
        user.unmap(at, 4 * PAGE_SIZE)
    }),
    ("another's memory", |user| {
        let at = user.try_allocate(PAGE_SIZE)?;
        let child = user.try_fork(|user| user.sleep(1_000))?;
        let file = user.open(&format!("proc:{child}/mem"), O_RDWR);
        let written = file.and_then(|file| {
            user.call(abi::redox::number::SYS_LSEEK, [file, at, 0])?;
            user.write(file, b"poked")
        });
        user.kill(child as isize, SIGKILL).expect("it is there");
        user.wait_for(child);
        written
    }),
    ("a mapped file", |user| {
        let file = user.open("library:x", O_RDWR)?;
        let flags = MapFlags::PROT_READ | MapFlags::PROT_WRITE;
        for kind in [MapFlags::MAP_PRIVATE, MapFlags::MAP_SHARED] {
            let map = Map { offset: 0, size: 64 * PAGE_SIZE, flags: flags | kind, address: 0 };
            let at = user.map(file, map)?;
            user.store(at + 40 * PAGE_SIZE, b"x");
            user.unmap(at, 64 * PAGE_SIZE)?;
        }
        user.close(file)
    }),
    ("a daemon's file", |user| {
        let file = user.open("notes:x", O_RDWR)?;
        user.write(file, b"hello")?;
        let text = user.read(file, 64)?;
        user.close(file)?;
        Ok(text.len())
    }),
];

/// A daemon with a file of 64 pages, which begins anew with each open file.
fn library(user: &mut User) -> usize {
    let mut at = 0;
    daemon(user, "library", move |user, _, request| match Opcode::try_from_raw(request.opcode) {
        Some(Opcode::OpenAt) => {
            at = user.allocate(64 * PAGE_SIZE);
            Some(Ok(1))
        }
        Some(Opcode::MmapPrep) => Some(Ok(at + request.args[3] as usize)),
        Some(Opcode::CloseMsg) => {
            user.unmap(at, 64 * PAGE_SIZE).expect("it is mapped");
            None
        }
        Some(Opcode::Cancel) => None,
        _ => Some(Ok(0)),
    })
}

/// Does it in a process of its own. Whether it was refused.
fn is_refused(user: &mut User, name: &str, work: Work) -> bool {
    let child = user.try_fork(move |user| match work(user) {
        Ok(_) => {}
        Err(Errno(errno)) if REFUSALS.contains(&errno) => user.exit(REFUSED as usize),
        Err(errno) => panic!("{errno:?}"),
    });
    let child = match child {
        Ok(child) => child,
        Err(Errno(errno)) => {
            assert!(REFUSALS.contains(&errno), "{name}: {errno}");
            return true;
        }
    };
    match user.wait_for(child) {
        Ended::Exited(0) => false,
        // A page of a file that cannot be lent is none.
        Ended::Exited(REFUSED) | Ended::Signalled(7 | 11) => true,
        ended => panic!("{name}: {ended:?}"),
    }
}

/// Takes all frames but so many that programs may have.
fn take_all_but(user: &User, left: usize) -> Vec<Frame> {
    user.peek(|kernel| {
        let free = kernel.frames.totals().free - kernel.frames.reserve();
        let taken = (left..free).map(|_| kernel.frames.allocate().expect("it is free"));
        taken.collect()
    })
}

fn give_back(user: &User, frames: Vec<Frame>) {
    user.peek(|kernel| frames.into_iter().for_each(|frame| kernel.frames.release(frame)));
}

#[test]
fn whichever_frame_is_refused_nothing_is_lost_and_again_it_works() {
    let mut refusals = 0;
    for &(name, work) in WORKS {
        let (sender, counts) = std::sync::mpsc::channel();
        System::new().memory(4 << 20).option("emergency=off").run(move |user| {
            let servers = [daemon(user, "notes", file_server(Notes::default())), library(user)];
            // Whatever is made once and kept.
            assert!(!is_refused(user, name, work));
            let mut count = 0;
            for left in 0.. {
                let free = user.peek(|kernel| kernel.frames.totals().free);
                let taken = take_all_but(user, left);
                let refused = is_refused(user, name, work);
                give_back(user, taken);
                // Children of whoever ended by it end by themselves.
                user.sleep(1_100);
                user.peek(|kernel| audit(kernel));
                assert!(!is_refused(user, name, work), "{name}: with memory again");
                let now = user.peek(|kernel| kernel.frames.totals().free);
                assert!(now >= free, "{name}: {} frames are gone at {left}", free - now);
                if !refused {
                    break;
                }
                count += 1;
            }
            servers.into_iter().for_each(|server| kill(user, server));
            sender.send(count).expect("the story is told");
        });
        let count: usize = counts.recv().expect("the story is told");
        println!("{name}: {count} frames refused");
        assert!(count > 0, "{name} needs no memory");
        refusals += count;
    }
    assert!(refusals > 60, "{refusals}");
}
