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
use crate::stats::{CpuStats, Times};
use crate::syscall;
use crate::task::{State, TaskId, Unfinished, Wait};
use alloc::boxed::Box;
use core::ops::{Index, IndexMut};

/// How long a thread runs before another ready one gets its turn, in nanoseconds.
const QUANTUM_NS: u64 = 10_000_000;
/// What is set aside for the kernel's heap between operations, in bytes: more than any operation
/// allocates.
const HEAP_RESERVE: usize = 1 << 20;

/// What the kernel knows of one CPU. Aligned, so that CPUs do not share cache lines, and finding a
/// record is a shift.
#[repr(align(256))]
pub struct Cpu {
    /// Its number.
    pub id: CpuId,
    /// The thread it runs, or has just brought back, and what belongs to it.
    caller: Caller,
    /// Whether it has one.
    has_thread: bool,
    /// It has one whose calls happen at once: no other CPU has ended it, and nobody traces it.
    may_call: bool,
    /// When it got that thread, and `user` then.
    given_at: [u64; 2],
    /// Woken by the current thread: goes next if the current one parks.
    handoff: Option<TaskId>,
    /// The current thread must let others go.
    must_yield: bool,
    /// Something must be looked at before the current thread goes on: what it asks attention for,
    /// the end of its turn or its own, a thread that became ready here, a new timer. The one word
    /// that every call tests.
    pub(crate) must_look: bool,
    /// When the current thread's turn ends, nanoseconds since boot.
    turn_ends: u64,
    /// What the one-shot timer is set to; `u64::MAX` for nothing.
    timer: u64,
    /// Halted, or about to be.
    pub is_idle: bool,
    /// Told that others wait for a turn, and not back yet.
    is_called: bool,
    /// Halted and not back yet.
    is_halted: bool,
    /// When it began, in ticks. What is neither user code nor idle since then is the kernel's.
    started: u64,
    /// Ticks in user code. While it is there, less the moment it went: going and coming back each
    /// cost one addition.
    user: u64,
    /// Ticks halted, counted the same way.
    idle: u64,
    /// Counters.
    pub stats: CpuStats,
}

impl Cpu {
    /// A CPU that has not run anything. Its times count from `started` on.
    pub fn new(id: CpuId, started: u64) -> Self {
        Self {
            id,
            caller: Caller::NOBODY,
            has_thread: false,
            may_call: false,
            given_at: [0; 2],
            handoff: None,
            must_yield: false,
            must_look: false,
            turn_ends: 0,
            timer: u64::MAX,
            is_idle: false,
            is_called: false,
            is_halted: false,
            started,
            user: 0,
            idle: 0,
            stats: CpuStats::default(),
        }
    }

    /// The thread it runs must not go on without asking.
    pub(crate) fn must_come_in(&mut self) {
        self.must_yield |= self.has_thread;
        self.must_look = true;
    }

    /// The one-shot timer is not set, or not to what it should be.
    pub(crate) fn timer_is_off(&mut self) {
        self.timer = u64::MAX;
    }

    /// The thread it runs, or has just brought back, and what belongs to it.
    pub fn current(&self) -> Option<Caller> {
        self.has_thread.then_some(self.caller)
    }

    /// Another CPU has ended its thread: none of its calls happen any more.
    pub(super) fn end_current(&mut self) {
        self.may_call = false;
        self.must_look = true;
    }

    /// Somebody traces its thread from now on.
    pub(super) fn take_detour(&mut self) {
        self.may_call = false;
    }

    /// Counts the time in user code until `now`.
    #[inline]
    fn leaves_user(&mut self, now: u64) {
        self.user = self.user.wrapping_add(now);
    }

    /// Counts the time in user code from `now` on.
    #[inline]
    fn enters_user(&mut self, now: u64) {
        self.user = self.user.wrapping_sub(now);
    }
}

/// The most CPUs there can be.
pub const CPUS_MAX: usize = 128;

/// The record of every CPU. There is room for all there can be, so that finding one needs no check.
pub struct Cpus {
    records: Box<[Cpu; CPUS_MAX]>,
    count: usize,
}

