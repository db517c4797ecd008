//! The kernel's heap ends, at the second, third, fourth ... time that it wants to grow: what needs
//! more is refused, nothing is lost, and the kernel goes on.
//!
//! The allocator here fails where the kernel's own would, and a failed allocation ends the test.

use host_stories::*;
use std::alloc::{GlobalAlloc, Layout, System as Host};

struct Ending;

// SAFETY: every answer is the host allocator's own, or null.
unsafe impl GlobalAlloc for Ending {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !kernel_sim::note_bytes(layout.size() as isize) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { Host.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        kernel_sim::note_bytes(-(layout.size() as isize));
        // SAFETY: the caller's promise is passed on.
        unsafe { Host.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ENDING: Ending = Ending;

/// What may be answered when something has run out.
const REFUSALS: [i32; 4] = [ENOMEM, EMFILE, EAGAIN, ENFILE];

fn is_refused(answer: Answer) -> bool {
    match answer {
        Ok(_) => false,
        Err(Errno(errno)) if REFUSALS.contains(&errno) => true,
        Err(errno) => panic!("{errno:?}"),
    }
}

/// Kinds of things that the kernel keeps records of.
const KINDS: usize = 8;

/// A long mapping of a file whose daemon gives the first pages only.
fn mapped(user: &mut User) -> usize {
    let fd = user.open("slow:x", O_RDONLY).expect("it is served");
    let flags = MapFlags::PROT_READ | MapFlags::MAP_SHARED;
    let map = Map { offset: 0, size: 1 << 36, flags, address: 0 };
    let at = user.map(fd, map).expect("it is a file");
    user.close(fd).expect("it is open");
    at
}

fn slow(user: &mut User) -> usize {
    let at = user.allocate(16 * PAGE_SIZE);
    daemon(user, "slow", move |_, _, request| {
        let is_first = is(request, Opcode::MmapPrep) && request.args[3] == 0;
        match Opcode::try_from_raw(request.opcode) {
            Some(Opcode::MmapPrep) => is_first.then_some(Ok(at)),
            Some(Opcode::OpenAt) => Some(Ok(1)),
            _ => None,
        }
    })
}

/// Takes of each kind, beginning with the `first`, until nothing more is given.
fn hoard(user: &mut User, first: usize) {
    let pages = mapped(user);
    let mut kept = 0;
    let mut refused = 0;
    let mut round = first;
    while refused < 12 {
        round += 1;
        let answer = match round % KINDS {
            0 => user.open("sys:uname", O_RDONLY),
            1 => user.open("pipe:", O_RDWR),
            2 => user
                .open("event:", O_RDWR)
                .and_then(|queue| user.watch(queue, 1, EventFlags::EVENT_READ, 7)),
            3 => user.try_allocate(PAGE_SIZE).and_then(|at| {
                // With a gap behind it, so that regions do not grow together.
                user.protect(at, PAGE_SIZE, MapFlags::PROT_READ)
            }),
            4 => user.try_fork(|user| user.sleep(10_000_000)),
            5 => user.open("time:1", O_RDWR),
            // Somebody who waits for a page that never comes.
            6 => user.try_fork(move |user| {
                user.load(pages + round * 16 * PAGE_SIZE, 1);
            }),
            _ => user.open("memory:", O_RDWR),
        };
        match is_refused(answer) {
            true => refused += 1,
            false => kept += 1,
        }
    }
    assert!(kept > 20, "{kept} were given, {refused} refused");
}

#[test]
fn whenever_the_heap_ends_calls_are_refused_and_everything_comes_back() {
    // Whichever kind it is that finds the end.
    for (grows, first) in (2..=5).flat_map(|grows| (0..KINDS).map(move |first| (grows, first))) {
        let machine = System::new().memory(16 << 20).option("emergency=off").heap_grows(grows);
        machine.run(move |user| {
            for _ in 0..2 {
                let server = slow(user);
                let child = user.fork(move |user| {
                    user.call(abi::number::SETPGID, [0, 0]).expect("it may lead");
                    hoard(user, first);
                    user.kill(0, SIGKILL).expect("it is there");
                });
                assert_eq!(user.wait_for(child), killed_by(SIGKILL));
                kill(user, server);
                while user.wait(-1).is_ok() {}
            }
            user.peek(|kernel| audit(kernel));
            // With all of it given back there is room again.
            let fd = user.open("sys:uname", O_RDONLY).expect("there is room");
            user.close(fd).expect("it is open");
            assert_eq!(fate(user, |_| {}), Ended::Exited(0));
        });
    }
}

#[test]
fn many_empty_strings_are_too_many() {
    System::new().heap_grows(2).run(|user| {
        let program = user.program(|_| {});
        let ended = fate(user, move |user| {
            let many = vec![""; 60_000];
            assert_eq!(user.exec("/bin/x", &program, &many, &[]), Errno(E2BIG));
            user.exec("/bin/x", &program, &many[..16_000], &[]);
        });
        assert_eq!(ended, Ended::Exited(0));
    });
}

#[test]
fn a_space_in_too_many_pieces_is_refused_more() {
    System::new().memory(64 << 20).heap_grows(8).run(|user| {
        let ended = fate(user, |user| {
            let size = 20_000 * PAGE_SIZE;
            let at = user.allocate(size);
            let mut count = 0;
            let last = loop {
                let page = at + (2 * count + 1) * PAGE_SIZE;
                match user.protect(page, PAGE_SIZE, MapFlags::PROT_READ) {
                    Ok(_) => count += 1,
                    Err(errno) => break errno,
                }
            };
            assert_eq!(last, Errno(ENOMEM));
            assert!((2_000..10_000).contains(&count), "{count}");
            let copy = user.try_fork(|_| {});
            assert!(copy.is_ok() || copy == error(ENOMEM));
            user.unmap(at, size).expect("it is mapped");
        });
        assert_eq!(ended, Ended::Exited(0));
    });
}
