//! Choosing who runs, and what happens when it stops.
//!
//! A CPU asks [`Kernel::next`] for a thread, runs it without the lock, and brings it back to
//! [`Kernel::trapped`]. A parked call is run again here, before its thread sees user code.

use super::{Caller, Kernel};
use crate::error::*;
use crate::kernel::Waiter;
use crate::machine::{Context, CpuId, Interrupt, Machine, Trap};
use crate::memory::SpaceId;
use crate::schedule::Policy;
use crate::stats::CpuStats;
use crate::syscall;
use crate::task::{State, TaskId, Unfinished, Wait};
use alloc::boxed::Box;

/// How long a thread runs before another ready one gets its turn, in nanoseconds.
const QUANTUM_NS: u64 = 10_000_000;
/// What is set aside for the kernel's heap between operations, in bytes: more than any operation
/// allocates.
const HEAP_RESERVE: usize = 1 << 20;

/// What the kernel knows of one CPU.
pub struct Cpu {
    /// Its number.
    pub id: CpuId,
    /// The thread it runs, or has just brought back, and what belongs to it.
    pub current: Option<Caller>,
    /// `stats.user` and `stats.kernel` when it got that thread.
    given_at: [u64; 2],
    /// Woken by the current thread: goes next if the current one parks.
    handoff: Option<TaskId>,
    /// The current thread must let others go.
    must_yield: bool,
    /// The current thread has been ended by another CPU: none of its calls happen any more.
    pub(crate) has_ended: bool,
    /// When the current thread's turn ends, nanoseconds since boot.
    turn_ends: u64,
    /// What the one-shot timer is set to; `u64::MAX` for nothing.
    timer: u64,
    /// Halted, or about to be.
    pub is_idle: bool,
    /// Told that others wait for a turn, and not back yet.
    is_called: bool,
    /// When user code was last left or entered, in ticks.
    stamp: u64,
    /// Counters.
    pub stats: CpuStats,
}

impl Cpu {
    /// A CPU that has not run anything. Its times count from `stamp` on.
    pub fn new(id: CpuId, stamp: u64) -> Self {
        Self {
            id,
            current: None,
            given_at: [0; 2],
            handoff: None,
            must_yield: false,
            has_ended: false,
            turn_ends: 0,
            timer: u64::MAX,
            is_idle: false,
            is_called: false,
            stamp,
            stats: CpuStats::default(),
        }
    }
}

/// A thread to run, with all that running it takes.
pub struct Chosen<M: Machine> {
    /// Its registers.
    pub context: Box<M::Context>,
    /// Its memory.
    pub space: SpaceId,
}

impl<M: Machine> Kernel<M> {
    /// The thread this CPU runs next, or none: then it may halt.
    pub fn next(&mut self, cpu: CpuId) -> Option<Chosen<M>> {
        self.top_up_heap();
        loop {
            let task = self.keep_or_choose(cpu)?.task;
            let thread = &mut self.tasks[task.0];
            if thread.attention && !self.attend(task) {
                continue;
            }
            let thread = &mut self.tasks[task.0];
            if thread.unfinished.is_parked {
                thread.unfinished.is_parked = false;
                // It may have become another program: ask again who it is.
                if let Some(caller) = self.cpus[cpu.0 as usize].current {
                    self.call_again(caller);
                }
                continue;
            }
            return Some(self.hand_out(cpu, task));
        }
    }

    /// A CPU brings its thread back. Gives the registers out again at once when the thread may
    /// simply go on: by far the most frequent case, so what it takes is counted.
    #[inline]
    pub fn trapped(
        &mut self,
        cpu: CpuId,
        context: Box<M::Context>,
        trap: Trap,
    ) -> Option<Box<M::Context>> {
        let ticks = self.machine.ticks();
        let record = &mut self.cpus[cpu.0 as usize];
        record.stats.user += ticks.wrapping_sub(record.stamp);
        record.stamp = ticks;
        let caller = record.current.expect("a CPU brings back the thread it was given");
        if trap == Trap::Call && !record.has_ended {
            let mut held = Some(context);
            let may_go_on = self.call(caller, &mut held);
            return if may_go_on { self.give_back(cpu, caller.task, held) } else { None };
        }
        let task = caller.task;
        self.tasks[task.0].context = Some(context);
        match trap {
            Trap::Fault { address, access } => self.user_fault(task, address, access),
            Trap::Exception(exception) => self.user_exception(task, exception),
            Trap::Interrupt | Trap::Call => {}
        }
        None
    }

