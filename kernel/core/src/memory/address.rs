//! Addresses, frames and pages: numbers that must not be mixed up.

use abi::{PAGE_SIZE, USER_END};
use core::fmt;

/// An address on the memory bus.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhysicalAddress(pub u64);

impl PhysicalAddress {
    /// The frame that holds this address.
    pub const fn frame(self) -> Frame {
        Frame((self.0 / PAGE_SIZE as u64) as u32)
    }

    /// How far into its frame this address is, in bytes.
    pub const fn offset_in_frame(self) -> usize {
        self.0 as usize % PAGE_SIZE
    }
}

impl fmt::Debug for PhysicalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "physical {:#x}", self.0)
    }
}

/// The number of a 4 KiB piece of physical memory. 32 bits reach 16 TiB.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Frame(pub u32);

impl Frame {
    /// Its first byte.
    pub const fn start(self) -> PhysicalAddress {
        PhysicalAddress(self.0 as u64 * PAGE_SIZE as u64)
    }

    /// The address `offset` bytes into it.
    pub const fn at(self, offset: usize) -> PhysicalAddress {
        PhysicalAddress(self.start().0 + offset as u64)
    }
}

/// The number of a 4 KiB piece of a virtual address space.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Page(pub usize);

impl Page {
    /// The page that holds `address`.
    pub const fn containing(address: usize) -> Self {
        Self(address / PAGE_SIZE)
    }

    /// Its first byte.
    pub const fn start(self) -> usize {
        self.0 * PAGE_SIZE
    }

    /// The page after it.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A run of pages: `start` up to, not including, `end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pages {
    /// The first.
    pub start: Page,
    /// One past the last.
    pub end: Page,
}

impl Pages {
    /// All that user code may have.
    pub const USER: Self = Self { start: Page(0), end: Page(USER_END / PAGE_SIZE) };

    /// Every page that `[address, address + length)` touches. The caller has checked that the sum
    /// does not overflow.
    pub const fn covering(address: usize, length: usize) -> Self {
        let end = (address + length).div_ceil(PAGE_SIZE);
        Self { start: Page::containing(address), end: Page(end) }
    }

    /// One page.
    pub const fn one(page: Page) -> Self {
        Self { start: page, end: page.next() }
    }

    /// How many.
    pub const fn count(self) -> usize {
        self.end.0.saturating_sub(self.start.0)
    }

    /// Whether `page` is among them.
    pub const fn contains(self, page: Page) -> bool {
        self.start.0 <= page.0 && page.0 < self.end.0
    }
}
