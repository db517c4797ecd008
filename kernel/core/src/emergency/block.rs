//! The hook to the store's disk: runs of frames go to runs of pages and back, without interrupts
//! and without memory.
//!
//! One operation is on its way at a time; [`BlockIo::poll`] asks whether it has arrived. Whoever
//! waits does other things meanwhile, such as looking at keys.

use crate::memory::Frame;

/// Frames next to each other, and pages of the disk next to each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// The first page of the disk.
    pub page: u64,
    /// The first frame.
    pub frame: Frame,
    /// How many, at most [`RUN_MAX`].
    pub count: u32,
}

/// Most pages in one run: 1 MiB, with which a disk reaches its full speed.
pub const RUN_MAX: u32 = 256;

/// What a disk can be asked to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Memory to disk.
    Write(Run),
    /// Disk to memory.
    Read(Run),
    /// What was written stays, even without power.
    Flush,
}

/// The disk did not do it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IoError {
    /// It says so.
    Failed,
    /// It says nothing.
    Silent,
}

/// A disk.
pub trait BlockIo<M>: Send {
    /// Pages it has.
    fn capacity(&self) -> u64;
    /// Starts an operation. None is on its way.
    fn start(&mut self, machine: &mut M, operation: Operation) -> Result<(), IoError>;
    /// Whether it has arrived.
    fn poll(&mut self, machine: &mut M) -> Option<Result<(), IoError>>;
    /// Gives up on the operation: when this returns, the disk touches no memory any more.
    fn abandon(&mut self, machine: &mut M);
}
