//! A disk for the emergency store: a vector of bytes with a script of what goes wrong.

use crate::hardware::Sim;
use abi::PAGE_SIZE;
use kernel_core::emergency::block::{BlockIo, IoError, Operation, Run};
use kernel_core::machine::Machine;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An operation takes so long, and so much longer for each page.
const OPERATION_NS: u64 = 20_000;
const PAGE_NS: u64 = 2_000;

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Writing this page fails, always.
    WritePage(u64),
    /// Reading this page fails, always.
    ReadPage(u64),
    /// Every write fails.
    Writes,
    /// Writing a page that was written since the fault came fails.
    Rewrites,
    /// Every flush fails.
    Flushes,
    /// Nothing is ever answered again, after so many operations.
    SilentAfter(u64),
    /// Every n-th operation fails once.
    Every(u64),
    /// Every page takes so many nanoseconds more.
    Slow(u64),
}

/// A disk, shared by the machine and the story.
#[derive(Clone)]
pub struct Disk(Arc<Mutex<State>>);

struct State {
    bytes: Vec<u8>,
    faults: Vec<Fault>,
    operations: u64,
    /// What is on its way, and when it arrives.
    flight: Option<(Operation, u64)>,
    /// The story wants to change what is written, when a page has come.
    flips: Vec<(u64, usize)>,
    /// Slots written since the last fault was added.
    written: Vec<bool>,
    /// What was done to the disk, if somebody wants to know.
    journal: Option<Vec<Entry>>,
}

/// Something that was done to a disk.
#[derive(Clone, Debug)]
pub enum Entry {
    /// These bytes were written, from this page on.
    Write(u64, Vec<u8>),
    /// Everything written before stays.
    Flush,
}

impl Disk {
    /// A disk of so many pages, all zero.
    pub fn new(pages: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            bytes: vec![0; pages * PAGE_SIZE],
            faults: Vec::new(),
            operations: 0,
            flight: None,
            flips: Vec::new(),
            written: vec![false; pages],
            journal: None,
        })))
    }

    /// With something that goes wrong.
    pub fn with(self, fault: Fault) -> Self {
        let mut state = self.state();
        state.faults.push(fault);
        state.written.fill(false);
        drop(state);
        self
    }

    /// Nothing goes wrong any more.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// A bit of this page changes right after the page was written.
    pub fn flipping(self, page: u64, bit: usize) -> Self {
        self.state().flips.push((page, bit));
        self
    }

    /// Notes from now on what is done to it.
    pub fn keep_journal(&self) {
        self.state().journal = Some(Vec::new());
    }

    /// What was done to it since it was to note that.
    pub fn journal(&self) -> Vec<Entry> {
        self.state().journal.clone().unwrap_or_default()
    }

    /// What is on it.
    pub fn bytes(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    /// Replaces what is on it from the start on.
    pub fn put(&self, bytes: &[u8]) {
        self.state().bytes[..bytes.len()].copy_from_slice(bytes);
    }

    /// Operations it has been asked for.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn range(run: Run) -> std::ops::Range<usize> {
        let start = run.page as usize * PAGE_SIZE;
        start..start + run.count as usize * PAGE_SIZE
    }

    fn has(&self, wanted: impl Fn(Fault) -> bool) -> bool {
        self.faults.iter().any(|fault| wanted(*fault))
    }

    fn result(&self, operation: Operation) -> Result<(), IoError> {
        let covers = |run: Run, page| (run.page..run.page + u64::from(run.count)).contains(&page);
        let fails = self.has(|fault| match (fault, operation) {
            (Fault::WritePage(page), Operation::Write(run)) => covers(run, page),
            (Fault::ReadPage(page), Operation::Read(run)) => covers(run, page),
            (Fault::Writes, Operation::Write(_)) | (Fault::Flushes, Operation::Flush) => true,
            (Fault::Rewrites, Operation::Write(run)) => {
                let mut pages = run.page..run.page + u64::from(run.count);
                run.page >= store_format::FIRST_SLOT
                    && pages.any(|page| self.written[page as usize])
            }
            (Fault::Every(n), _) => self.operations.is_multiple_of(n),
            _ => false,
        });
        if fails { Err(IoError::Failed) } else { Ok(()) }
    }

    fn carry_out(&mut self, machine: &mut Sim, operation: Operation) {
        match operation {
            Operation::Write(run) => {
                let range = Self::range(run);
                machine.read(run.frame.start(), &mut self.bytes[range]);
                self.written[run.page as usize..][..run.count as usize].fill(true);
                for (page, bit) in &self.flips {
                    if (run.page..run.page + u64::from(run.count)).contains(page) {
                        self.bytes[*page as usize * PAGE_SIZE + bit / 8] ^= 1 << (bit % 8);
                    }
                }
            }
            Operation::Read(run) => machine.write(run.frame.start(), &self.bytes[Self::range(run)]),
            Operation::Flush => {}
        }
        let Some(journal) = &mut self.journal else { return };
        match operation {
            Operation::Write(run) => {
                journal.push(Entry::Write(run.page, self.bytes[Self::range(run)].to_vec()));
            }
            Operation::Flush => journal.push(Entry::Flush),
            Operation::Read(_) => {}
        }
    }
}

impl BlockIo<Sim> for Disk {
    fn capacity(&self) -> u64 {
        (self.state().bytes.len() / PAGE_SIZE) as u64
    }

    fn start(&mut self, machine: &mut Sim, operation: Operation) -> Result<(), IoError> {
        let mut state = self.state();
        assert!(state.flight.is_none(), "one operation at a time");
        state.operations += 1;
        let pages = match operation {
            Operation::Write(run) | Operation::Read(run) => {
                let end = run.page as usize + run.count as usize;
                assert!(end * PAGE_SIZE <= state.bytes.len(), "{run:?} is behind the disk's end");
                u64::from(run.count)
            }
            Operation::Flush => 0,
        };
        let slow = state.faults.iter().map(|fault| match fault {
            Fault::Slow(nanoseconds) => *nanoseconds,
            _ => 0,
        });
        let each = PAGE_NS + slow.sum::<u64>();
        state.flight = Some((operation, machine.ticks() + OPERATION_NS + pages * each));
        Ok(())
    }

    fn poll(&mut self, machine: &mut Sim) -> Option<Result<(), IoError>> {
        let mut state = self.state();
        let (operation, arrives) = state.flight?;
        let count = state.operations;
        let is_silent = state.has(|fault| matches!(fault, Fault::SilentAfter(n) if count > n));
        if is_silent {
            // Waiting costs simulated time, and little of the test's.
            machine.pass(1_000_000);
            return None;
        }
        if machine.ticks() < arrives {
            // A slow disk costs simulated time, and little of the test's.
            if state.has(|fault| matches!(fault, Fault::Slow(1..))) {
                machine.pass(200_000);
            }
            return None;
        }
        state.flight = None;
        let result = state.result(operation);
        if result.is_ok() {
            state.carry_out(machine, operation);
        }
        Some(result)
    }

    fn abandon(&mut self, _: &mut Sim) {
        self.state().flight = None;
    }
}
