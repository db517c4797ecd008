//! Choosing who runs, and what happens when it stops.
//!
//! A CPU asks [`Kernel::next`] for a thread, runs it without the lock, and brings it back to
//! [`Kernel::trapped`]. A parked call is run again here, before its thread sees user code.

use super::cpus::{Cpu, Handoff};
use super::{Caller, Kernel};
use crate::emergency::Phase;
use crate::error::*;
use crate::kernel::{TimerKey, Waiter};
use crate::machine::{Context, CpuId, Interrupt, Machine, Trap};
use crate::memory::{SpaceId, Zone};
use crate::schedule::Policy;
use crate::syscall;
use crate::task::{Progress, State, TaskId, Unfinished, Wait};

/// How long a thread runs before another ready one gets its turn, in nanoseconds.
const QUANTUM_NS: u64 = 10_000_000;
/// The same as a part of a second.
pub(super) const QUANTA_PER_SECOND: u64 = 1_000_000_000 / QUANTUM_NS;
/// What is set aside for the kernel's heap between operations, in bytes: more than any operation
/// allocates that does not ask first.
const HEAP_RESERVE: usize = 1 << 20;
/// Where memory is in pieces, so little will do.
const HEAP_LEAST: usize = 64 << 10;

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
            if thread.attention {
                if !self.attend(caller.task) {
                    continue;
                }
                thread = &mut self.tasks[caller.task.0];
            }
            if !thread.unfinished.is_call() {
                let context = thread.context.take().expect("a chosen thread has its registers");
                return Some(self.hand_out(cpu, caller.space, context));
            }
            let Some(context) = self.call_again(caller) else { continue };
            if !self.cpus[cpu].must_look {
                return Some(self.hand_out(cpu, caller.space, context));
            }
            self.tasks[caller.task.0].context = Some(context);
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

    /// The thread that the last one handed its turn to, while that lasts. This is what a call to a
    /// daemon does twice, so it is apart from everything that is less simple.
    #[inline(always)]
    fn take_handed_turn(&mut self, cpu: CpuId, ticks: u64) -> Option<TaskId> {
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
    fn keep_or_choose(&mut self, cpu: CpuId, ticks: u64) -> Option<TaskId> {
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
    fn is_somebody_ready(&self, cpu: CpuId) -> bool {
        matches!(self.cpus[cpu].handoff, Handoff::Held(_)) || !self.policy.is_empty()
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
                self.park(caller.task, self.wait_for_memory(), context);
                self.seek_memory();
                return None;
            }
            Err(Stop::Error(errno)) => answer(Err(errno)),
            Err(Stop::Park(wait)) => {
                self.park(caller.task, wait, context);
                return None;
            }
            Err(Stop::Replaced) => return None,
        };
        context.set_answer(value);
        Some(context)
    }

    /// Runs a parked call again, unless all that is left of it is a daemon's error. Returns the
    /// registers when that was all.
    #[inline(always)]
    fn call_again(&mut self, caller: Caller) -> Option<M::Context> {
        let thread = &mut self.tasks[caller.task.0];
        if thread.session.is_some() {
            return self.call_traced(caller);
        }
        thread.unfinished.progress = Progress::None;
        if thread.unfinished.is_refused {
            return self.refuse_call(caller.task);
        }
        let context = thread.context.take()?;
        self.run_again(caller, context)
    }

    #[inline(always)]
    fn run_again(&mut self, caller: Caller, context: M::Context) -> Option<M::Context> {
        let context = syscall::dispatch(self, &caller, context)?;
        let unfinished = core::mem::take(&mut self.tasks[caller.task.0].unfinished);
        // The call may have ended without taking the answer it was waiting for: what it named then
        // may no longer be there.
        if let Some(tag) = unfinished.owed {
            self.abandon_request(tag);
        }
        Some(context)
    }

    /// The same for a traced thread, whose tracer wants to know of the end. It comes by once more.
    #[cold]
    #[inline(never)]
    fn call_traced(&mut self, caller: Caller) -> Option<M::Context> {
        let thread = &mut self.tasks[caller.task.0];
        thread.unfinished.progress = Progress::None;
        let number = thread.context().call().number;
        let context = if thread.unfinished.is_refused {
            self.refuse_call(caller.task)
        } else {
            let context = thread.context.take()?;
            self.run_again(caller, context)
        };
        let has_answer = context.is_some();
        if has_answer {
            self.tasks[caller.task.0].context = context;
        }
        if has_answer || self.is_replaced(caller.task) {
            self.call_ended(caller.task, number);
        }
        None
    }

    /// Ends a call with a daemon's error.
    #[cold]
    #[inline(never)]
    fn refuse_call(&mut self, task: TaskId) -> Option<M::Context> {
        let errno = self.take_refusal(task).unwrap_or(Errno(ENODEV));
        let thread = &mut self.tasks[task.0];
        if errno == Errno(ECANCELED) && thread.attention {
            // As if it had never been asked: the signal it was cancelled for decides whether the
            // call is tried again.
            thread.unfinished =
                Unfinished { progress: Progress::Parked, is_refused: false, ..thread.unfinished };
            return None;
        }
        let errno = if errno == Errno(ECANCELED) { Errno(EINTR) } else { errno };
        thread.unfinished = Unfinished::default();
        self.take_mask_back(task);
        let mut context = self.tasks[task.0].context.take()?;
        context.set_answer(answer(Err(errno)));
        Some(context)
    }

    /// Whether a thread whose call gave no answer is not waiting either: it has new registers.
    fn is_replaced(&self, task: TaskId) -> bool {
        let thread = self.tasks.get(task.0);
        thread.is_some_and(|thread| !thread.unfinished.is_call() && thread.context.is_some())
    }

    /// Runs a woken thread's call before its turn comes, because what it needs is about to go.
    pub(crate) fn call_early(&mut self, task: TaskId) {
        let thread = &mut self.tasks[task.0];
        let is_at_rest = matches!(thread.state, State::Ready | State::Stopped | State::Traced);
        if is_at_rest && thread.unfinished.is_call() {
            let caller = Caller { task, process: thread.process, space: thread.space };
            if let Some(context) = self.call_again(caller) {
                self.tasks[task.0].context = Some(context);
            }
        }
    }

    /// Puts a thread aside until its wait is over. A thread with a signal to take stays, so that
    /// [`Kernel::attend`] can interrupt its call, unless a daemon still owes it an answer.
    fn park(&mut self, task: TaskId, wait: Wait, mut context: M::Context) {
        let thread = &mut self.tasks[task.0];
        thread.unfinished.progress = Progress::Parked;
        let stays = thread.attention && thread.unfinished.owed.is_none();
        let State::Running(cpu) = thread.state else {
            thread.context = Some(context);
            return;
        };
        if stays {
            thread.context = Some(context);
            return;
        }
        thread.state = State::Parked(wait);
        self.machine.suspend(&mut context);
        thread.context = Some(context);
        thread.count_turn(self.cpus[cpu].let_go(self.machine.ticks()));
        let deadline = thread.unfinished.deadline;
        if let Some(queue) = wait.queue {
            self.waits.push(&mut self.tasks, queue, task);
        }
        if let Some(deadline) = deadline {
            let timer = self.add_timer(deadline, Waiter::Task(task));
            self.tasks[task.0].timer = Some(timer);
        }
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

    fn timer_fired(&mut self, cpu: CpuId) {
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

    /// Work is left over: lets other CPUs have it, and calls one that has nothing to do, or else one
    /// whose thread would run on for ever, because nobody waited for a turn when it started.
    fn share_work(&mut self, this: CpuId) {
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

    /// Keeps a reserve for the kernel's own heap between operations, so that allocations inside an
    /// operation find room.
    pub(crate) fn top_up_heap(&mut self) {
        if self.machine.heap_reserve() == 0 {
            self.refill_heap();
        }
    }

    #[cold]
    #[inline(never)]
    fn refill_heap(&mut self) {
        let order = |bytes: usize| (bytes / abi::PAGE_SIZE).ilog2() as usize;
        if !self.machine.may_grow_heap() {
            return self.heap_is_short();
        }
        for order in (order(HEAP_LEAST)..=order(HEAP_RESERVE)).rev() {
            let run = self.frames.allocate_run(order, Zone::Normal);
            if let Some(first) = run.or_else(|| self.frames.allocate_run(order, Zone::Dma)) {
                self.machine.grow_heap(first, 1 << order);
                if self.emergency.phase == Phase::Short {
                    self.emergency.phase = Phase::Calm;
                }
                return;
            }
        }
        self.heap_is_short();
    }

    /// There is no memory for the kernel's heap. While it has some left, only calls are answered
    /// that need none or give some back; an emergency is to find more.
    fn heap_is_short(&mut self) {
        let has_enough = self.machine.heap_free() >= HEAP_RESERVE / 2;
        let next = if has_enough { Phase::Calm } else { Phase::Short };
        if self.emergency.is_active() || self.emergency.phase == next {
            return;
        }
        self.emergency.phase = next;
        if next == Phase::Short {
            self.cpus.iter_mut().for_each(Cpu::take_detour);
            self.want_emergency();
        }
    }

    /// Whether a call must not begin, because the kernel's heap is short and it might need some.
    pub(crate) fn lacks_heap_for(&self, number: usize) -> bool {
        self.emergency.phase == Phase::Short && !syscall::gives_back(number)
    }
}
