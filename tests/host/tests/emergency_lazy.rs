//! `emergency.restore=lazy`: the world goes on at once, and pages come back when they are touched, or
//! by themselves.

use host_stories::emergency::*;
use host_stories::*;
use store_format::{FIRST_SLOT, HEADER_SIZE, State, StoreHeader};

const MEMORY: usize = 8 << 20;
const DISK: usize = MEMORY / PAGE_SIZE + 200;
const PAGES: usize = 60;
const DOCUMENTS: usize = 4;

/// Pages in memory are erased, so that each has to come from the disk, a tenth of a millisecond each.
fn machine(disk: &Disk) -> System {
    machine_with(disk, "disk,lazy")
}

fn machine_with(disk: &Disk, restore: &str) -> System {
    System::new()
        .memory(MEMORY)
        .disk(disk)
        .option("emergency.format=any")
        .option("emergency.auto=fastest-growing,1s")
        .option(&format!("emergency.restore={restore}"))
}

fn slow() -> Disk {
    Disk::new(DISK).with(Fault::Slow(100_000))
}

/// A leak begins and is ended. Pages are away when this returns.
fn emergency(user: &mut User) {
    let leak = leak(user);
    assert_eq!(user.wait_for(leak), sacrificed());
}

fn away(user: &mut User) -> u64 {
    status_number(user, "slots_used")
}

fn until_home(user: &mut User) {
    while away(user) > 0 {
        user.sleep(1);
    }
}

fn newest_header(disk: &Disk) -> StoreHeader {
    let bytes = disk.bytes();
    let [a, b] = [&bytes[..], &bytes[HEADER_SIZE..]].map(StoreHeader::decode);
    StoreHeader::newer(a, b).expect("one copy is whole")
}

#[test]
fn pages_come_when_they_are_touched_and_the_rest_by_themselves() {
    for cpus in [1, 2, 4] {
        let disk = slow();
        let finished = machine(&disk).cpus(cpus).run({
            let disk = disk.clone();
            move |user| {
                let at = write_document(user, 1, 2 * PAGES);
                assert_eq!(away(user), 0);
                let free = user.peek(|kernel| kernel.frames.totals().free);
                emergency(user);
                assert!(away(user) > PAGES as u64, "{} pages are away", away(user));
                assert_eq!(newest_header(&disk).state, State::Restoring);
                // The last first, and some by a call of the kernel's.
                user.load(at + (2 * PAGES - 1) * PAGE_SIZE, 8);
                let (reader, writer) = user.pipe();
                let from = at + 7 * PAGE_SIZE + 100;
                assert_eq!(
                    user.call(abi::redox::number::SYS_WRITE, [writer, from, PAGE_SIZE]),
                    Ok(PAGE_SIZE)
                );
                let piped = user.read(reader, PAGE_SIZE).expect("it is there");
                assert_eq!(piped, user.load(from, PAGE_SIZE));
                user.peek(|kernel| audit(kernel));
                check_document(user, 1, at, 2 * PAGES);
                until_home(user);
                check_document(user, 1, at, 2 * PAGES);
                assert_eq!(newest_header(&disk).state, State::Idle);
                user.close(reader).expect("it is open");
                user.close(writer).expect("it is open");
                assert_eq!(user.peek(|kernel| kernel.frames.totals().free), free);
                assert_eq!(status_number(user, "lost_pages"), 0);
                assert!(status_number(user, "read_back") > PAGES as u64);
                assert_eq!(status_number(user, "allocations"), 0);
            }
        });
        assert!(finished.log.contains("pages came home, for "), "{}", finished.log);
    }
}

#[test]
fn what_memory_still_has_is_checked_when_it_is_touched() {
    // Nothing that a flip on the disk can do is seen.
    let disk = (200..1900).fold(Disk::new(DISK), |disk, slot| {
        disk.flipping(FIRST_SLOT + slot, slot as usize).with(Fault::ReadPage(FIRST_SLOT + slot))
    });
    machine_with(&disk, "lazy").run(|user| {
        let at = write_document(user, 1, PAGES);
        emergency(user);
        assert!(away(user) > 0);
        check_document(user, 1, at, PAGES);
        until_home(user);
        assert_eq!((status_number(user, "lost_pages"), status_number(user, "read_back")), (0, 0));
    });
}

