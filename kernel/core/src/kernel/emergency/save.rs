//! `emergency:save` — a job gets time to save its work, and then it ends.
//!
//! The world goes on for that job and for the daemons alone; all others wait where they are, whole
//! and in memory. It has what was freed, and three quarters of the reserve. When it has ended, or
//! its time is over, the others go on; if memory is still short, the picker comes again.

use super::super::{Kernel, Waiter};
use crate::emergency::Saving;
use crate::emergency::record::{Ended as Gone, Verb};
use crate::emergency::snapshot::Fate;
use crate::log::Level;
use crate::machine::Machine;
use crate::scheme::place;
use crate::task::{Hold, ProcessId, Standing};
use abi::redox::flag::EventFlags;
use abi::wait::{ENDED_BY_EMERGENCY, Ended};
use alloc::vec::Vec;

const SECOND_NS: u64 = 1_000_000_000;

impl<M: Machine> Kernel<M> {
    /// Chooses a job to run on alone. Allocates nothing.
    pub(super) fn let_save(&mut self, job: usize) {
        let entry = self.emergency.snapshot.entries()[job];
        if entry.fate != Fate::Lives || entry.is_essential {
            return;
        }
        let mut next = entry.first;
        while let Some(id) = next {
            self.processes[id.0].is_saving = true;
            next = self.processes[id.0].next_in_job;
        }
        self.emergency.record.add(Gone {
            pid: entry.pid,
            processes: entry.processes,
            name: entry.name,
            frames: entry.would_free,
            verb: Verb::Saved,
        });
    }

    /// The world goes on: for those only who save, if there are any.
    pub(super) fn begin_saving(&mut self) {
        if !self.processes.iter().any(|(_, process)| process.is_saving) {
            return;
        }
        self.hold_others();
        self.frames.lend_reserve(true);
        let seconds = self.emergency.save_s;
        let until_ns = self.now() + seconds * SECOND_NS;
        let timer = self.add_timer(until_ns, Waiter::Saving);
        self.emergency.saving = Some(Saving { until_ns, timer });
        self.wake_all(self.emergency.told_to_save);
        for number in self.texts.showing(crate::scheme::shows_saving) {
            self.raise((place::EMERGENCY, number), EventFlags::EVENT_READ);
        }
        self.log(
            Level::Warn,
            "emergency",
            format_args!("{seconds} s to save; everyone else waits meanwhile"),
        );
    }

    /// Everyone waits but those who save and those that others depend on.
    pub(super) fn hold_others(&mut self) {
        let waits = |p: &crate::task::Process| {
            let is_free = p.standing == Standing::Alive && p.hold == Hold::None;
            is_free && !p.is_saving && !self.is_essential(p)
        };
        let others = self.processes.iter().filter(|(_, process)| waits(process));
        let others: Vec<ProcessId> = others.map(|(index, _)| ProcessId(index)).collect();
        for process in others {
            self.hold_process(process, Hold::Waits);
        }
    }

    /// Seconds that a process has left to save, if it is to.
    pub(crate) fn seconds_to_save(&self, process: ProcessId) -> Option<u64> {
        let saving = self.emergency.saving?;
        let left = saving.until_ns.saturating_sub(self.now()).div_ceil(SECOND_NS);
        self.processes[process.0].is_saving.then_some(left)
    }

    /// A process that was to save has ended. With the last one everyone else goes on.
    pub(crate) fn saver_ended(&mut self) {
        if !self.processes.iter().any(|(_, process)| process.is_saving) {
            self.saving_over();
        }
    }

    /// Whoever is still saving ends, and everyone else goes on.
    pub(crate) fn saving_over(&mut self) {
        let Some(saving) = self.emergency.saving.take() else { return };
        self.timers.cancel(saving.timer);
        self.frames.lend_reserve(false);
        let alive = self.processes.iter();
        let alive = alive.map(|(index, process)| (ProcessId(index), process.is_saving));
        let all: Vec<(ProcessId, bool)> = alive.collect();
        for (process, is_saving) in all {
            if is_saving && self.processes.contains(process.0) {
                self.processes[process.0].is_saving = false;
                self.end_process(process, Ended::Signalled(ENDED_BY_EMERGENCY));
            } else if self.processes.get(process.0).is_some_and(|p| p.hold == Hold::Waits) {
                self.let_go(process);
            }
        }
        self.wake_all(self.emergency.refused);
    }

    /// A process that was held goes on.
    pub(super) fn let_go(&mut self, process: ProcessId) {
        self.processes[process.0].hold = Hold::None;
        if !self.processes[process.0].is_stopped {
            self.ready_stopped(process);
        }
    }
}
