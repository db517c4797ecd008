//! `emergency:ctl`, `test` — how fast the store is, measured before anything is written to it.
//!
//! The raw rate through the same hook: a page of zeroes after the other to slots that hold nothing,
//! and back. What an emergency makes of it is in the record beside it.

use super::super::Kernel;
use crate::emergency::block::{IoError, Operation};
use crate::emergency::{Probe, Stage};
use crate::machine::Machine;

/// Pages that are written and read.
const PAGES: usize = 2048;

impl<M: Machine> Kernel<M> {
    /// Where measuring begins.
    pub(super) fn first_probe(&self) -> Stage {
        let store = &self.emergency.store;
        let pages = PAGES.min(store.total_page_slots()).min(store.wanted.count());
        Stage::Probe(Probe { pages, began_ns: self.now(), ..Probe::default() })
    }

    /// Starts the next run.
    pub(super) fn probe_step(&mut self, probe: Probe) {
        let now = self.now();
        let left = (probe.pages - probe.done) as u32;
        if left > 0 {
            let store = &mut self.emergency.store;
            let started = store.probe_run(&mut self.machine, probe.done, left, probe.is_reading);
            return started.unwrap_or_else(|error| self.go_without(error));
        }
        let record = &mut self.emergency.record;
        if probe.is_reading {
            record.raw_read_ns = now - probe.began_ns;
            return self.finish_stage(Stage::Open);
        }
        record.raw_pages = probe.pages;
        record.raw_write_ns = now - probe.began_ns;
        let next = Probe { done: 0, is_reading: true, began_ns: now, ..probe };
        self.finish_stage(Stage::Probe(next));
    }

    /// A run is over.
    pub(super) fn probed(&mut self, probe: Probe, op: Operation, result: Result<(), IoError>) {
        let (Operation::Write(run) | Operation::Read(run)) = op else { return };
        match result {
            Ok(()) => {
                let done = probe.done + run.count as usize;
                self.finish_stage(Stage::Probe(Probe { done, ..probe }));
            }
            Err(error) => self.go_without(error),
        }
    }
}