#[test]
fn programs_fork_share_unmap_protect_and_end_while_their_pages_are_away() {
    for cpus in [1, 2, 4] {
        machine(&slow()).cpus(cpus).run(|user| {
            let at = write_document(user, 1, PAGES);
            let gone = write_document(user, 2, PAGES);
            let shared = user.allocate_shared(4 * PAGE_SIZE);
            user.store(shared + 5, b"shared");
            assert_eq!(away(user), 0);
            let free = user.peek(|kernel| kernel.frames.totals().free);
            emergency(user);
            assert!(away(user) > PAGES as u64);
            // Both have a copy of what neither has seen since.
            let child = user.fork(move |user| {
                assert_eq!(user.load(shared + 5, 6), b"shared");
                user.store(shared + 5, b"SHARED");
                user.store(at + 3 * PAGE_SIZE, b"mine");
                assert_eq!(user.load(at + 3 * PAGE_SIZE, 4), b"mine");
                user.store(at + 3 * PAGE_SIZE, b"x");
            });
            // A page in the middle of others is given back, and one is new in its place.
            user.unmap(gone + PAGE_SIZE, 20 * PAGE_SIZE).expect("it is mapped");
            let fresh = user.allocate(20 * PAGE_SIZE);
            user.store(fresh, &[7; 20 * PAGE_SIZE]);
            // Rights that change meanwhile open nothing that is not there yet.
            let none = MapFlags::empty();
            let both = MapFlags::PROT_READ | MapFlags::PROT_WRITE;
            user.protect(gone, PAGE_SIZE, none).expect("it is mapped");
            user.protect(gone, PAGE_SIZE, both).expect("it is mapped");
            user.protect(at, PAGES * PAGE_SIZE, both).expect("it is mapped");
            user.peek(|kernel| audit(kernel));
            assert_eq!(user.wait_for(child), Ended::Exited(0));
            check_document(user, 1, at, PAGES);
            check_document(user, 2, gone, 1);
            assert_eq!(user.load(shared + 5, 6), b"SHARED");
            until_home(user);
            assert!(user.load(fresh, 20 * PAGE_SIZE).iter().all(|byte| *byte == 7));
            user.peek(|kernel| audit(kernel));
            user.unmap(fresh, 20 * PAGE_SIZE).expect("it is mapped");
            let left = user.peek(|kernel| kernel.frames.totals().free);
            assert!(left >= free, "{} frames are gone", free - left);
            assert_eq!(status_number(user, "lost_pages"), 0);
        });
    }
}

#[test]
fn whoever_ends_or_becomes_another_program_leaves_no_slot_behind() {
    machine(&slow()).cpus(2).run(|user| {
        let go = user.pipe();
        let keepers: Vec<usize> = (0..3)
            .map(|number| {
                let child = user.fork(move |user| {
                    user.close(go.1).expect("it is open");
                    lead(user);
                    write_document(user, number, PAGES);
                    assert_eq!(user.read(go.0, 1).as_deref(), Ok(&b"!"[..]));
                    user.exit(number as u8 as usize);
                });
                until_waiting(user, child, "readable");
                child
            })
            .collect();
        emergency(user);
        assert!(away(user) > 3 * PAGES as u64);
        user.write(go.1, b"!!").expect("there is room");
        user.kill(keepers[2] as isize, SIGKILL).expect("it is there");
        // New programs get the frames, and keep what they write.
        let at = write_document(user, 7, 4 * PAGES);
        let mut ends: Vec<Ended> = keepers.iter().map(|child| user.wait_for(*child)).collect();
        ends.sort_by_key(|end| format!("{end:?}"));
        assert!(ends.contains(&killed_by(SIGKILL)), "{ends:?}");
        until_home(user);
        check_document(user, 7, at, 4 * PAGES);
        assert_eq!(status_number(user, "lost_pages"), 0);
    });
}

#[test]
fn a_second_emergency_while_pages_are_away_calls_them_back_first() {
    for (cpus, restore) in [(1, "disk,lazy"), (4, "disk,lazy"), (2, "lazy")] {
        let disk = slow();
        machine_with(&disk, restore).cpus(cpus).run(|user| {
            let at = write_document(user, 1, PAGES);
            assert_eq!(away(user), 0);
            let free = user.peek(|kernel| kernel.frames.totals().free);
            for round in 1..=6 {
                emergency(user);
                assert!(away(user) > 0, "all were back in round {round}");
                if round % 2 == 0 {
                    user.load(at + round * PAGE_SIZE, 1);
                }
            }
            check_document(user, 1, at, PAGES);
            until_home(user);
            assert_eq!(user.peek(|kernel| kernel.frames.totals().free), free);
            assert_eq!(status_number(user, "count"), 6);
            assert_eq!(status_number(user, "lost_pages"), 0);
        });
    }
}

/// Everybody checks its own bytes: one that goes on with a wrong one would end otherwise.
fn casualties(user: &mut User) -> usize {
    let ended = fates(user, DOCUMENTS, PAGES, emergency);
    until_home(user);
    let killed = ended.iter().filter(|end| **end == sacrificed()).count();
    let whole = ended.iter().filter(|end| **end == Ended::Exited(0)).count();
    assert_eq!(killed + whole, DOCUMENTS, "{ended:?}");
    let lost = status_number(user, "lost_pages") as usize;
    assert!(killed <= lost, "{killed} ended for {lost} pages");
    let log = user.read_text("emergency:log").expect("it is there");
    assert!(log.matches("lost: init (pid").count() >= killed, "{log}");
    user.peek(|kernel| audit(kernel));
    killed
}

