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
const ENTRIES_MAX: u64 = 128;

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
    let page = Page(frame);
    page.read(disk, 0)?;
    let size = page.number(HEADER + SIZE, 4) as usize;
    let is_table = SIGNATURE.iter().zip(HEADER..).all(|(byte, at)| page.byte(at) == *byte);
    if !is_table || !(128..=SECTOR).contains(&size) {
        return None;
    }
    let start = usize::try_from(page.number(HEADER + ENTRIES, 8)).ok()?.checked_mul(SECTOR)?;
    let count = page.number(HEADER + COUNT, 4).min(ENTRIES_MAX) as usize;
    let (mut found, mut others, mut shown) = (None, 0, 0);
    for number in 0..count {
        let (number, at) = ((start + number * size) / PAGE, (start + number * size) % PAGE);
        if at + LAST + 8 > PAGE {
            return None;
        }
        if number != shown {
            page.read(disk, number as u64)?;
            shown = number;
        }
        let is = |kind: [u8; 16]| kind.iter().zip(at..).all(|(byte, at)| page.byte(at) == *byte);
        match () {
            () if is([0; 16]) => {}
            () if is(STORE) => found = Some((page.number(at + FIRST, 8), page.number(at + LAST, 8))),
            () => others += 1,
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

/// A frame that pages of the disk are read into.
struct Page(Frame);

impl Page {
    fn read(&self, disk: &mut dyn Polled, page: u64) -> Option<()> {
        read_now(disk, page, self.0).then_some(())
    }

    fn byte(&self, at: usize) -> u8 {
        debug_assert!(at < PAGE);
        // SAFETY: inside the frame, which is the caller's; the disk is done with it.
        unsafe { physical::frame::<u8>(self.0).add(at % PAGE).read_volatile() }
    }

    /// A little-endian number of so many bytes.
    fn number(&self, at: usize, bytes: usize) -> u64 {
        (at..at + bytes).rev().fold(0, |value, at| value << 8 | u64::from(self.byte(at)))
    }
}
