//! The lot: where the pages of parked jobs are, behind the slots of the store.
//!
//! A parked job outlives its emergency, so its pages cannot stay in slots that belong to frames:
//! the next emergency would write over them. They move to places that are given out one by one.
//! What is known of a place (whose page, its hash) is in memory reserved at boot, and the bytes
//! pass through a few frames of the store's own, so that neither needs memory when there is none.

use super::bits::Bits;
use crate::memory::{Frame, Page};
use crate::task::ProcessId;

/// Most pages that move in one piece.
const PIECE_MAX: u32 = 64;
/// A page's number takes so many bits of an owner's word.
const PAGE_BITS: u32 = 36;

/// Words to reserve at boot for `frames` places: owner, hash and serial each, and a bit.
pub const fn reserve_words(frames: usize) -> usize {
    3 * frames + frames.div_ceil(64)
}

/// The lot.
#[derive(Debug, Default)]
pub struct Lot {
    /// The page of the disk where place 0 is.
    first: u64,
    /// Places that are free.
    free: Bits,
    hashes: &'static mut [u64],
    owners: &'static mut [u64],
    serials: &'static mut [u64],
    /// Counts pages that were put somewhere, so that no two are enciphered alike.
    serial: u64,
    /// The frames that pages pass through: the first, and how many.
    piece: Option<(Frame, u32)>,
}

impl Lot {
    /// A lot without a disk. `reserve` has [`reserve_words`] words, or none.
    pub fn new(reserve: &'static mut [u64], frames: usize) -> Self {
        if reserve.len() < reserve_words(frames) {
            return Self::default();
        }
        let (hashes, rest) = reserve.split_at_mut(frames);
        let (owners, rest) = rest.split_at_mut(frames);
        let (serials, bits) = rest.split_at_mut(frames);
        Self { hashes, owners, serials, free: Bits::new(bits), ..Self::default() }
    }

    /// Opens as many places as the disk has behind page `first`.
    pub fn open(&mut self, first: u64, capacity: u64, piece: Option<(Frame, u32)>) {
        self.first = first;
        self.piece = piece;
        let room = capacity.saturating_sub(first).min(self.hashes.len() as u64);
        let places = if piece.is_some() { room as usize } else { 0 };
        (0..places).for_each(|place| self.free.set(place));
    }

    /// The frame that a page of a piece passes through.
    pub fn frame(&self, index: u32) -> Option<Frame> {
        self.piece.filter(|(_, count)| index < *count).map(|(first, _)| Frame(first.0 + index))
    }

    /// How many pages move in one piece.
    pub fn piece(&self) -> u32 {
        self.piece.map_or(0, |(_, count)| count.min(PIECE_MAX))
    }

    /// Free places.
    pub fn room(&self) -> usize {
        self.free.count()
    }

    /// Free places next to each other, at most as many as move in one piece.
    pub fn free_run(&self) -> Option<(usize, u32)> {
        self.free.next_run(0, self.piece())
    }

    /// The page of the disk where a place is.
    pub fn page_of(&self, place: usize) -> u64 {
        self.first + place as u64
    }

    /// A place is taken by a page.
    pub fn take(&mut self, place: usize, owner: ProcessId, page: Page, hash: u64) {
        self.free.clear(place);
        self.owners[place] = (owner.0 as u64) << PAGE_BITS | page.0 as u64;
        self.hashes[place] = hash;
        self.serial += 1;
        self.serials[place] = self.serial;
    }

    /// What tells the page at a place from all others that were or will be there.
    pub fn serial(&self, place: usize) -> u64 {
        self.serials[place]
    }

    /// A place is free again.
    pub fn give_back(&mut self, place: usize) {
        self.free.set(place);
    }

    /// Whose page is at a place, and which.
    pub fn owner(&self, place: usize) -> Option<(ProcessId, Page)> {
        let word = *self.owners.get(place).filter(|_| !self.free.has(place))?;
        let page = Page((word & ((1 << PAGE_BITS) - 1)) as usize);
        Some((ProcessId((word >> PAGE_BITS) as usize), page))
    }

    /// The hash of the page at a place.
    pub fn hash(&self, place: usize) -> u64 {
        self.hashes[place]
    }

    /// One past the last place there may be.
    pub fn limit(&self) -> usize {
        self.owners.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn lot(frames: usize, capacity: u64) -> Lot {
        let mut lot = Lot::new(vec![0; reserve_words(frames)].leak(), frames);
        lot.open(100, capacity, Some((Frame(7), 64)));
        lot
    }

    #[test]
    fn a_lot_has_the_places_that_the_disk_has() {
        assert_eq!(lot(1000, 100).room(), 0);
        assert_eq!(lot(1000, 50).room(), 0);
        assert_eq!(lot(1000, 150).room(), 50);
        assert_eq!(lot(1000, 5000).room(), 1000);
        let mut none = Lot::new(&mut [], 1000);
        none.open(100, 5000, Some((Frame(7), 64)));
        assert_eq!((none.room(), none.free_run(), none.owner(3)), (0, None, None));
    }

    #[test]
    fn places_are_taken_and_given_back() {
        let mut lot = lot(200, 5000);
        assert_eq!(lot.free_run(), Some((0, 64)));
        let page = Page(0x7_FFFF_FFFF);
        (0..70).for_each(|place| lot.take(place, ProcessId(30_000), page, 9));
        assert_eq!((lot.room(), lot.free_run()), (130, Some((70, 64))));
        assert_eq!(lot.owner(69), Some((ProcessId(30_000), page)));
        assert_eq!(lot.owner(70), None);
        lot.give_back(3);
        assert_eq!((lot.free_run(), lot.owner(3)), (Some((3, 1)), None));
        assert_eq!(lot.page_of(3), 103);
    }
}
