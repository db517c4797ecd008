//! `emergency.store=ram:MIB` — a store in memory that nobody else gets: it measures what the
//! kernel does for a page, without a disk.

use super::disk::Polled;
use crate::boot::memory::BootMemory;
use crate::physical;
use kernel_core::emergency::block::{IoError, Operation, Run};
use kernel_core::memory::PhysicalAddress;

const PAGE: u64 = 4096;

/// The memory.
pub(super) struct Ram {
    start: PhysicalAddress,
    pages: u64,
    is_done: bool,
}

impl Ram {
    /// Takes `mib` MiB of memory for it.
    ///
    /// # Panics
    /// When there is not so much.
    pub(super) fn new(memory: &mut BootMemory, mib: usize) -> Self {
        let pages = mib * 256;
        Self { start: memory.run_anywhere(pages), pages: pages as u64, is_done: false }
    }

    fn place(&self, run: Run) -> Result<PhysicalAddress, IoError> {
        let is_inside = run.page + u64::from(run.count) <= self.pages;
        let at = PhysicalAddress(self.start.0 + run.page * PAGE);
        is_inside.then_some(at).ok_or(IoError::Failed)
    }
}

impl Polled for Ram {
    fn pages(&self) -> u64 {
        self.pages
    }

    fn send(&mut self, operation: Operation) -> Result<(), IoError> {
        let (from, to, run) = match operation {
            Operation::Write(run) => (run.frame.start(), self.place(run)?, run),
            Operation::Read(run) => (self.place(run)?, run.frame.start(), run),
            Operation::Flush => {
                self.is_done = true;
                return Ok(());
            }
        };
        let length = run.count as usize * PAGE as usize;
        // SAFETY: the window shows both; the store's memory was taken from the boot memory and is
        // nobody else's, the frames are the caller's.
        unsafe { physical::copy(physical::pointer(from), physical::pointer(to), length) };
        self.is_done = true;
        Ok(())
    }

    fn look(&mut self) -> Option<Result<(), IoError>> {
        core::mem::take(&mut self.is_done).then_some(Ok(()))
    }

    fn let_go(&mut self) {}
}
