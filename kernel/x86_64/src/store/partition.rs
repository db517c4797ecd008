//! Whether a disk has a partition for the store (UEFI 2.10, 5.3: GUID partition tables).

use super::disk::{Polled, read_now};
use crate::physical;
use kernel_core::memory::Frame;

const PAGE: usize = 4096;
const SECTOR: usize = 512;
/// Where the header is, and what it begins with.
const HEADER: usize = SECTOR;
const SIGNATURE: &[u8] = b"EFI PART";
/// Fields of the header: where the entries begin, how many they are, how large one is.
const ENTRIES: usize = 72;
const COUNT: usize = 80;
const SIZE: usize = 84;
/// Fields of an entry: first and last sector.
const FIRST: usize = 32;
const LAST: usize = 40;
/// `abi::partition::STORE` as a table has it: the first three groups little-endian.
const STORE: [u8; 16] = [
    0x65, 0x66, 0x69, 0x6C, 0x6F, 0x62, 0x74, 0x41, 0x80, 0x00, 0x73, 0x74, 0x6F, 0x72, 0x65, 0x00,
];
/// More entries than anybody has.
const ENTRIES_MAX: u32 = 128;

/// What was found.
pub(super) enum Found {
    /// The only partition of the disk: so many pages from the first on.
    Alone {
        /// The first.
        first: u64,
        /// How many.
        count: u64,
    },
    /// One among others.
    Shared,
}

/// Looks for the store's partition; `frame` is for reading.
pub(super) fn find(disk: &mut dyn Polled, frame: Frame) -> Option<Found> {
    let header = read(disk, frame, 0)?;
    let header = &header[HEADER..];
    let size = u32_at(header, SIZE) as usize;
    if !header.starts_with(SIGNATURE) || !(128..=SECTOR).contains(&size) {
        return None;
    }
    let start = usize::try_from(u64_at(header, ENTRIES)).ok()?.checked_mul(SECTOR)?;
    let count = u32_at(header, COUNT).min(ENTRIES_MAX) as usize;
    let (mut found, mut others) = (None, 0);
    for number in 0..count {
        let at = start + number * size;
        if at % PAGE + 48 > PAGE {
            return None;
        }
        let page = read(disk, frame, (at / PAGE) as u64)?;
        let entry = &page[at % PAGE..];
        match &entry[..16] {
            kind if kind.iter().all(|byte| *byte == 0) => {}
            kind if *kind == STORE => found = Some((u64_at(entry, FIRST), u64_at(entry, LAST))),
            _ => others += 1,
        }
    }
    let (first, last) = found?;
    let per_page = (PAGE / SECTOR) as u64;
    let (first, end) = (first.div_ceil(per_page), last.checked_add(1)? / per_page);
    let is_sane = first < end && end <= disk.pages();
    match others {
        0 if is_sane => Some(Found::Alone { first, count: end - first }),
        _ => Some(Found::Shared),
    }
}

fn read(disk: &mut dyn Polled, frame: Frame, page: u64) -> Option<[u8; PAGE]> {
    if !read_now(disk, page, frame) {
        return None;
    }
    // SAFETY: the frame is the caller's, the disk is done with it, and any bytes are valid.
    Some(unsafe { physical::frame::<[u8; PAGE]>(frame).read_volatile() })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
