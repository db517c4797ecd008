//! The store's disk fails while everything is in it: nobody runs with a wrong byte, nothing hangs.

use host_stories::emergency::*;
use host_stories::*;
use store_format::{FIRST_SLOT, HEADER_SIZE, State, StoreHeader, slot_flags_killed};

const MEMORY: usize = 8 << 20;
const DISK: usize = MEMORY / PAGE_SIZE + 200;
/// Pages of a document.
const PAGES: usize = 60;
const DOCUMENTS: usize = 4;

fn machine(disk: &Disk) -> System {
    let machine = System::new().memory(MEMORY).disk(disk).option("emergency.format=any");
    machine.option("emergency.auto=fastest-growing,5s")
}

/// Takes all memory until that costs it its life.
fn fill(user: &mut User) {
    let leak = leak(user);
    assert_eq!(user.wait_for(leak), sacrificed());
}

fn all_are_whole(user: &mut User) {
    assert_eq!(fates(user, DOCUMENTS, PAGES, fill), vec![Ended::Exited(0); DOCUMENTS]);
}

#[test]
fn pages_the_disk_refuses_stay_in_memory() {
    for restore in ["disk", "ram"] {
        let pages = (600..640).map(|slot| FIRST_SLOT + slot);
        let disk = pages.fold(Disk::new(DISK), |disk, page| disk.with(Fault::WritePage(page)));
        machine(&disk).option(&format!("emergency.restore={restore}")).run(|user| {
            all_are_whole(user);
            assert_eq!(status_number(user, "failed_writes"), 40);
            assert_eq!(status_number(user, "lost_pages"), 0);
        });
    }
}

#[test]
fn a_disk_that_takes_nothing_is_given_up() {
    let disk = Disk::new(DISK);
    machine(&disk).option("emergency.restore=disk").run({
        let disk = disk.clone();
        move |user| {
            disk.clone().with(Fault::Writes);
            all_are_whole(user);
            let status = user.read_text("emergency:status").expect("it is there");
            assert!(status.contains("store: none (the disk reports errors)"), "{status}");
        }
    });
}

#[test]
fn a_disk_that_falls_silent_at_any_moment_hurts_nobody() {
    for after in [7, 8, 9, 10, 12, 14, 16] {
        let disk = Disk::new(DISK).with(Fault::SilentAfter(after));
        machine(&disk).run(move |user| {
            all_are_whole(user);
            assert_eq!(status_number(user, "lost_pages"), 0, "silent after {after}");
        });
    }
}

#[test]
fn a_disk_that_fails_now_and_then_is_asked_again() {
    for every in [3, 5, 7] {
        let disk = Disk::new(DISK);
        machine(&disk).option("emergency.restore=disk").run({
            let disk = disk.clone();
            move |user| {
                disk.clone().with(Fault::Every(every));
                all_are_whole(user);
                assert_eq!(status_number(user, "lost_pages"), 0, "fails every {every}th time");
                disk.heal();
            }
        });
    }
}

#[test]
fn bits_that_flip_on_the_disk_are_found_and_only_their_owners_end() {
    let mut casualties = 0;
    for slot in (200..1400).step_by(37) {
        let disk = Disk::new(DISK).flipping(FIRST_SLOT + slot, (slot as usize * 31) % 32_768);
        let (sender, ends) = std::sync::mpsc::channel();
        machine(&disk).option("emergency.restore=disk").run(move |user| {
            // Every keeper checks its own bytes: one that goes on wrong would fail the story.
            let ended = fates(user, DOCUMENTS, PAGES, fill);
            let killed = ended.iter().filter(|end| **end == sacrificed()).count();
            let whole = ended.iter().filter(|end| **end == Ended::Exited(0)).count();
            assert_eq!(killed + whole, DOCUMENTS);
            let lost = status_number(user, "lost_pages") as usize;
            assert!(killed <= lost, "{killed} ended for {lost} pages");
            sender.send(killed).expect("the story is told");
        });
        casualties += ends.recv().expect("the story is told");
    }
    assert!(casualties > 3, "the flips hit too few documents: {casualties}");
}

