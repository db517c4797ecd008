//! `sys:stat`, `sys:cpu` — one record per CPU: which thread it has, what it must look at before that
//! one goes on, and where its time went.

use super::{Caller, Kernel};
use crate::machine::{CpuId, Machine};
use crate::stats::{CpuStats, Times};
use crate::task::{State, Task, TaskId};
use alloc::boxed::Box;
use core::ops::{Index, IndexMut};

/// A ready thread that the current one has woken: it inherits the turn if the current one parks.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Handoff {
    #[default]
    Nobody,
    /// Ready, but not in the queue: no other CPU can take it.
    Held(TaskId),
    /// In the queue too.
    Queued(TaskId),
}

/// What the kernel knows of one CPU. Aligned, so that CPUs do not share cache lines, and finding a
/// record is a shift.
#[repr(align(256))]
pub struct Cpu {
    /// Its number.
    pub id: CpuId,
    /// The thread it runs, or has just brought back, and what belongs to it.
    pub(super) caller: Caller,
    /// Whether it has one.
    pub(super) has_thread: bool,
    /// It has one whose calls happen at once: no other CPU has ended it, and nobody traces it.
    pub(super) may_call: bool,
    /// When it got that thread, and `user` then.
    pub(super) given_at: [u64; 2],
    /// Who goes next if the current thread parks.
    pub(super) handoff: Handoff,
    /// The current thread must let others go.
    pub(super) must_yield: bool,
    /// Something must be looked at before the current thread goes on: what it asks attention for,
    /// the end of its turn or its own, a thread that became ready here, a new timer. The one word
    /// that every call tests.
    pub(super) must_look: bool,
    /// When the current turn began, in ticks.
    pub(super) turn_began: u64,
    /// How long a turn is, in ticks.
    pub(super) turn_ticks: u64,
    /// When it ends, nanoseconds since boot.
    pub(super) turn_ends: u64,
    /// What the one-shot timer is set to; `u64::MAX` for nothing.
    pub(super) timer: u64,
    /// Halted, or about to be.
    pub is_idle: bool,
    /// Told that others wait for a turn, and not back yet.
    pub(super) is_called: bool,
    /// Halted and not back yet.
    pub(super) is_halted: bool,
    /// When it began, in ticks. What is neither user code nor idle since then is the kernel's.
    pub(super) started: u64,
    /// Ticks in user code. While it is there, less the moment it went: going and coming back each
    /// cost one addition.
    pub(super) user: u64,
    /// Ticks halted, counted the same way.
    pub(super) idle: u64,
    /// Counters.
    pub stats: CpuStats,
}

impl Cpu {
    /// A CPU that has not run anything. Its times count from `started` on.
    fn new(id: CpuId, started: u64, turn_ticks: u64) -> Self {
        Self {
            id,
            caller: Caller::NOBODY,
            has_thread: false,
            may_call: false,
            given_at: [0; 2],
            handoff: Handoff::Nobody,
            must_yield: false,
            must_look: false,
            turn_began: 0,
            turn_ticks,
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

    /// Gets a thread to run.
    #[inline(always)]
    pub(super) fn take_on<M: Machine>(&mut self, task: TaskId, thread: &mut Task<M>, now: u64) {
        thread.state = State::Running(self.id);
        thread.switches += 1;
        thread.last_cpu = self.id;
        self.caller = Caller { task, process: thread.process, space: thread.space };
        self.has_thread = true;
        self.may_call = thread.session.is_none();
        self.given_at = [now, self.user];
        self.stats.switches += 1;
    }

    /// Parts it from its thread. Returns the ticks that one has had, in user code and in the kernel.
    pub(super) fn let_go(&mut self, now: u64) -> [u64; 2] {
        self.must_yield = false;
        self.has_thread = false;
        self.may_call = false;
        let [given_at, user] = self.given_at;
        let user = self.user.wrapping_sub(user);
        [user, now.wrapping_sub(given_at).saturating_sub(user)]
    }

    /// Whether the turn that began last is not over.
    #[inline]
    pub(super) fn has_turn(&self, now: u64) -> bool {
        now.wrapping_sub(self.turn_began) < self.turn_ticks
    }

    /// Counts the time in user code until `now`.
    #[inline]
    pub(super) fn leaves_user(&mut self, now: u64) {
        self.user = self.user.wrapping_add(now);
    }

    /// Counts the time in user code from `now` on.
    #[inline]
    pub(super) fn enters_user(&mut self, now: u64) {
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
    /// Records of `count` CPUs that have not run anything. A turn is `turn_ticks` long.
    pub(super) fn new(count: u32, started: u64, turn_ticks: u64) -> Self {
        let record = |number| Cpu::new(CpuId(number), started, turn_ticks);
        let records = (0..CPUS_MAX as u32).map(record);
        let records: Box<[Cpu]> = records.collect();
        let records = records.try_into().unwrap_or_else(|_| unreachable!("as many as fit"));
        Self { records, count: count as usize }
    }

    /// Whether there is only one.
    pub(super) fn is_single(&self) -> bool {
        self.count == 1
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

impl<M: Machine> Kernel<M> {
    /// The record of the CPU that has the kernel.
    #[inline]
    pub(crate) fn this_record(&mut self) -> &mut Cpu {
        let cpu = self.machine.this_cpu();
        &mut self.cpus[cpu]
    }

    /// Ticks in user code and in the kernel since a CPU got its thread.
    pub(super) fn turn_of(&self, cpu: CpuId) -> [u64; 2] {
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
}
