//! What the store's drivers have in common: one operation at a time, asked for until it is done.

use crate::pc::Pc;
use crate::time;
use alloc::boxed::Box;
use kernel_core::emergency::block::{BlockIo, IoError, Operation, Run};
use kernel_core::memory::Frame;

/// How long a disk may take for anything at boot, in nanoseconds.
const PATIENCE_NS: u64 = 2_000_000_000;

/// A driver that waits for no interrupt.
pub(super) trait Polled: Send {
    /// Pages that the disk has.
    fn pages(&self) -> u64;
    /// Starts an operation inside the disk. None is on its way.
    fn send(&mut self, operation: Operation) -> Result<(), IoError>;
    /// Whether it has been carried out.
    fn look(&mut self) -> Option<Result<(), IoError>>;
    /// Stops the disk: when this returns it touches no memory.
    fn let_go(&mut self);
}

/// A disk, or a part of one, as the store uses it.
pub(super) struct Disk {
    driver: Box<dyn Polled>,
    first: u64,
    count: u64,
}

impl Disk {
    /// All of a disk.
    pub(super) fn whole(driver: Box<dyn Polled>) -> Self {
        let count = driver.pages();
        Self { driver, first: 0, count }
    }

    /// `count` pages from `first` on.
    pub(super) fn part(driver: Box<dyn Polled>, first: u64, count: u64) -> Self {
        Self { driver, first, count }
    }
}

impl BlockIo<Pc> for Disk {
    fn capacity(&self) -> u64 {
        self.count
    }

    fn start(&mut self, _: &mut Pc, operation: Operation) -> Result<(), IoError> {
        let moved = |run: Run| {
            let is_inside = run.page + u64::from(run.count) <= self.count;
            let page = self.first + run.page;
            is_inside.then_some(Run { page, ..run }).ok_or(IoError::Failed)
        };
        self.driver.send(match operation {
            Operation::Write(run) => Operation::Write(moved(run)?),
            Operation::Read(run) => Operation::Read(moved(run)?),
            Operation::Flush => Operation::Flush,
        })
    }

    fn poll(&mut self, _: &mut Pc) -> Option<Result<(), IoError>> {
        self.driver.look()
    }

    fn abandon(&mut self, _: &mut Pc) {
        self.driver.let_go();
    }
}

/// Waits until `is_done`, but not for ever.
pub(super) fn wait_until(mut is_done: impl FnMut() -> bool) -> bool {
    let start = time::ticks();
    while !is_done() {
        if time::nanoseconds(time::ticks() - start) > PATIENCE_NS {
            return false;
        }
        core::hint::spin_loop();
    }
    true
}

/// Reads a page at boot, when there is nothing else to do than wait.
pub(super) fn read_now(disk: &mut dyn Polled, page: u64, frame: Frame) -> bool {
    let run = Run { page, frame, count: 1 };
    if page >= disk.pages() || disk.send(Operation::Read(run)).is_err() {
        return false;
    }
    let mut result = None;
    let has_come = wait_until(|| {
        result = disk.look();
        result.is_some()
    });
    if !has_come {
        disk.let_go();
    }
    result == Some(Ok(()))
}