#[test]
fn a_page_that_comes_back_wrong_costs_its_owners_alone() {
    let mut all = 0;
    for slot in (200..1400).step_by(37) {
        let page = FIRST_SLOT + slot;
        let disk = match slot % 2 == 0 {
            true => Disk::new(DISK).with(Fault::ReadPage(page)),
            false => Disk::new(DISK).flipping(page, (slot as usize * 31) % 32_768),
        };
        let (sender, ends) = std::sync::mpsc::channel();
        machine(&disk).cpus(1 + slot as u32 % 3).run(move |user| {
            sender.send(casualties(user)).expect("the story is told");
        });
        all += ends.recv().expect("the story is told");
    }
    assert!(all > 3, "the faults hit too few documents: {all}");
}

#[test]
fn a_disk_that_fails_now_and_then_is_asked_again() {
    for every in [3, 5, 7] {
        let disk = Disk::new(DISK);
        machine(&disk).run({
            let disk = disk.clone();
            move |user| {
                disk.clone().with(Fault::Every(every));
                assert_eq!(casualties(user), 0, "fails every {every}th time");
                assert_eq!(status_number(user, "lost_pages"), 0);
                disk.heal();
            }
        });
    }
}

#[test]
fn a_disk_that_falls_silent_while_pages_are_away_costs_those_alone() {
    for restore in ["disk,lazy", "lazy"] {
        let disk = slow();
        machine_with(&disk, restore).run({
            let disk = disk.clone();
            move |user| {
                let child = user.fork(move |user| {
                    lead(user);
                    let at = write_document(user, 1, PAGES);
                    user.sleep(100);
                    check_document(user, 1, at, PAGES);
                });
                until_waiting(user, child, "time");
                let leak = leak(user);
                assert_eq!(user.wait_for(leak), sacrificed());
                disk.clone().with(Fault::SilentAfter(0));
                // Nobody hangs: whoever needs the disk ends after its patience.
                let end = user.wait_for(child);
                match restore {
                    "lazy" => assert_eq!(end, Ended::Exited(0)),
                    _ => assert_eq!(end, sacrificed()),
                }
            }
        });
    }
}

#[test]
fn an_answer_for_a_page_that_is_away_is_taken_home_once() {
    machine(&slow()).run(|user| {
        let (reader, writer) = user.pipe();
        let mut serve = file_server(Notes::default());
        let server = daemon(user, "slow", move |user, socket, request| {
            if !is(request, Opcode::Read) {
                return serve(user, socket, request);
            }
            // One byte for one request: asked twice it would wait for ever.
            assert_eq!(user.read(reader, 1).as_deref(), Ok(&b"!"[..]));
            Some(Ok(user.fill_payload(request, b"late")))
        });
        let child = user.fork(move |user| {
            lead(user);
            let fd = user.open("slow:x", O_RDWR).expect("it is served");
            assert_eq!(user.read(fd, 64).as_deref(), Ok(&b"late"[..]));
        });
        until_waiting(user, child, "reply");
        emergency(user);
        user.write(writer, b"!").expect("there is room");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        kill(user, server);
    });
}

#[test]
fn limits_and_counts_hold_while_pages_are_away() {
    machine(&slow()).run(|user| {
        let at = write_document(user, 1, PAGES);
        let resident = |user: &User| {
            user.peek(|kernel| kernel.spaces.iter().map(|(_, space)| space.resident).sum::<usize>())
        };
        assert_eq!(away(user), 0);
        let before = resident(user);
        emergency(user);
        assert!(away(user) > 0);
        assert_eq!(resident(user), before, "a page that is away is its owner's all the same");
        check_document(user, 1, at, PAGES);
        until_home(user);
        assert_eq!(resident(user), before);
    });
}

#[test]
fn a_job_can_be_parked_and_resumed_in_a_lazy_world() {
    let disk = Disk::new(2 * MEMORY / PAGE_SIZE + 200).with(Fault::Slow(50_000));
    let machine = System::new().memory(MEMORY).disk(&disk).option("emergency.format=any");
    machine.option("emergency.restore=disk,lazy").typing(60 * SECOND, "p\ry").run(|user| {
        let (reader, writer) = user.pipe();
        let child = user.fork(move |user| {
            lead(user);
            let at = write_document(user, 9, 600);
            assert_eq!(user.read(reader, 1).as_deref(), Ok(&b"!"[..]));
            check_document(user, 9, at, 600);
        });
        until_waiting(user, child, "readable");
        let at = write_document(user, 1, PAGES);
        user.write_text("emergency:ctl", "enter").expect("root may");
        user.give_way();
        assert!(away(user) > 0);
        // The disk is busy with what is away.
        let resume = format!("resume {child}");
        assert_eq!(user.write_text("emergency:ctl", &resume), error(EBUSY));
        until_home(user);
        user.write_text("emergency:ctl", &resume).expect("there is room");
        user.write(writer, b"!").expect("there is room");
        assert_eq!(user.wait_for(child), Ended::Exited(0));
        check_document(user, 1, at, PAGES);
    });
}
