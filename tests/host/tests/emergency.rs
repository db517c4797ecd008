//! Memory runs out: the world stops, somebody chooses, and everyone else comes back whole.

use host_stories::emergency::*;
use host_stories::*;
use kernel_core::emergency::block::BlockIo;
use std::alloc::{GlobalAlloc, Layout, System as Host};

/// Counts what the kernel's CPUs allocate, so that stories can say that it is nothing.
struct Counting;

// SAFETY: every answer is the host allocator's own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        kernel_sim::note_allocation();
        // SAFETY: the caller's promise is passed on.
        unsafe { Host.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { Host.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Memory of the machines here.
const MEMORY: usize = 8 << 20;
/// Pages of a disk that is large enough.
const DISK: usize = MEMORY / PAGE_SIZE + 200;
/// The keys come when the picker has long been up.
const LATER: u64 = 60 * SECOND;
/// A document's pages.
const PAGES: usize = 100;

fn machine() -> System {
    System::new().memory(MEMORY)
}

fn formatted() -> Disk {
    Disk::new(DISK)
}

/// A leak fills memory while three programs hold a document each; the leak is ended, and the
/// documents are whole.
fn leak_and_documents(user: &mut User) {
    let (reader, writer) = user.pipe();
    let keepers: Vec<usize> = (0..3)
        .map(|number| {
            let child = user.fork(move |user| {
                user.close(writer).expect("it is open");
                lead(user);
                let at = write_document(user, number, PAGES);
                assert_eq!(user.read(reader, 1).as_deref(), Ok(&[][..]), "the pipe is closed");
                check_document(user, number, at, PAGES);
            });
            until_waiting(user, child, "readable");
            child
        })
        .collect();
    let leak = leak(user);
    assert_eq!(user.wait_for(leak), sacrificed());
    user.close(writer).expect("it is open");
    for keeper in keepers {
        assert_eq!(user.wait_for(keeper), Ended::Exited(0));
    }
    user.close(reader).expect("it is open");
}

#[test]
fn a_person_ends_the_leak_without_a_store() {
    for cpus in [1, 2, 4] {
        let finished = machine().cpus(cpus).typing(LATER, "\ry").run(|user| {
            leak_and_documents(user);
            assert_eq!(status_number(user, "count"), 1);
            assert_eq!(status_number(user, "allocations"), 0);
        });
        assert!(finished.console.contains("\x1b[?1049h"), "the picker takes the screen");
        assert!(finished.console.contains("\x1b[?1049l"), "and gives it back");
        assert!(finished.console.contains("No store"), "it says that there is none");
    }
}

#[test]
fn everybody_else_comes_back_from_the_disk_byte_for_byte() {
    for cpus in [1, 2, 4] {
        let disk = formatted();
        machine()
            .cpus(cpus)
            .disk(&disk)
            .option("emergency.format=any")
            .option("emergency.restore=disk")
            .typing(LATER, "\ry")
            .run(|user| {
                leak_and_documents(user);
                let evacuated = status_number(user, "evacuated");
                let read_back = status_number(user, "read_back");
                let discarded = status_number(user, "discarded");
                assert!(evacuated > 1000, "{evacuated} pages");
                assert!(read_back >= 3 * PAGES as u64, "{read_back} pages");
                assert_eq!(read_back + discarded, evacuated);
                assert_eq!(status_number(user, "slots_used"), 0);
                assert_eq!(status_number(user, "lost_pages"), 0);
                assert_eq!(status_number(user, "allocations"), 0);
            });
        assert!(disk.operations() > 10 && disk.capacity() == DISK as u64);
    }
}

#[test]
fn what_is_still_in_memory_is_not_read_again() {
    let disk = formatted();
    machine().disk(&disk).option("emergency.format=any").typing(LATER, "\ry").run(|user| {
        leak_and_documents(user);
        assert_eq!(status_number(user, "read_back"), 0);
        assert!(status_number(user, "restored") >= 3 * PAGES as u64);
    });
}

#[test]
fn the_policy_decides_when_nobody_answers() {
    machine().option("emergency.auto=fastest-growing,30s").run(|user| {
        let before = user.now();
        leak_and_documents(user);
        assert!(user.now() - before < 10 * SECOND, "nobody's clock ran meanwhile");
        assert!(status_number(user, "paused_ns") >= 30 * SECOND);
        let log = user.read_text("emergency:log").expect("it is there");
        assert!(log.contains("decided_by: policy"), "{log}");
    });
}

#[test]
fn keys_typed_ahead_end_nothing() {
    // They come while the leak is still filling memory, and in the first moments of the picker.
    let early = machine().option("emergency.auto=largest,30s");
    let early = (0..40).fold(early, |machine, n| machine.typing(n * MS / 2, "\ry"));
    early.run(|user| {
        leak_and_documents(user);
        let log = user.read_text("emergency:log").expect("it is there");
        assert!(log.contains("decided_by: policy"), "{log}");
    });
}

#[test]
fn two_emergencies_follow_each_other() {
    let disk = formatted();
    machine()
        .disk(&disk)
        .option("emergency.format=any")
        .option("emergency.restore=disk")
        .option("emergency.auto=fastest-growing,1s")
        .run(|user| {
            for count in 1..=5 {
                leak_and_documents(user);
                assert_eq!(status_number(user, "count"), count);
                assert_eq!(status_number(user, "lost_pages"), 0);
            }
        });
}

#[test]
fn two_leaks_at_once_both_end() {
    for cpus in [1, 4] {
        machine().cpus(cpus).option("emergency.auto=fastest-growing,1s").run(|user| {
            let leaks = [leak(user), leak(user)];
            for leak in leaks {
                assert_eq!(user.wait_for(leak), sacrificed());
            }
        });
    }
}

#[test]
fn emergencies_leave_nothing_behind() {
    let disk = formatted();
    machine()
        .disk(&disk)
        .option("emergency.format=any")
        .option("emergency.restore=disk")
        .option("emergency.auto=fastest-growing,1s")
        .run(|user| leaves_nothing(user, leak_and_documents));
}

#[test]
fn off_means_an_error_for_whoever_asked() {
    machine().option("emergency=off").run(|user| {
        let leak = leak(user);
        assert_eq!(user.wait_for(leak), killed_by(SIGSEGV));
        assert_eq!(user.write_text("emergency:ctl", "enter"), error(EPERM));
    });
}

#[test]
fn a_person_can_go_on_without_ending_anybody() {
    let disk = formatted();
    machine()
        .disk(&disk)
        .option("emergency.format=any")
        .option("emergency.restore=disk")
        .typing(LATER, "c")
        .run(|user| {
            let at = write_document(user, 7, PAGES);
            user.write_text("emergency:ctl", "enter").expect("root may");
            check_document(user, 7, at, PAGES);
            assert_eq!(status_number(user, "count"), 1);
        });
}

#[test]
fn a_daemon_that_ends_is_not_asked_though_its_file_is_open() {
    machine().run(|user| {
        let daemon = user.fork(|user| {
            user.open("emergency:daemon", O_RDWR).expect("nobody is asked yet");
            let second = user.open("emergency:daemon", O_RDWR);
            assert_eq!(second, error(EBUSY));
            // A child keeps the file.
            user.fork(|user| user.sleep(1_000));
        });
        assert_eq!(user.wait_for(daemon), Ended::Exited(0));
        assert!(user.read_text("emergency:daemon").is_ok());
        let other = user.open("emergency:daemon", O_RDWR).expect("nobody is asked any more");
        assert_eq!(user.close(other), Ok(0));
    });
}
