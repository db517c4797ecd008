//! A scheme daemon's request window: the part of its memory where the kernel puts what clients
//! send, and takes what they are to get.
//!
//! A request's bytes move once: from the client's page to the window, or from the window to the
//! client's page, through the kernel's physical map. The daemon never sees any other byte of its
//! clients, and nothing is mapped or unmapped per request.

use super::address::{Frame, Page, Pages, PhysicalAddress};
use super::frames::{Frames, NoMemory};
use super::space::{Kind, Region, Space};
use crate::machine::{Access, Machine};
use abi::PAGE_SIZE;
use alloc::vec;
use alloc::vec::Vec;

/// Pages in a window: 8 MiB.
const PAGES: usize = 2048;
/// The longest payload of one request, in bytes.
pub const PAYLOAD_MAX: usize = 1 << 20;

/// Pages of the window that one request uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot {
    first: u32,
    count: u32,
}

impl Slot {
    fn indices(self) -> core::ops::Range<usize> {
        self.first as usize..(self.first + self.count) as usize
    }
}

/// The window of one scheme.
pub struct Window {
    first: Page,
    /// One bit per page: in use.
    used: Vec<u64>,
    /// Pages get their frame when first used, and keep it.
    frames: Vec<Option<Frame>>,
    /// A free page that has its frame, if one is at hand: most requests need one page, and the
    /// last one's will do.
    spare: Option<Slot>,
}

impl Window {
    /// Reserves the room in the daemon's space. `None` when there is none.
    pub fn new<M: Machine>(space: &mut Space<M>) -> Option<Self> {
        let pages = space.find_free(PAGES, Page(0))?;
        space.add(Region::new(pages, Access::READ | Access::WRITE, Kind::Window));
        Some(Self {
            first: pages.start,
            used: vec![0; PAGES / 64],
            frames: vec![None; PAGES],
            spare: None,
        })
    }

    /// The pages of the daemon's space it covers.
    pub fn pages(&self) -> Pages {
        Pages { start: self.first, end: Page(self.first.0 + PAGES) }
    }

    /// Takes room for `length` bytes, at most [`PAYLOAD_MAX`], with a frame for every page. `None`
    /// when the window is full.
    #[inline(always)]
    pub fn take<M: Machine>(
        &mut self,
        length: usize,
        machine: &mut M,
        frames: &mut Frames,
        space: &mut Space<M>,
    ) -> Result<Option<Slot>, NoMemory> {
        match self.spare.take_if(|_| length <= PAGE_SIZE) {
            Some(spare) => Ok(Some(spare)),
            None => self.take_other(length, machine, frames, space),
        }
    }

    fn take_other<M: Machine>(
        &mut self,
        length: usize,
        machine: &mut M,
        frames: &mut Frames,
        space: &mut Space<M>,
    ) -> Result<Option<Slot>, NoMemory> {
        if let Some(spare) = self.spare.take() {
            // It must not be in the way of a long run.
            self.mark(spare, false);
        }
        let Some(slot) = self.find(length) else { return Ok(None) };
        match self.back(machine, frames, space, slot) {
            Ok(()) => Ok(Some(slot)),
            Err(error) => {
                self.mark(slot, false);
                Err(error)
            }
        }
    }

    fn find(&mut self, length: usize) -> Option<Slot> {
        let count = length.div_ceil(PAGE_SIZE).max(1);
        let first = if count == 1 { self.find_one() } else { self.find_run(count) }?;
        let slot = Slot { first: first as u32, count: count as u32 };
        self.mark(slot, true);
        Some(slot)
    }

    /// Gives a slot back.
    #[inline]
    pub fn give_back(&mut self, slot: Slot) {
        if slot.count == 1 && self.spare.is_none() {
            self.spare = Some(slot);
        } else {
            self.mark(slot, false);
        }
    }

    /// Makes sure that every page of the slot has a frame.
    fn back<M: Machine>(
        &mut self,
        machine: &mut M,
        frames: &mut Frames,
        space: &mut Space<M>,
        slot: Slot,
    ) -> Result<(), NoMemory> {
        for index in slot.indices() {
            if self.frames[index].is_some() {
                continue;
            }
            let frame = frames.allocate().ok_or(NoMemory)?;
            machine.zero(frame);
            let page = Page(self.first.0 + index);
            space.place(machine, frames, page, frame, Access::READ | Access::WRITE)?;
            self.frames[index] = Some(frame);
        }
        Ok(())
    }

    /// Where the slot is for the daemon.
    #[inline]
    pub fn address(&self, slot: Slot) -> usize {
        Page(self.first.0 + slot.first as usize).start()
    }

    /// Where the byte at `offset` of a backed slot is in physical memory, and how many bytes
    /// follow in the same frame.
    #[inline(always)]
    pub fn physical(&self, slot: Slot, offset: usize) -> (PhysicalAddress, usize) {
        let index = slot.first as usize + offset / PAGE_SIZE;
        let frame = self.frames[index].expect("a slot is backed before it is used");
        let inside = offset % PAGE_SIZE;
        (frame.at(inside), PAGE_SIZE - inside)
    }

    fn find_one(&self) -> Option<usize> {
        let word = self.used.iter().position(|word| *word != u64::MAX)?;
        Some(word * 64 + self.used[word].trailing_ones() as usize)
    }

    fn find_run(&self, count: usize) -> Option<usize> {
        let mut length = 0;
        for page in 0..PAGES {
            length = if self.is_used(page) { 0 } else { length + 1 };
            if length == count {
                return Some(page + 1 - count);
            }
        }
        None
    }

    fn is_used(&self, page: usize) -> bool {
        self.used[page / 64] & (1 << (page % 64)) != 0
    }

    fn mark(&mut self, slot: Slot, used: bool) {
        for page in slot.indices() {
            debug_assert!(self.is_used(page) != used, "a slot is taken or given back twice");
            self.used[page / 64] ^= 1 << (page % 64);
        }
    }
}