    /// The registers of a thread that has its answer, unless something else must be done first.
    #[inline]
    fn give_back(
        &mut self,
        cpu: CpuId,
        task: TaskId,
        held: Option<Box<M::Context>>,
    ) -> Option<Box<M::Context>> {
        let thread = &mut self.tasks[task.0];
        let record = &mut self.cpus[cpu.0 as usize];
        if thread.unfinished.is_begun {
            thread.unfinished = Unfinished::default();
        }
        let is_quiet = !thread.attention
            && !record.must_yield
            && self.policy.is_empty()
            && self.timers.soonest() >= record.timer
            && self.machine.heap_reserve() >= HEAP_RESERVE;
        if !is_quiet {
            thread.context = held;
            return None;
        }
        let ticks = self.machine.ticks();
        record.stats.kernel += ticks.wrapping_sub(record.stamp);
        record.stamp = ticks;
        held
    }

    /// Takes this CPU's interrupts to whom they concern.
    pub fn poll_interrupts(&mut self, cpu: CpuId) {
        while let Some(interrupt) = self.machine.next_interrupt() {
            match interrupt {
                Interrupt::Timer => self.timer_fired(cpu),
                Interrupt::Kick => self.cpus[cpu.0 as usize].is_called = false,
                Interrupt::Line(line) => self.line_fired(cpu, line),
            }
        }
    }

    /// The CPU is about to halt. The time until [`Kernel::unhibernate`] counts as idle.
    pub fn hibernate(&mut self, cpu: CpuId) {
        self.set_timer(cpu, self.timers.soonest());
        let ticks = self.machine.ticks();
        let record = &mut self.cpus[cpu.0 as usize];
        record.stats.kernel += ticks.wrapping_sub(record.stamp);
        record.stamp = ticks;
        record.is_idle = true;
    }

    /// The CPU is back.
    pub fn unhibernate(&mut self, cpu: CpuId) {
        let ticks = self.machine.ticks();
        let record = &mut self.cpus[cpu.0 as usize];
        record.stats.idle += ticks.wrapping_sub(record.stamp);
        record.stamp = ticks;
        record.is_idle = false;
    }

    /// The current thread while it may go on, else the next one.
    fn keep_or_choose(&mut self, cpu: CpuId) -> Option<Caller> {
        let record = &mut self.cpus[cpu.0 as usize];
        if let Some(caller) = record.current {
            // One that has been ended is not made ready again: it is reaped.
            if !record.must_yield || record.has_ended {
                return Some(caller);
            }
            record.must_yield = false;
            if self.policy.is_empty() {
                self.start_turn(cpu);
                return Some(caller);
            }
            self.leave(cpu);
            self.make_ready(caller.task);
        }
        let task = self.choose(cpu)?;
        Some(self.give_cpu(cpu, task))
    }

    /// The thread that the last one handed its turn to, else the policy's next.
    fn choose(&mut self, cpu: CpuId) -> Option<TaskId> {
        let now = self.now();
        let record = &mut self.cpus[cpu.0 as usize];
        let has_turn = now < record.turn_ends;
        let handoff = record.handoff.take();
        let woken = handoff.filter(|task| self.policy.remove(*task));
        match woken {
            // It inherits the rest of the turn, so that two threads calling each other cannot
            // keep all others waiting.
            Some(task) if has_turn => return Some(task),
            Some(task) => self.policy.add(task),
            None => {}
        }
        let task = self.policy.next()?;
        self.cpus[cpu.0 as usize].turn_ends = now + QUANTUM_NS;
        Some(task)
    }

    fn give_cpu(&mut self, cpu: CpuId, task: TaskId) -> Caller {
        let thread = &mut self.tasks[task.0];
        thread.state = State::Running(cpu);
        thread.switches += 1;
        thread.last_cpu = cpu;
        let caller = Caller { task, process: thread.process, space: thread.space };
        let record = &mut self.cpus[cpu.0 as usize];
        record.current = Some(caller);
        record.given_at = [record.stats.user, record.stats.kernel];
        record.stats.switches += 1;
        caller
    }

    fn start_turn(&mut self, cpu: CpuId) {
        let now = self.now();
        self.cpus[cpu.0 as usize].turn_ends = now + QUANTUM_NS;
    }

