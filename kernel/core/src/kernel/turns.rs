//! Turns: which ready thread a CPU takes next, for how long, and who is called when work is left over.
//!
//! Keeps nothing of its own: the order of ready threads is the queue's (`schedule.rs`), what a CPU has in
//! hand is in its record (`cpus.rs`). Never runs a call and never looks at a thread's registers.

use super::cpus::{Cpu, Handoff};
use super::{Kernel, TimerKey};
use crate::machine::{CpuId, Machine};
use crate::schedule::{Account, Priority, TURN_NS};
use crate::task::{Attention, ProcessId, State, TaskId};

/// How many turns there are in a second.
pub(super) const TURNS_PER_SECOND: u64 = 1_000_000_000 / TURN_NS;

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
            let gives_way = record.has_turn(ticks);
            if !self.is_somebody_ready(cpu) {
                self.start_turn(cpu, ticks);
                return Some(caller.task);
            }
            self.leave(cpu);
            if gives_way {
                self.queue.give_way(&mut self.tasks[caller.task.0].account);
            }
            self.make_ready(caller.task);
        }
        self.choose(cpu, ticks)
    }

    /// The thread that the last one handed its turn to, else the queue's next.
    fn choose(&mut self, cpu: CpuId, ticks: u64) -> Option<TaskId> {
        let record = &mut self.cpus[cpu];
        let has_turn = record.has_turn(ticks);
        let woken = match core::mem::take(&mut record.handoff) {
            Handoff::Held(task) => Some(task),
            Handoff::Queued(task) => self.queue.remove(task).then_some(task),
            Handoff::Nobody => None,
        };
        match woken {
            // It inherits the rest of the turn, so that two threads calling each other cannot
            // keep all others waiting.
            Some(task) if has_turn => return Some(task),
            Some(task) => self.line_up(task),
            None => {}
        }
        while let Some(task) = self.queue.take_woken() {
            if has_turn {
                return Some(task);
            }
            self.line_up(task);
        }
        let task = self.queue.take_next()?;
        self.start_turn(cpu, ticks);
        Some(task)
    }

    /// Counts what a ready thread has had, and puts it into the queue.
    fn line_up(&mut self, task: TaskId) {
        let thread = &mut self.tasks[task.0];
        thread.state = State::Ready;
        let ticks = thread.user_ticks + thread.kernel_ticks;
        thread.account.count(ticks, |ticks| self.machine.nanoseconds(ticks));
        self.queue.add(task, &mut thread.account);
    }

    /// The account of a thread that the calling one makes.
    pub(crate) fn account_from(&mut self, maker: TaskId) -> Account {
        let [user, kernel] = self.ticks_of(maker);
        let account = &mut self.tasks[maker.0].account;
        account.count(user + kernel, |ticks| self.machine.nanoseconds(ticks));
        account.for_new_thread()
    }

    /// Gives a process another priority, from now on.
    pub(crate) fn set_priority(&mut self, process: ProcessId, priority: Priority) {
        self.processes[process.0].priority = priority;
        for task in self.processes[process.0].threads.clone() {
            let thread = &mut self.tasks[task.0];
            thread.account.priority = priority;
            thread.attention.set(Attention::IDLE, priority == Priority::IDLE);
            if let State::Running(cpu) = thread.state {
                self.interrupt(cpu);
            } else if self.queue.remove(task) {
                self.line_up(task);
            }
        }
    }

    /// An idle thread was chosen: it goes back if others want the CPU. Returns whether it did.
    #[cold]
    pub(super) fn steps_back(&mut self, task: TaskId) -> bool {
        let State::Running(cpu) = self.tasks[task.0].state else { return false };
        let is_handed_on = match self.cpus[cpu].handoff {
            Handoff::Held(other) => !self.tasks[other.0].attention.contains(Attention::IDLE),
            _ => false,
        };
        if !is_handed_on && self.queue.is_idle() {
            return false;
        }
        self.leave(cpu);
        self.make_ready(task);
        true
    }

    fn start_turn(&mut self, cpu: CpuId, ticks: u64) {
        let ends = self.now_at(ticks) + TURN_NS;
        let record = &mut self.cpus[cpu];
        record.turn_began = ticks;
        record.turn_ends = ends;
    }

    /// Whether another thread could run on this CPU.
    pub(super) fn is_somebody_ready(&self, cpu: CpuId) -> bool {
        matches!(self.cpus[cpu].handoff, Handoff::Held(_)) || !self.queue.is_empty()
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
            self.queue.add_first(other);
        }
    }

    /// Makes a thread ready, to go first.
    pub(crate) fn make_ready_first(&mut self, task: TaskId) {
        self.tasks[task.0].state = State::Ready;
        self.run_soon(task, None);
    }

    /// Adds a thread to the ready ones.
    pub(crate) fn make_ready(&mut self, task: TaskId) {
        self.line_up(task);
        self.this_record().must_look = true;
    }

    /// A ready thread is not to run after all.
    pub(crate) fn withdraw(&mut self, task: TaskId) {
        let records = self.cpus.iter_mut();
        for record in records.filter(|record| record.handoff == Handoff::Held(task)) {
            record.handoff = Handoff::Nobody;
        }
        self.queue.remove(task);
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
    /// with an idle thread, or whose thread would run on for ever, because nobody waited for a turn when
    /// it started.
    pub(super) fn share_work(&mut self, this: CpuId) {
        if let Handoff::Held(task) = self.cpus[this].handoff {
            self.cpus[this].handoff = Handoff::Queued(task);
            self.queue.add_first(task);
        }
        let idle = self.cpus.iter().find(|cpu| cpu.is_idle);
        let is_urgent = !self.queue.is_idle();
        let wants_call = |cpu: &&Cpu| {
            let is_endless = cpu.timer > cpu.turn_ends;
            let may_be_called = cpu.id != this && cpu.has_thread && !cpu.is_called;
            may_be_called && (is_endless || is_urgent && self.has_idle_thread(cpu))
        };
        let found = idle.or_else(|| self.cpus.iter().find(wants_call));
        let Some(id) = found.map(|cpu| cpu.id) else { return };
        let record = &mut self.cpus[id];
        record.is_idle = false;
        record.is_called = true;
        self.machine.kick(id);
    }

    fn has_idle_thread(&self, cpu: &Cpu) -> bool {
        let thread = cpu.current().map(|caller| &self.tasks[caller.task.0]);
        thread.is_some_and(|thread| thread.attention.contains(Attention::IDLE))
    }
}
