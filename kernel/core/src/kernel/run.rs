//! What a CPU asks for and brings back.
//!
//! It asks [`Kernel::next`] for a thread, runs it without the lock, and brings it back to
//! [`Kernel::called`] or [`Kernel::trapped`]. Whose turn it is, is said in `turns`; a parked call is run
//! again (`calls`) before its thread sees user code.

use super::{Caller, Kernel};
use crate::emergency::Phase;
use crate::machine::{CpuId, Interrupt, Machine, Trap};
use crate::memory::SpaceId;
use crate::syscall;
use crate::task::TaskId;

/// A thread to run, with all that running it takes.
pub struct Chosen<M: Machine> {
    /// Its registers.
    pub context: M::Context,
    /// Its memory.
    pub space: SpaceId,
}

impl<M: Machine> Kernel<M> {
    /// The thread this CPU runs next, or none: then it may halt.
    #[inline(never)]
    pub fn next(&mut self, cpu: CpuId) -> Option<Chosen<M>> {
        if self.frames.is_alarmed {
            self.forget_refusal();
            self.look_at_pressure();
        }
        if self.emergency.phase != Phase::Calm {
            return self.next_unusual(cpu);
        }
        self.top_up_heap();
        self.next_ready(cpu)
    }

    /// The same while the world stands still, or the kernel's heap is short.
    #[cold]
    #[inline(never)]
    fn next_unusual(&mut self, cpu: CpuId) -> Option<Chosen<M>> {
        if self.emergency.is_active() {
            self.take_part(cpu);
            if self.emergency.is_active() {
                return None;
            }
        }
        self.top_up_heap();
        if self.emergency.phase == Phase::Short && self.machine.heap_reserve() > 0 {
            // Enough was given back.
            self.emergency.phase = Phase::Calm;
        }
        let chosen = self.next_ready(cpu);
        if self.emergency.phase == Phase::Short {
            self.cpus[cpu].take_detour();
        }
        chosen
    }

    #[inline(always)]
    fn next_ready(&mut self, cpu: CpuId) -> Option<Chosen<M>> {
        loop {
            let ticks = self.machine.ticks();
            let task = match self.take_handed_turn(cpu, ticks) {
                Some(task) => task,
                None => self.keep_or_choose(cpu, ticks)?,
            };
            let record = &mut self.cpus[cpu];
            let mut thread = &mut self.tasks[task.0];
            record.must_look = false;
            if !record.has_thread {
                record.take_on(task, thread, ticks);
            }
            let caller = record.caller;
            if !thread.attention.is_empty() {
                if !self.attend(caller.task) {
                    continue;
                }
                thread = &mut self.tasks[caller.task.0];
            }
            if !thread.unfinished.is_call() {
                let context = thread.context.take().expect("a chosen thread has its registers");
                return Some(self.hand_out(cpu, caller.space, context));
            }
            let Some(context) = self.call_again(caller) else {
                self.forget_alarming_refusal();
                continue;
            };
            if !self.cpus[cpu].must_look {
                return Some(self.hand_out(cpu, caller.space, context));
            }
            self.tasks[caller.task.0].context = Some(context);
            self.forget_alarming_refusal();
        }
    }

    /// What was refused to one call must not be taken for a refusal of the next one's.
    #[inline(always)]
    fn forget_alarming_refusal(&mut self) {
        if self.frames.is_alarmed {
            self.forget_refusal();
        }
    }

    /// A CPU brings a thread back that makes a call. Gives the registers out again when the thread
    /// may simply go on: by far the most frequent case, so what it takes is counted.
    #[inline]
    pub fn called(&mut self, cpu: CpuId, context: M::Context) -> Option<M::Context> {
        let now = self.machine.ticks();
        let record = &mut self.cpus[cpu];
        record.leaves_user(now);
        if !record.may_call {
            let task = self.bring_back(cpu, context);
            self.call_with_detour(task);
            return None;
        }
        let caller = record.caller;
        let context = syscall::dispatch(self, &caller, context)?;
        let has_reserve = self.machine.heap_reserve() > 0;
        let record = &mut self.cpus[cpu];
        if record.must_look || !has_reserve {
            self.tasks[caller.task.0].context = Some(context);
            return None;
        }
        record.enters_user(self.machine.ticks());
        Some(context)
    }

