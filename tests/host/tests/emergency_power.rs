//! The power goes at any moment of an emergency: the store's header never tells a lie.
//!
//! A disk may keep or lose every sector that was written since the last flush. Whatever it keeps,
//! the header that counts is the last one that a flush covered, or one written after it.

use host_stories::emergency::*;
use host_stories::*;
use store_format::{HEADER_SIZE, State, StoreHeader};

const MEMORY: usize = 8 << 20;
const DISK: usize = MEMORY / PAGE_SIZE + 200;
const SECTOR: usize = 512;
/// How often each cut is tried with other sectors kept.
const TRIES: u64 = 12;

/// The journal of a session with two emergencies, from the first write to the header on.
fn session(options: &[&str]) -> (Vec<u8>, Vec<Entry>) {
    let disk = Disk::new(DISK);
    // So that there is a header to begin with.
    System::new().memory(MEMORY).disk(&disk).option("emergency.format=any").run(|_| {});
    let before = disk.bytes();
    disk.keep_journal();
    let mut machine = System::new().memory(MEMORY).disk(&disk);
    for option in options {
        machine = machine.option(option);
    }
    machine.option("emergency.auto=fastest-growing,1s").run(|user| {
        for _ in 0..2 {
            let leak = leak(user);
            let end = user.wait_for(leak);
            assert!(matches!(end, Ended::Signalled(_)), "{end:?}");
        }
    });
    (before, disk.journal())
}

fn counts(bytes: &[u8]) -> Result<StoreHeader, store_format::Invalid> {
    let [a, b] = [bytes, &bytes[HEADER_SIZE..]].map(StoreHeader::decode);
    StoreHeader::newer(a, b)
}

/// The headers at the front of a disk, with those sectors of `write` that chance keeps.
fn put_some(headers: &mut [u8], (page, bytes): (u64, &[u8]), chance: &mut u64) {
    let start = page as usize * PAGE_SIZE;
    for (number, sector) in bytes.chunks(SECTOR).enumerate() {
        *chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let at = start + number * SECTOR;
        if *chance >> 63 == 0 && at < headers.len() {
            headers[at..at + SECTOR].copy_from_slice(sector);
        }
    }
}

/// Cuts the power behind every entry; returns the states that were found.
fn cut_everywhere(before: &[u8], journal: &[Entry]) -> Vec<State> {
    let mut settled = before[..2 * HEADER_SIZE].to_vec();
    let mut loose: Vec<(u64, &[u8])> = Vec::new();
    let mut found = Vec::new();
    for entry in journal {
        match entry {
            Entry::Write(page, bytes) if (*page as usize) * PAGE_SIZE < 2 * HEADER_SIZE => {
                loose.push((*page, bytes));
            }
            Entry::Write(..) => continue,
            Entry::Flush => {
                for (page, bytes) in loose.drain(..) {
                    let at = page as usize * PAGE_SIZE;
                    settled[at..at + bytes.len()].copy_from_slice(bytes);
                }
            }
        }
        let last = counts(&settled).expect("what a flush covered is whole");
        let written = loose.iter().map(|(_, bytes)| StoreHeader::decode(bytes));
        let mut allowed: Vec<_> = written.map(|one| one.expect("it was written whole")).collect();
        allowed.push(last);
        for round in 0..TRIES {
            let mut kept = settled.clone();
            let mut chance = round << 32 | found.len() as u64;
            loose.iter().for_each(|write| put_some(&mut kept, *write, &mut chance));
            let header = counts(&kept).expect("one copy is whole, whatever is lost");
            assert!(allowed.contains(&header), "{:?} {}", header.state, header.sequence);
            found.push(header.state);
        }
    }
    found
}

#[test]
fn whatever_a_power_cut_keeps_the_header_is_true() {
    for options in [&["emergency.restore=disk"][..], &["emergency.secrecy=overwrite"], &[]] {
        let (before, journal) = session(options);
        let found = cut_everywhere(&before, &journal);
        for state in [State::Idle, State::Active, State::Sealed, State::Restoring] {
            assert!(found.contains(&state), "no cut found {state}");
        }
        let flushes = journal.iter().filter(|entry| matches!(entry, Entry::Flush)).count();
        assert!(flushes >= 8, "{flushes}");
    }
}

#[test]
fn this_test_finds_two_headers_in_flight() {
    let (before, journal) = session(&[]);
    let without: Vec<Entry> =
        journal.into_iter().filter(|entry| !matches!(entry, Entry::Flush)).collect();
    let result = std::panic::catch_unwind(|| cut_everywhere(&before, &without));
    assert!(result.is_err(), "without flushes both copies can be lost");
}