#[test]
fn what_memory_still_has_does_not_need_the_disk() {
    let disk = (200..1400).fold(Disk::new(DISK), |disk, slot| {
        disk.flipping(FIRST_SLOT + slot, slot as usize).with(Fault::ReadPage(FIRST_SLOT + slot))
    });
    machine(&disk).run(all_are_whole);
}

#[test]
fn the_header_tells_the_truth_afterwards() {
    let disk = Disk::new(DISK);
    machine(&disk).option("emergency.restore=disk").run(all_are_whole);
    let bytes = disk.bytes();
    let copies = [&bytes[..], &bytes[HEADER_SIZE..]].map(StoreHeader::decode);
    let [a, b] = copies.clone();
    let header = StoreHeader::newer(a, b).expect("one copy is whole");
    assert_eq!((header.state, header.generation), (State::Idle, 1));
    let ended = header.entries.iter().filter(|entry| entry.flags == slot_flags_killed()).count();
    assert_eq!(ended, 1, "{:?}", header.entries);
    assert!(copies.iter().all(Result::is_ok));
}

#[test]
fn deciding_while_pages_are_on_their_way_leaves_a_true_header() {
    // The later, the slower: the policy decides after no time, or after one second, at every stage.
    for (seconds, slow) in [(0, 0), (1, 300_000), (1, 500_000), (1, 700_000), (1, 100_000_000)] {
        let disk = Disk::new(DISK);
        let policy = format!("emergency.auto=fastest-growing,{seconds}s");
        let machine = System::new().memory(MEMORY).disk(&disk).option("emergency.format=any");
        let slower = disk.clone();
        machine.option(&policy).option("emergency.restore=disk").run(move |user| {
            slower.with(Fault::Slow(slow));
            all_are_whole(user);
            assert_eq!(status_number(user, "lost_pages"), 0);
            let status = user.read_text("emergency:status").expect("it is there");
            assert!(status.contains("store: ready"), "{status}");
        });
        let bytes = disk.bytes();
        let [a, b] = [&bytes[..], &bytes[HEADER_SIZE..]].map(StoreHeader::decode);
        let header = StoreHeader::newer(a, b).expect("one copy is whole");
        assert_eq!(header.state, State::Idle, "after {seconds} s at {slow} ns a page");
    }
}

#[test]
fn after_a_power_cut_the_next_boot_says_who_was_lost() {
    let disk = Disk::new(DISK);
    machine(&disk).run(all_are_whole);
    let bytes = disk.bytes();
    let copies = [&bytes[..], &bytes[HEADER_SIZE..]].map(StoreHeader::decode);
    let [a, b] = copies;
    let mut header = StoreHeader::newer(a, b).expect("one copy is whole");
    // As it was when the power went.
    header.state = State::Sealed;
    header.sequence += 2;
    let mut cut = vec![0; HEADER_SIZE];
    header.encode(&mut cut);
    let mut bytes = bytes;
    let at = StoreHeader::page_of_copy(header.sequence) as usize * PAGE_SIZE;
    bytes[at..at + HEADER_SIZE].copy_from_slice(&cut);
    disk.put(&bytes);
    let finished = System::new().memory(MEMORY).disk(&disk).run(|_| {});
    let said = "the last session ended inside an emergency";
    assert!(finished.log.contains(said), "{}", finished.log);
    assert!(finished.log.contains("lost: init (pid"), "{}", finished.log);
    let finished = System::new().memory(MEMORY).disk(&disk).run(|_| {});
    assert!(!finished.log.contains(said), "it is said once");
}

#[test]
fn a_disk_that_is_no_store_is_left_alone() {
    let bytes = vec![0x5A; DISK * PAGE_SIZE];
    for (pages, option, why) in [
        (DISK, "x=y", "its disk is not marked as a store"),
        (100, "emergency.format=any", "its disk is too small for all of memory"),
    ] {
        let disk = Disk::new(pages);
        disk.put(&bytes[..pages * PAGE_SIZE]);
        let finished = System::new()
            .memory(MEMORY)
            .disk(&disk)
            .option(option)
            .option("emergency.auto=largest,1s")
            .run(all_are_whole);
        assert!(finished.log.contains(&format!("no store: {why}")), "{}", finished.log);
        assert_eq!(disk.bytes(), bytes[..pages * PAGE_SIZE], "it was written to");
    }
}