    /// A CPU brings back a thread that something else has stopped.
    #[inline(never)]
    pub fn trapped(&mut self, cpu: CpuId, context: M::Context, trap: Trap) {
        let now = self.machine.ticks();
        self.cpus[cpu].leaves_user(now);
        let task = self.bring_back(cpu, context);
        match trap {
            Trap::Fault { address, access } => self.user_fault(task, address, access),
            Trap::Exception(exception) => self.user_exception(task, exception),
            Trap::Interrupt | Trap::Call => {}
        }
    }

    #[inline(never)]
    fn bring_back(&mut self, cpu: CpuId, context: M::Context) -> TaskId {
        let caller = self.cpus[cpu].current().expect("a CPU brings back the thread it was given");
        self.tasks[caller.task.0].context = Some(context);
        caller.task
    }

    /// Takes this CPU's interrupts to whom they concern.
    #[inline]
    pub fn poll_interrupts(&mut self, cpu: CpuId) {
        while let Some(interrupt) = self.machine.next_interrupt() {
            self.interrupted(cpu, interrupt);
        }
    }

    #[inline(never)]
    fn interrupted(&mut self, cpu: CpuId, interrupt: Interrupt) {
        if self.emergency.is_frozen() {
            self.interrupted_frozen(cpu, interrupt);
            return;
        }
        match interrupt {
            Interrupt::Timer => self.timer_fired(cpu),
            Interrupt::Kick => self.cpus[cpu].is_called = false,
            Interrupt::Line(line) => self.line_fired(cpu, line),
        }
    }

    /// The CPU is about to halt. The time until [`Kernel::unhibernate`] counts as idle.
    #[inline(never)]
    pub fn hibernate(&mut self, cpu: CpuId) {
        let soonest = match self.emergency.driver {
            Some(driver) if driver == cpu => self.emergency.wake_at.unwrap_or(u64::MAX),
            _ if self.emergency.is_active() => u64::MAX,
            _ => self.timers.soonest(),
        };
        self.set_timer(cpu, soonest);
        let now = self.machine.ticks();
        let record = &mut self.cpus[cpu];
        record.idle = record.idle.wrapping_sub(now);
        record.is_idle = true;
        record.is_halted = true;
    }

    /// The CPU is back.
    pub fn unhibernate(&mut self, cpu: CpuId) {
        let now = self.machine.ticks();
        let record = &mut self.cpus[cpu];
        record.idle = record.idle.wrapping_add(now);
        record.is_idle = false;
        record.is_halted = false;
    }

    /// Sets the clock for a thread that goes to user code; calls another CPU if work is left over.
    #[inline(always)]
    fn hand_out(&mut self, cpu: CpuId, space: SpaceId, context: M::Context) -> Chosen<M> {
        if self.is_somebody_ready(cpu) {
            if !self.cpus.is_single() {
                self.share_work(cpu);
            }
            self.set_timer_by(cpu, self.cpus[cpu].turn_ends);
        }
        self.set_timer_by(cpu, self.timers.soonest());
        let now = self.machine.ticks();
        self.cpus[cpu].enters_user(now);
        if self.stats.first_user == 0 {
            self.stats.first_user = now;
        }
        Chosen { context, space }
    }

    /// Parts a CPU from its thread, and tells the thread how long it had it.
    pub(crate) fn leave(&mut self, cpu: CpuId) {
        let now = self.machine.ticks();
        let record = &mut self.cpus[cpu];
        let Some(Caller { task, .. }) = record.current() else { return };
        let thread = &mut self.tasks[task.0];
        thread.count_turn(record.let_go(now));
        self.machine.suspend(thread.context());
    }

    /// The program that the current thread of this CPU runs has been replaced.
    pub(crate) fn moved_to(&mut self, task: TaskId, space: SpaceId) {
        self.tasks[task.0].space = space;
        let callers = self.cpus.iter_mut().map(|record| &mut record.caller);
        callers.filter(|caller| caller.task == task).for_each(|caller| caller.space = space);
    }
}