    /// Takes the registers out and sets the clock; calls another CPU if work is left over.
    fn hand_out(&mut self, cpu: CpuId, task: TaskId) -> Chosen<M> {
        let turn_ends = self.cpus[cpu.0 as usize].turn_ends;
        if !self.policy.is_empty() {
            self.call_another_cpu(cpu);
            self.set_timer_by(cpu, turn_ends);
        }
        self.set_timer_by(cpu, self.timers.soonest());
        let thread = &mut self.tasks[task.0];
        let space = thread.space;
        let context = thread.context.take().expect("a chosen thread has its registers");
        let ticks = self.machine.ticks();
        let record = &mut self.cpus[cpu.0 as usize];
        record.stats.kernel += ticks.wrapping_sub(record.stamp);
        record.stamp = ticks;
        Chosen { context, space }
    }

    /// Parts a CPU from its thread, and tells the thread how long it had it.
    pub(crate) fn leave(&mut self, cpu: CpuId) {
        let record = &mut self.cpus[cpu.0 as usize];
        let Some(Caller { task, .. }) = record.current.take() else { return };
        record.must_yield = false;
        record.has_ended = false;
        let [user, kernel] = record.given_at;
        let thread = &mut self.tasks[task.0];
        thread.user_ticks += record.stats.user - user;
        thread.kernel_ticks += record.stats.kernel - kernel;
        self.machine.suspend(thread.context());
    }

    /// Ticks of a thread in user code and in the kernel, the turn it has now included.
    pub fn ticks_of(&self, task: TaskId) -> [u64; 2] {
        let thread = &self.tasks[task.0];
        let mut ticks = [thread.user_ticks, thread.kernel_ticks];
        if let State::Running(cpu) = thread.state {
            let record = &self.cpus[cpu.0 as usize];
            ticks[0] += record.stats.user - record.given_at[0];
            ticks[1] += record.stats.kernel - record.given_at[1];
        }
        ticks
    }

    /// The program that the current thread of this CPU runs has been replaced.
    pub(crate) fn moved_to(&mut self, task: TaskId, space: SpaceId) {
        self.tasks[task.0].space = space;
        let records = self.cpus.iter_mut().filter_map(|record| record.current.as_mut());
        records.filter(|caller| caller.task == task).for_each(|caller| caller.space = space);
    }

    /// Runs the call that the held registers ask for. Returns whether it has its answer there. If
    /// not, the registers are where they belong: with the thread that waits, or gone.
    #[inline]
    fn call(&mut self, caller: Caller, held: &mut Option<Box<M::Context>>) -> bool {
        let value = match syscall::dispatch(self, caller, held) {
            Ok(value) => value,
            Err(Stop::Error(errno)) => answer(Err(errno)),
            Err(Stop::Park(wait)) => {
                if held.is_some() {
                    self.tasks[caller.task.0].context = held.take();
                }
                self.park(caller.task, wait);
                return false;
            }
            Err(Stop::Replaced) => return false,
        };
        if held.is_none() {
            *held = self.tasks[caller.task.0].context.take();
        }
        if let Some(context) = held {
            context.set_answer(value);
        }
        true
    }

    /// Runs a parked call again, unless all that is left of it is a daemon's error.
    fn call_again(&mut self, caller: Caller) {
        let is_owed = self.tasks[caller.task.0].unfinished.owed.is_some();
        if is_owed && let Some(errno) = self.take_refusal(caller.task) {
            let thread = &mut self.tasks[caller.task.0];
            if errno == Errno(ECANCELED) && thread.attention {
                // As if it had never been asked: the signal it was cancelled for decides whether
                // the call is tried again.
                thread.unfinished.is_parked = true;
                return;
            }
            let errno = if errno == Errno(ECANCELED) { Errno(EINTR) } else { errno };
            thread.context().set_answer(answer(Err(errno)));
            thread.unfinished = Unfinished::default();
            return;
        }
        let mut held = self.tasks[caller.task.0].context.take();
        if self.call(caller, &mut held) {
            let thread = &mut self.tasks[caller.task.0];
            thread.context = held;
            // The call may have ended without taking the answer it was waiting for: what it named
            // then may no longer be there.
            if thread.unfinished.owed.is_some() {
                self.abandon_request(caller.task);
            }
            self.tasks[caller.task.0].unfinished = Unfinished::default();
        }
    }

