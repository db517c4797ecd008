//! Memory for what lives as long as the machine: tables, stacks, per-CPU blocks.
//!
//! Taken from the ends of the free regions before the rest is handed to the frame allocator. It
//! is never given back.

use super::regions::{Region, Regions};
use crate::physical;
use kernel_core::memory::{Frame, PhysicalAddress};

/// Early tables show memory up to here only.
const REACH: u64 = 4 << 30;

/// Free memory during boot.
pub(crate) struct BootMemory {
    regions: Regions,
}

impl BootMemory {
    /// Takes over the free memory.
    pub(crate) fn new(regions: Regions) -> Self {
        Self { regions }
    }

    /// A frame full of zeroes.
    ///
    /// # Panics
    /// When there is none: a machine with less than a few MiB.
    pub(crate) fn frame(&mut self) -> Frame {
        let at = self.run(1).frame();
        // SAFETY: the frame is ours alone, and within the reach of the early tables.
        unsafe { physical::zero(at) };
        at
    }

    /// `count` frames in a row with whatever they hold.
    ///
    /// # Panics
    /// As for [`BootMemory::frame`].
    pub(crate) fn run(&mut self, count: usize) -> PhysicalAddress {
        match self.regions.take(count as u64 * 4096, REACH) {
            Some(at) => PhysicalAddress(at),
            None => panic!("not enough memory to start: {count} frames in a row wanted"),
        }
    }

    /// `count` frames in a row anywhere in memory, for use once the window shows all of it.
    ///
    /// # Panics
    /// As for [`BootMemory::frame`].
    pub(crate) fn run_anywhere(&mut self, count: usize) -> PhysicalAddress {
        match self.regions.take(count as u64 * 4096, u64::MAX) {
            Some(at) => PhysicalAddress(at),
            None => panic!("not enough memory to start: {count} frames in a row wanted"),
        }
    }

    /// What is left.
    pub(crate) fn regions(&self) -> &[Region] {
        self.regions.as_slice()
    }
}