impl Cpus {
    /// Records of `count` CPUs that have not run anything.
    pub(super) fn new(count: u32, started: u64) -> Self {
        let records = (0..CPUS_MAX as u32).map(|number| Cpu::new(CpuId(number), started));
        let records: Box<[Cpu]> = records.collect();
        let records = records.try_into().unwrap_or_else(|_| unreachable!("as many as fit"));
        Self { records, count: count as usize }
    }

    /// The records of the CPUs that run.
    pub fn iter(&self) -> impl Iterator<Item = &Cpu> {
        self.records[..self.count].iter()
    }

    /// The same, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Cpu> {
        self.records[..self.count].iter_mut()
    }
}

impl Index<CpuId> for Cpus {
    type Output = Cpu;

    #[inline(always)]
    fn index(&self, cpu: CpuId) -> &Cpu {
        &self.records[cpu.0 as usize % CPUS_MAX]
    }
}

impl IndexMut<CpuId> for Cpus {
    #[inline(always)]
    fn index_mut(&mut self, cpu: CpuId) -> &mut Cpu {
        &mut self.records[cpu.0 as usize % CPUS_MAX]
    }
}

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
            self.look_at_pressure();
        }
        if self.emergency.is_active() {
            self.take_part(cpu);
            if self.emergency.is_active() {
                return None;
            }
        }
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
                if let Some(caller) = self.cpus[cpu].current() {
                    self.call_again(caller);
                }
                continue;
            }
            return Some(self.hand_out(cpu, task));
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
        let context = syscall::dispatch(self, caller, context)?;
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
    #[inline(never)]
    pub fn poll_interrupts(&mut self, cpu: CpuId) {
        while let Some(interrupt) = self.machine.next_interrupt() {
            if self.emergency.is_frozen() {
                self.interrupted_frozen(cpu, interrupt);
                continue;
            }
            match interrupt {
                Interrupt::Timer => self.timer_fired(cpu),
                Interrupt::Kick => self.cpus[cpu].is_called = false,
                Interrupt::Line(line) => self.line_fired(cpu, line),
            }
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

    /// The current thread while it may go on, else the next one.
    fn keep_or_choose(&mut self, cpu: CpuId) -> Option<Caller> {
        let record = &mut self.cpus[cpu];
        if let Some(caller) = record.current() {
            // One that has been ended is not made ready again: it is reaped.
            if !record.must_yield || self.tasks[caller.task.0].state == State::Ending {
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
        let record = &mut self.cpus[cpu];
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
        self.cpus[cpu].turn_ends = now + QUANTUM_NS;
        Some(task)
    }

    fn give_cpu(&mut self, cpu: CpuId, task: TaskId) -> Caller {
        let thread = &mut self.tasks[task.0];
        thread.state = State::Running(cpu);
        thread.switches += 1;
        thread.last_cpu = cpu;
        let caller = Caller { task, process: thread.process, space: thread.space };
        let now = self.machine.ticks();
        let record = &mut self.cpus[cpu];
        record.caller = caller;
        record.has_thread = true;
        record.may_call = thread.session.is_none();
        record.given_at = [now, record.user];
        record.stats.switches += 1;
        caller
    }

    fn start_turn(&mut self, cpu: CpuId) {
        let now = self.now();
        self.cpus[cpu].turn_ends = now + QUANTUM_NS;
    }

    /// Takes the registers out and sets the clock; calls another CPU if work is left over.
    fn hand_out(&mut self, cpu: CpuId, task: TaskId) -> Chosen<M> {
        let turn_ends = self.cpus[cpu].turn_ends;
        if !self.policy.is_empty() {
            self.call_another_cpu(cpu);
            self.set_timer_by(cpu, turn_ends);
        }
        self.set_timer_by(cpu, self.timers.soonest());
        let thread = &mut self.tasks[task.0];
        let space = thread.space;
        let context = thread.context.take().expect("a chosen thread has its registers");
        let now = self.machine.ticks();
        let record = &mut self.cpus[cpu];
        record.must_look = false;
        record.enters_user(now);
        if self.stats.first_user == 0 {
            self.stats.first_user = now;
        }
        Chosen { context, space }
    }

    /// Parts a CPU from its thread, and tells the thread how long it had it.
    pub(crate) fn leave(&mut self, cpu: CpuId) {
        let record = &mut self.cpus[cpu];
        let Some(Caller { task, .. }) = record.current() else { return };
        record.must_yield = false;
        record.has_thread = false;
        record.may_call = false;
        let [user, kernel] = self.turn_of(cpu);
        let thread = &mut self.tasks[task.0];
        thread.user_ticks += user;
        thread.kernel_ticks += kernel;
        self.machine.suspend(thread.context());
    }

    /// Ticks in user code and in the kernel since a CPU got its thread.
    fn turn_of(&self, cpu: CpuId) -> [u64; 2] {
        let now = self.machine.ticks();
        let [given_at, user] = self.cpus[cpu].given_at;
        let user = self.user_ticks(cpu, now).wrapping_sub(user);
        [user, now.wrapping_sub(given_at).saturating_sub(user)]
    }

    /// Ticks that a CPU has spent in user code until `now`. Whoever asks has the lock, so that all
    /// other CPUs with a thread are there, or were until they began to wait for the lock.
    fn user_ticks(&self, cpu: CpuId, now: u64) -> u64 {
        let record = &self.cpus[cpu];
        let is_there = record.has_thread && cpu != self.machine.this_cpu();
        if is_there { record.user.wrapping_add(now) } else { record.user }
    }

    /// What a CPU has done with its time.
    pub fn times_of(&self, cpu: CpuId) -> Times {
        let now = self.machine.ticks();
        let record = &self.cpus[cpu];
        let user = self.user_ticks(cpu, now);
        let idle = if record.is_halted { record.idle.wrapping_add(now) } else { record.idle };
        let kernel = now.wrapping_sub(record.started).saturating_sub(user).saturating_sub(idle);
        Times { user, kernel, idle }
    }

    /// Ticks of a thread in user code and in the kernel, the turn it has now included.
    pub fn ticks_of(&self, task: TaskId) -> [u64; 2] {
        let thread = &self.tasks[task.0];
        let turn = match thread.state {
            State::Running(cpu) => self.turn_of(cpu),
            _ => [0; 2],
        };
        [thread.user_ticks + turn[0], thread.kernel_ticks + turn[1]]
    }

    /// The program that the current thread of this CPU runs has been replaced.
    pub(crate) fn moved_to(&mut self, task: TaskId, space: SpaceId) {
        self.tasks[task.0].space = space;
        let callers = self.cpus.iter_mut().map(|record| &mut record.caller);
        callers.filter(|caller| caller.task == task).for_each(|caller| caller.space = space);
    }

    /// A call has come to an end, or to a halt. Returns the registers with the answer. Without one
    /// they are where they belong: with the thread that waits.
    #[inline(always)]
    pub(crate) fn conclude(
        &mut self,
        caller: Caller,
        mut context: M::Context,
        outcome: Outcome,
    ) -> Option<M::Context> {
        let value = match outcome {
            Ok(value) => value,
            Err(Stop::Error(_)) if self.frames.is_refused && self.takes_refusal() => {
                self.tasks[caller.task.0].context = Some(context);
                self.park(caller.task, self.wait_for_memory());
                self.want_emergency();
                return None;
            }
            Err(Stop::Error(errno)) => answer(Err(errno)),
            Err(Stop::Park(wait)) => {
                self.tasks[caller.task.0].context = Some(context);
                self.park(caller.task, wait);
                return None;
            }
            Err(Stop::Replaced) => return None,
        };
        context.set_answer(value);
        Some(context)
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
            let number = thread.context().call().number;
            thread.context().set_answer(answer(Err(errno)));
            thread.unfinished = Unfinished::default();
            if thread.session.is_some() {
                self.call_ended(caller.task, number);
            }
            return;
        }
        let thread = &mut self.tasks[caller.task.0];
        let Some(context) = thread.context.take() else { return };
        let traced = thread.session.map(|_| context.call().number);
        let answered = syscall::dispatch(self, caller, context);
        let has_answer = answered.is_some();
        if let Some(context) = answered {
            let thread = &mut self.tasks[caller.task.0];
            thread.context = Some(context);
            // The call may have ended without taking the answer it was waiting for: what it named
            // then may no longer be there.
            if thread.unfinished.owed.is_some() {
                self.abandon_request(caller.task);
            }
            self.tasks[caller.task.0].unfinished = Unfinished::default();
        }
        if let Some(number) = traced
            && (has_answer || self.is_replaced(caller.task))
        {
            self.call_ended(caller.task, number);
        }
    }

    /// Whether a thread whose call gave no answer is not waiting either: it has new registers.
    fn is_replaced(&self, task: TaskId) -> bool {
        let thread = self.tasks.get(task.0);
        thread.is_some_and(|thread| !thread.unfinished.is_parked && thread.context.is_some())
    }

    /// Runs a woken thread's call before its turn comes, because what it needs is about to go.
    pub(crate) fn call_early(&mut self, task: TaskId) {
        let thread = &mut self.tasks[task.0];
        let is_at_rest = matches!(thread.state, State::Ready | State::Stopped | State::Traced);
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
        if thread.attention && thread.unfinished.owed.is_none() {
            return;
        }
        let State::Running(cpu) = thread.state else { return };
        thread.state = State::Parked(wait);
        self.leave(cpu);
        if let Some(queue) = wait.queue {
            self.waits.push(&mut self.tasks, queue, task);
        }
        let thread = &mut self.tasks[task.0];
        if let Some(deadline) = thread.unfinished.deadline {
            let timer = self.add_timer(deadline, Waiter::Task(task));
            self.tasks[task.0].timer = Some(timer);
        }
    }

    /// Adds a woken thread to the ready ones, in front: whoever woke it may hand over its turn.
    pub(crate) fn make_ready_first(&mut self, task: TaskId) {
        self.tasks[task.0].state = State::Ready;
        self.policy.add_first(task);
        let record = self.this_record();
        record.handoff = Some(task);
        record.must_look = true;
    }

    /// Adds a thread to the ready ones, at the end.
    pub(crate) fn make_ready(&mut self, task: TaskId) {
        self.tasks[task.0].state = State::Ready;
        self.policy.add(task);
        self.this_record().must_look = true;
    }

    /// The record of the CPU that has the kernel.
    pub(crate) fn this_record(&mut self) -> &mut Cpu {
        let cpu = self.machine.this_cpu();
        &mut self.cpus[cpu]
    }

    /// The calling thread lets others go first.
    pub(crate) fn yield_turn(&mut self) {
        let record = self.this_record();
        record.must_yield = true;
        record.must_look = true;
    }

    fn timer_fired(&mut self, cpu: CpuId) {
        self.cpus[cpu].timer = u64::MAX;
        let now = self.now();
        self.expire_timers(now);
        let record = &mut self.cpus[cpu];
        if now >= record.turn_ends {
            record.must_yield = record.has_thread;
        }
    }

    fn set_timer(&mut self, cpu: CpuId, deadline: u64) {
        let record = &mut self.cpus[cpu];
        if record.timer != deadline {
            record.timer = deadline;
            let paused = self.emergency.paused_ns;
            self.machine.set_timer((deadline != u64::MAX).then(|| deadline.saturating_add(paused)));
        }
    }

    /// Makes sure the timer fires no later than `deadline`.
    fn set_timer_by(&mut self, cpu: CpuId, deadline: u64) {
        if deadline < self.cpus[cpu].timer {
            self.set_timer(cpu, deadline);
        }
    }

    /// Work is left over: calls a CPU that has nothing to do, or else one whose thread would run on
    /// for ever, because nobody waited for a turn when it started.
    fn call_another_cpu(&mut self, this: CpuId) {
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

    /// Keeps a reserve for the kernel's own heap between operations, where frames can be had, so
    /// that allocations inside an operation find room.
    pub(crate) fn top_up_heap(&mut self) {
        const ORDER: usize = (HEAP_RESERVE / abi::PAGE_SIZE).ilog2() as usize;
        if self.machine.heap_reserve() > 0 {
            return;
        }
        if let Some(first) = self.frames.allocate_run(ORDER, crate::memory::Zone::Normal) {
            self.machine.grow_heap(first, 1 << ORDER);
        }
    }
}