    /// Runs a woken thread's call before its turn comes, because what it needs is about to go.
    pub(crate) fn call_early(&mut self, task: TaskId) {
        let thread = &mut self.tasks[task.0];
        let is_at_rest = matches!(thread.state, State::Ready | State::Stopped);
        if is_at_rest && thread.unfinished.is_parked {
            thread.unfinished.is_parked = false;
            let caller = Caller { task, process: thread.process, space: thread.space };
            self.call_again(caller);
        }
    }

    /// Puts a thread aside until its wait is over. A thread with a signal to take stays, so that
    /// [`Kernel::attend`] can interrupt its call, unless a daemon still owes it an answer.
    fn park(&mut self, task: TaskId, wait: Wait) {
        let thread = &mut self.tasks[task.0];
        thread.unfinished.is_parked = true;
        thread.unfinished.is_begun = true;
        if thread.attention && thread.unfinished.owed.is_none() {
            return;
        }
        let State::Running(cpu) = thread.state else { return };
        thread.state = State::Parked(wait);
        self.leave(cpu);
        if let Some(queue) = wait.queue {
            self.waits.push(&mut self.tasks, queue, task);
        }
        if let Some(deadline) = wait.deadline {
            let timer = self.timers.add(deadline, Waiter::Task(task));
            self.tasks[task.0].timer = Some(timer);
        }
    }

    /// Adds a woken thread to the ready ones, in front: whoever woke it may hand over its turn.
    pub(crate) fn make_ready_first(&mut self, task: TaskId) {
        self.tasks[task.0].state = State::Ready;
        self.policy.add_first(task);
        let cpu = self.machine.this_cpu();
        self.cpus[cpu.0 as usize].handoff = Some(task);
    }

    /// Adds a thread to the ready ones, at the end.
    pub(crate) fn make_ready(&mut self, task: TaskId) {
        self.tasks[task.0].state = State::Ready;
        self.policy.add(task);
    }

    /// The calling thread lets others go first.
    pub(crate) fn yield_turn(&mut self) {
        let cpu = self.machine.this_cpu();
        self.cpus[cpu.0 as usize].must_yield = true;
    }

    fn timer_fired(&mut self, cpu: CpuId) {
        self.cpus[cpu.0 as usize].timer = u64::MAX;
        let now = self.now();
        self.expire_timers(now);
        let record = &mut self.cpus[cpu.0 as usize];
        if now >= record.turn_ends {
            record.must_yield = record.current.is_some();
        }
    }

    fn set_timer(&mut self, cpu: CpuId, deadline: u64) {
        let record = &mut self.cpus[cpu.0 as usize];
        if record.timer != deadline {
            record.timer = deadline;
            self.machine.set_timer((deadline != u64::MAX).then_some(deadline));
        }
    }

    /// Makes sure the timer fires no later than `deadline`.
    fn set_timer_by(&mut self, cpu: CpuId, deadline: u64) {
        if deadline < self.cpus[cpu.0 as usize].timer {
            self.set_timer(cpu, deadline);
        }
    }

    /// Work is left over: calls a CPU that has nothing to do, or else one whose thread would run on
    /// for ever, because nobody waited for a turn when it started.
    fn call_another_cpu(&mut self, this: CpuId) {
        let idle = self.cpus.iter().position(|cpu| cpu.is_idle);
        let endless = |cpu: &Cpu| {
            let has_end = cpu.timer <= cpu.turn_ends;
            cpu.id != this && cpu.current.is_some() && !cpu.is_called && !has_end
        };
        let Some(found) = idle.or_else(|| self.cpus.iter().position(endless)) else { return };
        let record = &mut self.cpus[found];
        record.is_idle = false;
        record.is_called = true;
        let id = record.id;
        self.machine.kick(id);
    }

    /// Keeps a reserve for the kernel's own heap between operations, where frames can be had, so
    /// that allocations inside an operation find room.
    fn top_up_heap(&mut self) {
        const ORDER: usize = (HEAP_RESERVE / abi::PAGE_SIZE).ilog2() as usize;
        if self.machine.heap_reserve() >= HEAP_RESERVE {
            return;
        }
        if let Some(first) = self.frames.allocate_run(ORDER, crate::memory::Zone::Normal) {
            self.machine.grow_heap(first, 1 << ORDER);
        }
    }
}
