//! Turns: which ready thread a CPU takes next, for how long, and who is called when work is left over.
//!
//! Keeps nothing of its own: the queue of ready threads is the policy's (`schedule.rs`), what a CPU has in
//! hand is in its record (`cpus.rs`). Never runs a call and never looks at a thread's registers.

use super::cpus::{Cpu, Handoff};
use super::{Kernel, TimerKey};
use crate::machine::{CpuId, Machine};
use crate::schedule::Policy;
use crate::task::{State, TaskId};

/// How long a thread runs before another ready one gets its turn, in nanoseconds.
const QUANTUM_NS: u64 = 10_000_000;
/// The same as a part of a second.
pub(super) const QUANTA_PER_SECOND: u64 = 1_000_000_000 / QUANTUM_NS;

impl<M: Machine> Kernel<M> {
    /// The thread that the last one handed its turn to, while that lasts. This is what a call to a
    /// daemon does twice, so it is apart from everything that is less simple.
    #[inline(always)]
    pub(super) fn take_handed_turn(&mut self, cpu: CpuId, ticks: u64) -> Option<TaskId> {
        let record = &mut self.cpus[cpu];
        match record.handoff {
            Handoff::Held(task) if !record.has_thread && record.has_turn(ticks) => {
                record.handoff = Handoff::Nobody;
                Some(task)
            }
            _ => None,
        }
    }

    /// The current thread while it may go on, else the next one.
    pub(super) fn keep_or_choose(&mut self, cpu: CpuId, ticks: u64) -> Option<TaskId> {
        let record = &mut self.cpus[cpu];
        if let Some(caller) = record.current() {
            // One that has been ended is not made ready again: it is reaped.
            if !record.must_yield || self.tasks[caller.task.0].state == State::Ending {
                return Some(caller.task);
            }
            record.must_yield = false;
            if !self.is_somebody_ready(cpu) {
                self.start_turn(cpu, ticks);
                return Some(caller.task);
            }
            self.leave(cpu);
            self.make_ready(caller.task);
        }
        self.choose(cpu, ticks)
    }

    /// The thread that the last one handed its turn to, else the policy's next.
    fn choose(&mut self, cpu: CpuId, ticks: u64) -> Option<TaskId> {
        let record = &mut self.cpus[cpu];
        let has_turn = record.has_turn(ticks);
        let woken = match core::mem::take(&mut record.handoff) {
            Handoff::Held(task) => Some(task),
            Handoff::Queued(task) => self.policy.remove(task).then_some(task),
            Handoff::Nobody => None,
        };
        match woken {
            // It inherits the rest of the turn, so that two threads calling each other cannot
            // keep all others waiting.
            Some(task) if has_turn => return Some(task),
            Some(task) => self.policy.add(task),
            None => {}
        }
        let (task, has_own_turn) = self.policy.next(has_turn)?;
        if has_own_turn {
            self.start_turn(cpu, ticks);
        }
        Some(task)
    }

    fn start_turn(&mut self, cpu: CpuId, ticks: u64) {
        let ends = self.now_at(ticks) + QUANTUM_NS;
        let record = &mut self.cpus[cpu];
        record.turn_began = ticks;
        record.turn_ends = ends;
    }

    /// Whether another thread could run on this CPU.
    pub(super) fn is_somebody_ready(&self, cpu: CpuId) -> bool {
        matches!(self.cpus[cpu].handoff, Handoff::Held(_)) || !self.policy.is_empty()
    }

    /// A thread that was woken goes first: whoever woke it may hand over its turn. While there is one
    /// CPU and its turn ends by itself, nothing more need be done about it.
    #[inline(always)]
    pub(crate) fn run_soon(&mut self, task: TaskId, timer: Option<TimerKey>) {
        if let Some(timer) = timer {
            self.timers.cancel(timer);
        }
        let is_single = self.cpus.is_single();
        let record = self.this_record();
        record.must_look |= !is_single || record.timer > record.turn_ends;
        if let Handoff::Held(other) = core::mem::replace(&mut record.handoff, Handoff::Held(task)) {
            self.policy.add_first(other);
        }
    }

    /// Makes a thread ready, to go first.
    pub(crate) fn make_ready_first(&mut self, task: TaskId) {
        self.tasks[task.0].state = State::Ready;
        self.run_soon(task, None);
    }

    /// Adds a thread to the ready ones, at the end.
    pub(crate) fn make_ready(&mut self, task: TaskId) {
        self.tasks[task.0].state = State::Ready;
        self.policy.add(task);
        self.this_record().must_look = true;
    }

    /// A ready thread is not to run after all.
    pub(crate) fn withdraw(&mut self, task: TaskId) {
        let records = self.cpus.iter_mut();
        for record in records.filter(|record| record.handoff == Handoff::Held(task)) {
            record.handoff = Handoff::Nobody;
        }
        self.policy.remove(task);
    }

    /// The calling thread lets others go first.
    pub(crate) fn yield_turn(&mut self) {
        let record = self.this_record();
        record.must_yield = true;
        record.must_look = true;
    }

    pub(super) fn timer_fired(&mut self, cpu: CpuId) {
        self.cpus[cpu].timer = u64::MAX;
        let now = self.now();
        self.expire_timers(now);
        if !self.profiles.is_empty() {
            self.take_samples(cpu, now);
        }
        let record = &mut self.cpus[cpu];
        if now >= record.turn_ends {
            record.must_yield = record.has_thread;
        }
    }

    pub(super) fn set_timer(&mut self, cpu: CpuId, deadline: u64) {
        let record = &mut self.cpus[cpu];
        if record.timer != deadline {
            record.timer = deadline;
            let paused = self.emergency.paused_ns;
            self.machine.set_timer((deadline != u64::MAX).then(|| deadline.saturating_add(paused)));
        }
    }

    /// Makes sure the timer fires no later than `deadline`.
    pub(super) fn set_timer_by(&mut self, cpu: CpuId, deadline: u64) {
        if deadline < self.cpus[cpu].timer {
            self.set_timer(cpu, deadline);
        }
    }

    /// Work is left over: lets other CPUs have it, and calls one that has nothing to do, or else one
    /// whose thread would run on for ever, because nobody waited for a turn when it started.
    pub(super) fn share_work(&mut self, this: CpuId) {
        if let Handoff::Held(task) = self.cpus[this].handoff {
            self.cpus[this].handoff = Handoff::Queued(task);
            self.policy.add_first(task);
        }
        let idle = self.cpus.iter().find(|cpu| cpu.is_idle);
        let endless = |cpu: &Cpu| {
            let has_end = cpu.timer <= cpu.turn_ends;
            cpu.id != this && cpu.has_thread && !cpu.is_called && !has_end
        };
        let found = idle.or_else(|| self.cpus.iter().find(|cpu| endless(cpu)));
        let Some(id) = found.map(|cpu| cpu.id) else { return };
        let record = &mut self.cpus[id];
        record.is_idle = false;
        record.is_called = true;
        self.machine.kick(id);
    }
}
