//! Bringing pages back: what is still in memory is checked against its hash; what is not, or does
//! not pass, is read from the disk and checked again. Only what passes is ever run on.

use super::super::Kernel;
use crate::emergency::block::{IoError, Operation, RUN_MAX};
use crate::emergency::store::Store;
use crate::emergency::{Locking, Stage, Sweep};
use crate::machine::Machine;
use crate::memory::Frame;
use core::ops::Range;

/// Pages checked in one step.
const CHECK_STEP: usize = 256;
/// How often the disk is asked for the same page.
const TRIES: u8 = 3;

impl<M: Machine> Kernel<M> {
    /// Enough memory is free: from now on pages come back.
    pub(super) fn restore_survivors(&mut self) {
        if self.is_leaving() {
            return;
        }
        let is_used = self.emergency.store.held.count() > 0;
        let is_open = self.emergency.store.header.state != store_format::State::Idle;
        let next = match () {
            () if is_used && self.emergency.daemon.is_asking => Stage::Lock(Locking::default()),
            () if is_used && self.emergency.store.is_ready() => Stage::Reopen,
            () if is_used => Stage::Restore(Sweep::default()),
            () if is_open && self.emergency.store.is_ready() => self.closing(),
            () => Stage::Done,
        };
        self.emergency.stage = next;
    }

    /// Checks the next frames, and starts reading where memory does not have what it should.
    pub(super) fn restore_step(&mut self, sweep: Sweep) {
        let mut sweep = sweep;
        for _ in 0..CHECK_STEP {
            let Some(slot) = self.emergency.store.held.next(sweep.next) else {
                return self.restored();
            };
            sweep.next = slot;
            if !self.frames.is_away(Frame(slot as u32)) {
                // Its owners were ended.
                self.emergency.store.held.clear(slot);
                self.emergency.record.discarded += 1;
            } else if self.emergency.store.is_intact(&self.machine, slot) {
                self.came_back(slot);
            } else {
                return self.fetch(sweep);
            }
        }
        self.finish_stage(Stage::Restore(sweep));
    }

    fn came_back(&mut self, slot: usize) {
        self.emergency.store.held.clear(slot);
        self.frames.come_back(Frame(slot as u32));
        self.emergency.record.restored += 1;
    }

    /// Starts reading a run of pages.
    fn fetch(&mut self, sweep: Sweep) {
        let is_erased = self.emergency.is_erasing || self.emergency.record.raw_pages > 0;
        let is_narrow = sweep.next < sweep.narrow_until || !is_erased;
        let most = if is_narrow { 1 } else { RUN_MAX };
        let store = &mut self.emergency.store;
        let Some((first, count)) = store.held.next_run(sweep.next, most) else { return };
        let living = |slot: &usize| self.frames.is_away(Frame(*slot as u32));
        let count = (first..first + count as usize).take_while(living).count() as u32;
        let result = match count {
            _ if !store.is_ready() => Err(IoError::Failed),
            1 => store.read_page(&mut self.machine, first),
            _ => store.read_run(&mut self.machine, first, count),
        };
        self.finish_stage(Stage::Restore(sweep));
        if result.is_err() {
            self.lose(sweep);
        }
    }

    /// A read is over.
    pub(super) fn read(&mut self, sweep: Sweep, op: Operation, result: Result<(), IoError>) {
        let Operation::Read(run) = op else { return };
        let slots = Store::<M>::slots(run);
        let first = slots.start;
        if result == Err(IoError::Silent) {
            self.emergency.store.give_up("the disk does not answer");
        }
        if result.is_ok() && self.is_whole(slots.clone()) {
            self.emergency.store.held.clear_run(slots.clone());
            slots.clone().for_each(|slot| self.frames.come_back(Frame(slot as u32)));
            self.emergency.record.restored += slots.len();
            self.emergency.record.read_back += slots.len();
            let next = Sweep { next: slots.end, tries: 0, ..sweep };
            return self.finish_stage(Stage::Restore(next));
        }
        if run.count > 1 {
            let narrow = Sweep { next: first, narrow_until: slots.end, tries: 0 };
            return self.finish_stage(Stage::Restore(narrow));
        }
        if sweep.tries + 1 < TRIES && self.emergency.store.is_ready() {
            return self.finish_stage(Stage::Restore(Sweep { tries: sweep.tries + 1, ..sweep }));
        }
        self.lose(sweep);
    }

    /// Makes what has come from the disk readable, up to the first page that is wrong.
    fn is_whole(&mut self, mut slots: Range<usize>) -> bool {
        let (store, machine) = (&self.emergency.store, &mut self.machine);
        slots.all(|slot| {
            store.decipher(machine, slot);
            store.is_intact(machine, slot)
        })
    }

    /// The page is gone. Whoever has it ends when all others are back.
    fn lose(&mut self, sweep: Sweep) {
        let slot = sweep.next;
        self.emergency.store.held.clear(slot);
        self.emergency.store.lost.set(slot);
        self.emergency.record.lost_pages += 1;
        self.finish_stage(Stage::Restore(Sweep { next: slot + 1, tries: 0, ..sweep }));
    }

    fn restored(&mut self) {
        let now = self.now();
        let record = &mut self.emergency.record;
        record.read_ns = now.saturating_sub(record.began_ns);
        self.end_casualties();
        if self.emergency.is_recalling {
            return self.recalled();
        }
        self.frames.has_away = false;
        let is_ready = self.emergency.store.is_ready();
        self.finish_stage(if is_ready { self.closing() } else { Stage::Done });
    }
}
