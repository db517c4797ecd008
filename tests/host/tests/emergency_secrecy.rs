//! What the store's disk tells whoever reads it, while the emergency lasts and afterwards.

use host_stories::emergency::*;
use host_stories::*;
use store_format::{FIRST_SLOT, HEADER_SIZE, STORE_ENCRYPTED, State, StoreHeader};

const MEMORY: usize = 8 << 20;
const DISK: usize = MEMORY / PAGE_SIZE + 200;
const CANARY: &[u8] = b"a canary that nobody else may see";

fn machine(disk: &Disk, secrecy: &str) -> System {
    let machine = System::new().memory(MEMORY).disk(disk).option("emergency.format=any");
    machine
        .option(&format!("emergency.secrecy={secrecy}"))
        .option("emergency.restore=disk")
        .option("emergency.auto=fastest-growing,5s")
}

/// A program's memory holds the canary while an emergency comes and goes; it is whole afterwards.
fn keep_a_canary(user: &mut User) {
    let (reader, writer) = user.pipe();
    let keeper = user.fork(move |user| {
        user.close(writer).expect("it is open");
        lead(user);
        let at = user.allocate(PAGE_SIZE);
        user.store(at + 1000, CANARY);
        assert_eq!(user.read(reader, 1).as_deref(), Ok(&[][..]), "the pipe is closed");
        assert_eq!(user.load(at + 1000, CANARY.len()), CANARY);
    });
    until_waiting(user, keeper, "readable");
    let leak = leak(user);
    assert_eq!(user.wait_for(leak), sacrificed());
    user.close(writer).expect("it is open");
    user.close(reader).expect("it is open");
    assert_eq!(user.wait_for(keeper), Ended::Exited(0));
    assert_eq!(status_number(user, "lost_pages"), 0);
    assert!(status_number(user, "read_back") > 0);
}

fn canaries(disk: &Disk) -> usize {
    disk.bytes().windows(CANARY.len()).filter(|part| *part == CANARY).count()
}

fn last_header(disk: &Disk) -> StoreHeader {
    let bytes = disk.bytes();
    let [a, b] = [&bytes[..], &bytes[HEADER_SIZE..]].map(StoreHeader::decode);
    StoreHeader::newer(a, b).expect("one copy is whole")
}

#[test]
fn a_page_in_the_store_is_noise() {
    for option in ["encrypt", "nonsense"] {
        let disk = Disk::new(DISK);
        let finished = machine(&disk, option).run(keep_a_canary);
        assert_eq!(canaries(&disk), 0, "{option}");
        // Nothing was overwritten: what is on the disk is what was on it during the emergency.
        let slots = &disk.bytes()[FIRST_SLOT as usize * PAGE_SIZE..];
        assert!(slots.chunks(PAGE_SIZE).filter(|page| page.iter().any(|b| *b != 0)).count() > 500);
        assert_eq!(last_header(&disk).flags, STORE_ENCRYPTED);
        let complains = finished.log.contains("emergency.secrecy=nonsense is not known");
        assert_eq!(complains, option == "nonsense");
    }
}

#[test]
fn without_secrecy_the_canary_stays_and_this_test_can_find_it() {
    let disk = Disk::new(DISK);
    machine(&disk, "off").run(|user| {
        keep_a_canary(user);
        let log = user.read_text("emergency:log").expect("it is there");
        assert!(!log.contains("readable: 0\n"), "{log}");
    });
    assert_eq!(canaries(&disk), 1);
}

#[test]
fn what_can_be_read_is_overwritten_before_the_world_goes_on() {
    let disk = Disk::new(DISK);
    machine(&disk, "overwrite").run(|user| {
        keep_a_canary(user);
        let log = user.read_text("emergency:log").expect("it is there");
        assert!(log.contains("readable: 0\n"), "{log}");
    });
    let bytes = disk.bytes();
    assert!(bytes[FIRST_SLOT as usize * PAGE_SIZE..].iter().all(|byte| *byte == 0));
    assert_eq!(last_header(&disk).state, State::Idle);
}

#[test]
fn a_page_that_cannot_be_overwritten_is_told() {
    let disk = Disk::new(DISK);
    let broken = disk.clone();
    machine(&disk, "overwrite").run(move |user| {
        // The disk takes every page once, and none a second time.
        broken.with(Fault::Rewrites);
        keep_a_canary(user);
        let log = user.read_text("emergency:log").expect("it is there");
        assert!(!log.contains("readable: 0\n"), "{log}");
    });
}

/// As the disk is after the power went in the middle of an emergency.
fn cut(disk: &Disk, flags: u64) {
    let mut header = last_header(disk);
    header.state = State::Sealed;
    header.sequence += 1;
    header.flags = flags;
    let mut bytes = disk.bytes();
    let at = StoreHeader::page_of_copy(header.sequence) as usize * PAGE_SIZE;
    header.encode(&mut bytes[at..at + HEADER_SIZE]);
    let slot = (FIRST_SLOT as usize + 700) * PAGE_SIZE;
    bytes[slot..slot + CANARY.len()].copy_from_slice(CANARY);
    disk.put(&bytes);
}

#[test]
fn what_a_power_cut_left_readable_is_overwritten_at_boot() {
    for secrecy in ["encrypt", "overwrite", "off"] {
        let disk = Disk::new(DISK);
        machine(&disk, "off").run(|_| {});
        cut(&disk, 0);
        assert_eq!(canaries(&disk), 1);
        machine(&disk, secrecy).run(|_| {});
        assert_eq!(canaries(&disk), usize::from(secrecy == "off"), "{secrecy}");
    }
    // What was noise need not be.
    let disk = Disk::new(DISK);
    machine(&disk, "encrypt").run(|_| {});
    cut(&disk, STORE_ENCRYPTED);
    machine(&disk, "encrypt").run(|_| {});
    assert_eq!(canaries(&disk), 1);
}
