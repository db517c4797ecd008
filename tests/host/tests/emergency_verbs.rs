//! Not only ending: a job is parked and comes back, or saves its work first.

use host_stories::emergency::*;
use host_stories::*;
use kernel_core::emergency::block::BlockIo;

/// Memory of the machines here.
const MEMORY: usize = 8 << 20;
/// Pages of a disk with room to park.
const DISK: usize = 2 * MEMORY / PAGE_SIZE + 200;
/// The keys come when the picker has long been up.
const LATER: u64 = 60 * SECOND;
/// A document's pages.
const PAGES: usize = 100;

fn machine(restore: &str) -> System {
    let machine = System::new().memory(MEMORY).option("emergency.format=any");
    machine.option(&format!("emergency.restore={restore}"))
}

/// A job that takes half of memory, says so, and checks it when it is told to.
fn hoarder(user: &mut User, pages: usize) -> (usize, [usize; 2]) {
    let go = user.pipe();
    let child = user.fork(move |user| {
        lead(user);
        user.close(go.1).expect("it is open");
        let shared = user.allocate_shared(PAGE_SIZE);
        user.store(shared, b"shared");
        let at = write_document(user, 9, pages);
        assert_eq!(user.read(go.0, 1).as_deref(), Ok(&b"!"[..]));
        check_document(user, 9, at, pages);
        assert_eq!(user.load(shared, 6), b"shared");
    });
    until_waiting(user, child, "readable");
    (child, [go.0, go.1])
}

/// Waits until a parked job is back, or has ended.
fn until_back(user: &mut User) {
    while !user.read_text("emergency:parked").expect("it is there").is_empty() {
        user.sleep(10);
    }
}

#[test]
fn a_parked_job_comes_back_byte_for_byte() {
    for (cpus, restore) in [(1, "ram"), (1, "disk"), (2, "disk"), (4, "ram")] {
        let disk = Disk::new(DISK);
        machine(restore).cpus(cpus).disk(&disk).typing(LATER, "p\ry").run(|user| {
            let free = user.peek(|kernel| kernel.frames.totals().free);
            let room = status_number(user, "lot_room");
            assert!(room > 1000, "{room}");
            let (child, [reader, writer]) = hoarder(user, 1000);
            user.write(writer, b"!").expect("there is room");
            let at = write_document(user, 1, PAGES);
            user.write_text("emergency:ctl", "enter").expect("root may");
            user.give_way();
            check_document(user, 1, at, PAGES);
            let parked = user.read_text("emergency:parked").expect("it is there");
            assert!(parked.starts_with(&format!("{child} parked 1 processes 40")), "{parked}");
            assert_eq!(status_number(user, "lot_room"), room - evacuated(user, child));
            assert!(evacuated(user, child) >= 1000);
            // It does not run, whatever it is sent, and nobody reads zeroes instead of its memory.
            user.kill(child as isize, SIGCONT).expect("it is there");
            user.sleep(500);
            assert!(evacuated(user, child) >= 1000);
            let file = user.open(&format!("proc:{child}/mem"), O_RDONLY).expect("root may");
            assert!(user.read(file, 8).is_err());
            user.close(file).expect("it is open");
            // Other emergencies write over slots, not over places.
            user.peek(|kernel| audit(kernel));
            user.write_text("emergency:ctl", &format!("resume {child}")).expect("there is room");
            until_back(user);
            assert_eq!(user.wait_for(child), Ended::Exited(0));
            assert_eq!(status_number(user, "lot_room"), room);
            user.unmap(at, PAGES * PAGE_SIZE).expect("it is mapped");
            user.close(reader).expect("it is open");
            user.close(writer).expect("it is open");
            let left = user.peek(|kernel| kernel.frames.totals().free);
            assert!(free - left < 8, "{} frames are gone", free - left);
        });
    }
}

fn evacuated(user: &User, pid: usize) -> u64 {
    user.peek(|kernel| {
        let process = kernel.find_process(pid as u32).expect("it is there");
        let space = kernel.processes[process.0].space.expect("it has memory");
        kernel.spaces[space.0].evacuated as u64
    })
}

