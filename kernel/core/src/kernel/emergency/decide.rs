//! Carrying out what was chosen: the memory of jobs that end goes at once, the rest of them when
//! the world goes on.

use super::super::Kernel;
use crate::emergency::Stage;
use crate::emergency::picker::{Decision, PickerAction};
use crate::emergency::pressure::MemoryPressureLevel;
use crate::emergency::record::{Decider, Ended, Name, Verb};
use crate::emergency::snapshot::Fate;
use crate::log::Level;
use crate::machine::Machine;

impl<M: Machine> Kernel<M> {
    /// Carries out what was decided, once nothing is on its way any more. True when there was
    /// something.
    pub(super) fn carry_out(&mut self) -> bool {
        let stage = self.emergency.stage;
        let is_amid = matches!(stage, Stage::Count(_) | Stage::Park(_) | Stage::ParkFlush(_))
            || self.emergency.is_recalling;
        if is_amid || !self.emergency.store.is_at_rest() {
            return false;
        }
        let Some((decision, decider)) = self.emergency.pending.take() else { return false };
        if !self.is_leaving() {
            self.decide(decision, decider);
        }
        true
    }

    fn decide(&mut self, decision: Decision, decider: Decider) {
        self.emergency.record.decider = decider;
        self.emergency.record.decided_ns = self.now();
        if decision == Decision::Act {
            for job in 0..self.emergency.snapshot.len() {
                match self.emergency.picker.mark(job) {
                    Some(PickerAction::Kill) => self.discard_killed(job, Fate::Killed),
                    Some(PickerAction::Save) => self.let_save(job),
                    // One after the other, below.
                    Some(PickerAction::Park) => continue,
                    None => continue,
                }
                self.emergency.picker.set_mark(job, None);
            }
        }
        if !self.park_next() {
            self.leave_if_enough();
        }
        self.draw();
    }

    /// Lets the world go on when enough memory is free, or somebody is to save.
    pub(super) fn leave_if_enough(&mut self) {
        let has_savers = self.processes.iter().any(|(_, process)| process.is_saving);
        if has_savers || self.frames.totals().free >= self.resume_target() {
            self.restore_survivors();
        }
    }

    /// Ends a job as far as memory is concerned: its frames come free unless others have them
    /// too, and what the store has of it is worth nothing. Allocates nothing.
    pub(super) fn discard_killed(&mut self, job: usize, fate: Fate) {
        let entry = self.emergency.snapshot.entry_mut(job);
        if entry.fate != Fate::Lives || entry.is_first {
            return;
        }
        entry.fate = fate;
        let entry = *entry;
        let before = self.frames.totals().free;
        let mut next = entry.first;
        while let Some(id) = next {
            let process = &mut self.processes[id.0];
            process.is_doomed = true;
            next = process.next_in_job;
            self.emergency.store.mark_slot_killed(process.pid);
            if let Some(space) = process.space.and_then(|space| self.spaces.get_mut(space.0)) {
                space.discard(&mut self.machine, &mut self.frames);
            }
        }
        let frames = self.frames.totals().free - before;
        self.emergency.record.add(Ended {
            pid: entry.pid,
            processes: entry.processes,
            name: entry.name,
            frames,
            verb: if fate == Fate::Lost { Verb::Lost } else { Verb::Ended },
        });
    }

    /// Tells the story of the emergency that is over.
    pub(super) fn report_emergency(&mut self) {
        let record = self.emergency.record;
        self.emergency.records.add(record);
        let counts = self.frames.totals();
        let level = MemoryPressureLevel::Normal.next(counts.free, counts.total);
        self.set_level(level);
        self.look_at_pressure();
        let seconds = (record.thawed_ns - record.frozen_ns) / 1_000_000_000;
        let by = match record.decider {
            Decider::Person => "a person",
            Decider::Policy => "the policy",
            Decider::Daemon => "the daemon",
            Decider::Test => "a test",
        };
        for ended in record.named() {
            let (name, pid, mib) = (Name(&ended.name), ended.pid, ended.frames / 256);
            let processes = ended.processes;
            let (verb, why) = match ended.verb {
                Verb::Ended => ("ended", by),
                Verb::Saved => ("asked to save and end", by),
                Verb::Parked => ("parked", by),
                Verb::Lost => ("ended", "its pages could not be read back"),
            };
            self.log(
                Level::Warn,
                "emergency",
                format_args!("{verb} {name} (pid {pid}, {processes} processes, {mib} MiB): {why}"),
            );
        }
        let why = if record.decider == Decider::Test { "a test" } else { "memory was full" };
        self.log(
            Level::Warn,
            "emergency",
            format_args!("{why}; the world stood still for {seconds} s. `emerg log` tells more"),
        );
    }

    /// After bringing pages back: whoever has one that could not be is ended, everyone else is
    /// not touched.
    pub(super) fn end_casualties(&mut self) {
        if self.emergency.store.lost.count() == 0 {
            return;
        }
        for job in 0..self.emergency.snapshot.len() {
            if self.has_lost_page(job) {
                self.discard_killed(job, Fate::Lost);
            }
        }
        self.emergency.store.lost.clear_all();
    }

    fn has_lost_page(&self, job: usize) -> bool {
        let entry = &self.emergency.snapshot.entries()[job];
        let mut next = entry.first;
        while let Some(id) = next {
            let process = &self.processes[id.0];
            next = process.next_in_job;
            let space = process.space.and_then(|space| self.spaces.get(space.0));
            let lost = &self.emergency.store.lost;
            if space.is_some_and(|s| s.maps_any(&self.machine, |frame| lost.has(frame.0 as usize)))
            {
                return true;
            }
        }
        false
    }

    pub(super) fn finish_stage(&mut self, next: Stage) {
        self.emergency.stage = next;
    }
}