#[test]
fn emergencies_go_by_while_a_job_is_parked() {
    let disk = Disk::new(DISK);
    let machine = machine("disk").disk(&disk).typing(LATER, "p\ry");
    machine.typing(2 * LATER, "\ry").typing(3 * LATER, "\ry").run(|user| {
        let (child, [_, writer]) = hoarder(user, 1000);
        user.write_text("emergency:ctl", "enter").expect("root may");
        user.give_way();
        assert!(evacuated(user, child) >= 1000);
        for _ in 0..2 {
            let leak = leak(user);
            assert_eq!(user.wait_for(leak), sacrificed());
        }
        user.write_text("emergency:ctl", &format!("resume {child}")).expect("there is room");
        until_back(user);
        user.write(writer, b"!").expect("there is room");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn a_parked_job_can_be_killed_and_leaves_nothing() {
    let disk = Disk::new(DISK);
    machine("ram").disk(&disk).typing(LATER, "p\ry").run(|user| {
        let room = status_number(user, "lot_room");
        let (child, _) = hoarder(user, 1000);
        user.write_text("emergency:ctl", "enter").expect("root may");
        user.give_way();
        assert!(status_number(user, "lot_room") < room);
        user.kill(child as isize, SIGKILL).expect("it is there");
        assert_eq!(user.wait_for(child), killed_by(SIGKILL));
        assert_eq!(status_number(user, "lot_room"), room);
        let again = format!("resume {child}");
        assert_eq!(user.write_text("emergency:ctl", &again), error(ESRCH));
    });
}

#[test]
fn after_a_power_cut_the_next_boot_says_that_a_parked_job_was_lost() {
    let disk = Disk::new(DISK);
    machine("ram").disk(&disk).typing(LATER, "p\ry").run(|user| {
        let (child, _) = hoarder(user, 1000);
        user.write_text("emergency:ctl", "enter").expect("root may");
        user.give_way();
        assert!(evacuated(user, child) >= 1000);
    });
    let said = "the last session ended with parked processes; 1 processes were lost";
    let finished = System::new().memory(MEMORY).disk(&disk).run(|_| {});
    assert!(finished.log.contains(said), "{}", finished.log);
    let finished = System::new().memory(MEMORY).disk(&disk).run(|_| {});
    assert!(!finished.log.contains(said), "it is said once");
}

#[test]
fn too_little_memory_to_come_back_is_an_error_and_nothing_is_lost() {
    let disk = Disk::new(DISK);
    machine("ram").disk(&disk).typing(LATER, "p\ry").run(|user| {
        let (child, [_, writer]) = hoarder(user, 1000);
        user.write_text("emergency:ctl", "enter").expect("root may");
        user.give_way();
        let free = user.peek(|kernel| kernel.frames.totals().free);
        let size = (free - 900) * PAGE_SIZE;
        let at = user.allocate(size);
        user.fill(at, size, 3);
        let resume = format!("resume {child}");
        assert_eq!(user.write_text("emergency:ctl", &resume), error(ENOMEM));
        user.unmap(at, size).expect("it is mapped");
        // Somebody takes the memory while the job is on its way.
        user.write_text("emergency:ctl", &resume).expect("there is room");
        let at = user.allocate(size);
        user.fill(at, size, 3);
        user.sleep(1000);
        let parked = user.read_text("emergency:parked").expect("it is there");
        assert!(parked.contains(" parked "), "{parked}");
        user.unmap(at, size).expect("it is mapped");
        user.peek(|kernel| audit(kernel));
        user.write_text("emergency:ctl", &resume).expect("there is room");
        until_back(user);
        user.write(writer, b"!").expect("there is room");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
}

#[test]
fn a_bad_disk_costs_the_attempt_to_park_and_a_changed_bit_the_parked_job() {
    let lot = (MEMORY / PAGE_SIZE) as u64 + 32;
    let disk = Disk::new(DISK).with(Fault::WritePage(lot + 200));
    machine("ram").disk(&disk).typing(LATER, "p\ry").typing(2 * LATER, "c").run(move |user| {
        let room = status_number(user, "lot_room");
        let (child, [_, writer]) = hoarder(user, 1000);
        user.write_text("emergency:ctl", "enter").expect("root may");
        user.give_way();
        assert_eq!(status_number(user, "lot_room"), room);
        assert_eq!(evacuated(user, child), 0);
        user.write(writer, b"!").expect("there is room");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
    });
    let disk = Disk::new(DISK).flipping(lot + 300, 77);
    machine("ram").disk(&disk).typing(LATER, "p\ry").run(move |user| {
        let (child, _) = hoarder(user, 1000);
        user.write_text("emergency:ctl", "enter").expect("root may");
        user.give_way();
        user.write_text("emergency:ctl", &format!("resume {child}")).expect("there is room");
        assert_eq!(user.wait_for(child), sacrificed());
        user.peek(|kernel| audit(kernel));
    });
}

#[test]
fn without_room_in_the_store_nothing_is_parked() {
    let disk = Disk::new(MEMORY / PAGE_SIZE + 200);
    let finished =
        machine("ram").disk(&disk).typing(LATER, "p").typing(2 * LATER, "\ry").run(|user| {
            let (child, _) = hoarder(user, 1000);
            user.write_text("emergency:ctl", "enter").expect("root may");
            user.give_way();
            assert_eq!(user.wait_for(child), sacrificed());
        });
    assert!(finished.console.contains("too little room left"), "{}", finished.console);
    assert_eq!(disk.capacity(), (MEMORY / PAGE_SIZE + 200) as u64);
}

#[test]
fn a_job_saves_its_work_while_everyone_else_waits() {
    for cpus in [1, 2, 4] {
        let machine = System::new().memory(MEMORY).cpus(cpus).typing(LATER, "s\ry");
        machine.run(|user| {
            let (reader, writer) = user.pipe();
            let saver = user.fork(move |user| {
                lead(user);
                let at = write_document(user, 5, 500);
                let text = user.read_text("emergency:save").expect("it is told");
                assert!(text.starts_with("seconds: "), "{text}");
                // Saving takes a while, and some memory.
                user.sleep(3_000);
                let more = write_document(user, 6, 4);
                check_document(user, 5, at, 500);
                check_document(user, 6, more, 4);
                user.write(writer, b"saved").expect("there is room");
            });
            until_waiting(user, saver, "event");
            // It would be done in a moment, but it has to wait.
            let other = user.fork(|user| {
                lead(user);
                let before = user.now();
                user.sleep(1_000);
                assert!(user.now() - before >= 3 * SECOND, "it ran while another one saved");
            });
            until_waiting(user, other, "time");
            user.write_text("emergency:ctl", "enter").expect("root may");
            assert_eq!(user.wait_for(saver), Ended::Exited(0));
            assert_eq!(user.read(reader, 64).as_deref(), Ok(&b"saved"[..]));
            assert_eq!(user.wait_for(other), Ended::Exited(0));
            let log = user.read_text("emergency:log").expect("it is there");
            assert!(log.contains("saved and ended: "), "{log}");
            user.peek(|kernel| audit(kernel));
        });
    }
}

#[test]
fn who_does_not_finish_saving_in_time_ends() {
    let machine = System::new().memory(MEMORY).option("emergency.save=5s").typing(LATER, "s\ry");
    machine.run(|user| {
        let saver = user.fork(|user| {
            lead(user);
            let _ = write_document(user, 5, 500);
            loop {
                user.sleep(100);
            }
        });
        until_waiting(user, saver, "time");
        let fd = user.open("emergency:save", O_RDONLY | O_NONBLOCK).expect("it is there");
        assert_eq!(user.read(fd, 64), error(EAGAIN));
        let before = user.now();
        user.write_text("emergency:ctl", "enter").expect("root may");
        assert_eq!(user.wait_for(saver), sacrificed());
        let waited = user.now() - before;
        assert!((4 * SECOND..7 * SECOND).contains(&waited), "{waited} ns");
    });
}

#[test]
fn one_ends_and_another_saves_with_what_that_freed() {
    let machine = System::new().memory(MEMORY).cpus(2).typing(LATER, " s\ry");
    machine.run(|user| {
        let saver = user.fork(|user| {
            lead(user);
            let at = write_document(user, 5, 300);
            user.read_text("emergency:save").expect("it is told");
            let more = write_document(user, 6, 600);
            check_document(user, 5, at, 300);
            check_document(user, 6, more, 600);
        });
        until_waiting(user, saver, "event");
        let leak = leak(user);
        assert_eq!(user.wait_for(leak), sacrificed());
        assert_eq!(user.wait_for(saver), Ended::Exited(0));
    });
}

#[test]
fn what_was_ended_three_times_in_a_minute_is_marked_already() {
    let machine = System::new().memory(MEMORY);
    let machine = (1..=4).fold(machine, |machine, n| machine.typing(n * 20 * SECOND, "\ry"));
    let finished = machine.run(|user| {
        for _ in 0..4 {
            let leak = leak(user);
            assert_eq!(user.wait_for(leak), sacrificed());
        }
    });
    assert!(finished.console.contains("ended three times in the last minute"));
}
