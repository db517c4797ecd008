//! Calls about time, and waiting for a word of memory.

use super::Arguments;
use crate::error::*;
use crate::futex::FutexKey;
use crate::kernel::{Caller, Kernel, Ring};
use crate::machine::{Access, Context, Machine};
use crate::memory::{Kind, Page, UserSlice};
use crate::signal::is_signal;
use crate::task::{Reason, TaskId, Wait};
use abi::PAGE_SIZE;
use abi::redox::data::TimeSpec;
use abi::redox::flag::*;
use abi::redox::number::SYS_NANOSLEEP;

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// Reads a `TimeSpec` as nanoseconds. `EINVAL` for negative ones.
pub(crate) fn copy_in_time<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    address: usize,
) -> Outcome<u64> {
    let [seconds, rest] = k.copy_in_words(caller.space, address)?;
    nanoseconds(seconds, rest)
}

/// The words of a `TimeSpec` as nanoseconds.
fn nanoseconds(seconds: usize, rest: usize) -> Outcome<u64> {
    let (seconds, nanos) = (seconds as i64, rest as u32 as i32);
    match (u64::try_from(seconds), u64::try_from(nanos)) {
        (Ok(seconds), Ok(nanos)) if nanos < SECOND => {
            Ok(seconds.saturating_mul(SECOND).saturating_add(nanos))
        }
        _ => fail(EINVAL),
    }
}

/// Nanoseconds as the bytes of a `TimeSpec`, padding included: programs must not see what was on
/// the kernel's stack.
pub(crate) fn time_spec(nanos: u64) -> [u8; size_of::<TimeSpec>()] {
    let mut bytes = [0; size_of::<TimeSpec>()];
    bytes[..8].copy_from_slice(&(nanos / SECOND).to_ne_bytes());
    bytes[8..12].copy_from_slice(&((nanos % SECOND) as i32).to_ne_bytes());
    bytes
}

impl<M: Machine> Kernel<M> {
    /// What a clock shows, in nanoseconds. `EINVAL` for an unknown clock.
    pub(crate) fn clock(&self, clock: usize) -> Outcome<u64> {
        Ok(self.clock_start(clock)? + self.now())
    }

    /// What a clock showed at boot, in nanoseconds. `EINVAL` for an unknown clock.
    pub(crate) fn clock_start(&self, clock: usize) -> Outcome<u64> {
        match clock {
            CLOCK_MONOTONIC => Ok(0),
            // The world's time does not stop when ours does.
            CLOCK_REALTIME => Ok(self.machine.boot_time() * SECOND + self.emergency.paused_ns),
            _ => fail(EINVAL),
        }
    }

    /// The moment a call's timeout ends, counted from its first run.
    #[inline(always)]
    pub(super) fn deadline(&self, task: TaskId, timeout: u64) -> u64 {
        let begun = self.tasks[task.0].unfinished.deadline;
        begun.unwrap_or_else(|| self.now().saturating_add(timeout))
    }

    /// Parks a call until its deadline, if `wait` does not end before.
    #[inline(always)]
    pub(super) fn park_until(
        &mut self,
        task: TaskId,
        wait: Wait,
        deadline: Option<u64>,
    ) -> Outcome {
        self.tasks[task.0].unfinished.deadline = deadline;
        Err(Stop::Park(wait))
    }
}

/// `clock, *TimeSpec`
pub(super) fn clock<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let time = time_spec(k.clock(a[0])?);
    k.copy_out_exact(caller.space, a[1], &time)?;
    Ok(0)
}

/// `*request, *remaining`: what remains is written when a handler ends the sleep.
pub(super) fn sleep<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let timeout = copy_in_time(k, caller, a[0])?;
    let deadline = k.deadline(caller.task, timeout);
    if k.now() < deadline {
        return k.park_until(caller.task, Wait::alone(Reason::Time), Some(deadline));
    }
    Ok(0)
}

impl<M: Machine> Kernel<M> {
    /// A parked call is interrupted: if it is a sleep, the program is told how much is left of it.
    pub(crate) fn tell_rest_of_sleep(&mut self, task: TaskId) {
        let now = self.now();
        let thread = &mut self.tasks[task.0];
        let call = thread.context().call();
        let (space, [_, rest, ..]) = (thread.space, call.arguments);
        let Some(deadline) = thread.unfinished.deadline else { return };
        if call.number == SYS_NANOSLEEP && rest != 0 {
            let left = time_spec(deadline.saturating_sub(now));
            // A bad address costs the program this and nothing else: the call ends with `EINTR`.
            if self.copy_out_exact(space, rest, &left).is_err() {
                self.forget_refusal();
            }
        }
    }
}

/// `*const [TimeSpec; 2] or 0, *mut [TimeSpec; 2] or 0`: when `SIGALRM` comes, and how often then.
pub(super) fn set_alarm<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [new, old, ..] = a;
    exchange(k, caller, 0, new, old)
}

/// `signal, value, thread`
pub(super) fn make_timer<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [signal, value, thread, ..] = a;
    if signal != 0 && !is_signal(signal) {
        return fail(EINVAL);
    }
    let thread = u32::try_from(thread).map_err(|_| Errno(EINVAL))?;
    let is_own = |task: &TaskId| k.tasks[task.0].process == caller.process;
    if thread != 0 && k.tids.get(&thread).is_none_or(|task| !is_own(task)) {
        return fail(EINVAL);
    }
    k.make_alarm(caller.process, Ring { signal, value, thread })
}

/// `number, *new, *old`
pub(super) fn set_timer<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [number, new, old, ..] = a;
    exchange(k, caller, number, new, old)
}

/// `number`
pub(super) fn end_timer<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    k.end_alarm(caller.process, a[0])
}

/// `number`
pub(super) fn missed_by_timer<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    a: Arguments,
) -> Outcome {
    k.missed_by_alarm(caller.process, a[0])
}

/// Sets an alarm, and tells what it was.
fn exchange<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    number: usize,
    new: usize,
    old: usize,
) -> Outcome {
    let wanted = match new {
        0 => None,
        new => {
            let [seconds, rest, every_seconds, every_rest] = k.copy_in_words(caller.space, new)?;
            Some((nanoseconds(seconds, rest)?, nanoseconds(every_seconds, every_rest)?))
        }
    };
    let (left, interval) = k.alarm_of(caller.process, number)?;
    if old != 0 {
        let times = [time_spec(left), time_spec(interval)];
        k.copy_out_exact(caller.space, old, times.as_flattened())?;
    }
    if let Some((delay, interval)) = wanted {
        k.set_alarm(caller.process, number, delay, interval)?;
    }
    Ok(0)
}

/// Lets others go first.
pub(super) fn yield_turn<M: Machine>(k: &mut Kernel<M>, _: Caller, _: Arguments) -> Outcome {
    k.yield_turn();
    Ok(0)
}

/// `address, operation, value, value2, address2`
pub(super) fn futex<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [address, operation, value, value2, ..] = a;
    match operation {
        FUTEX_WAIT => wait(k, caller, address, 4, value as u32 as u64, value2),
        FUTEX_WAIT64 => wait(k, caller, address, 8, value as u64, value2),
        FUTEX_WAKE => wake(k, caller, address, value),
        _ => fail(ENOSYS),
    }
}

/// Parks while the word is `value`. `EAGAIN` when it is not, `ETIMEDOUT`.
fn wait<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    address: usize,
    size: usize,
    value: u64,
    timeout: usize,
) -> Outcome {
    if !address.is_multiple_of(size) {
        return fail(EINVAL);
    }
    if k.tasks[caller.task.0].unfinished.woken {
        return Ok(0);
    }
    // Aligned, so in one page.
    let (at, _) = k.readable_at(caller.space, UserSlice::new(address, size)?)?;
    let mut word = [0; 8];
    k.machine.read(at, &mut word[..size]);
    let deadline = match timeout {
        0 => None,
        timeout => {
            let timeout = copy_in_time(k, caller, timeout)?;
            Some(k.deadline(caller.task, timeout))
        }
    };
    if u64::from_le_bytes(word) != value {
        return fail(EAGAIN);
    }
    if deadline.is_some_and(|deadline| k.now() >= deadline) {
        return fail(ETIMEDOUT);
    }
    let key = match is_shared(k, caller, address) {
        true => FutexKey::Shared(at.frame(), address % PAGE_SIZE),
        false => FutexKey::Private(caller.space, address),
    };
    if !k.futexes.has_room() {
        return fail(ENOMEM);
    }
    let queue = k.futex_queue(key);
    k.park_until(caller.task, Wait::on(Reason::Futex, queue), deadline)
}

/// Wakes at most `count` waiters; returns how many.
fn wake<M: Machine>(k: &mut Kernel<M>, caller: Caller, address: usize, count: usize) -> Outcome {
    let key = key(k, caller, address)?;
    Ok(k.wake_futex(key, count as u32 as usize))
}

fn key<M: Machine>(k: &mut Kernel<M>, caller: Caller, address: usize) -> Outcome<FutexKey> {
    let slice = UserSlice::new(address, 4)?;
    if !is_shared(k, caller, address) {
        return Ok(FutexKey::Private(caller.space, address));
    }
    let (at, _) = k.readable_at(caller.space, slice)?;
    Ok(FutexKey::Shared(at.frame(), address % PAGE_SIZE))
}

/// Whether other spaces may have the memory at an address, too.
fn is_shared<M: Machine>(k: &Kernel<M>, caller: Caller, address: usize) -> bool {
    let region = k.spaces[caller.space.0].region(Page::containing(address));
    region.is_some_and(|region| matches!(region.kind, Kind::Shared | Kind::Wired))
}

impl<M: Machine> Kernel<M> {
    fn futex_queue(&mut self, key: FutexKey) -> crate::task::QueueId {
        if let Some(queue) = self.futexes.find(key) {
            return queue;
        }
        // Words keep their queues for the next wait; those without waiters go when there are many.
        if self.futexes.len() > 2 * self.tasks.len() {
            let waits = &self.waits;
            for queue in self.futexes.sweep(|queue| waits.is_empty(queue)) {
                self.waits.destroy(queue);
            }
        }
        let queue = self.waits.create();
        self.futexes.add(key, queue);
        queue
    }

    /// Wakes waiters of a word.
    pub(crate) fn wake_futex(&mut self, key: FutexKey, count: usize) -> usize {
        let Some(queue) = self.futexes.find(key) else { return 0 };
        let mut woken = 0;
        while woken < count
            && let Some((task, are_more)) = self.waits.pop(&mut self.tasks, queue)
        {
            let thread = &mut self.tasks[task.0];
            thread.unfinished.woken = true;
            let timer = thread.unpark();
            self.run_soon(task, timer);
            woken += 1;
            if !are_more {
                break;
            }
        }
        woken
    }

    /// Stores 0 at a user address and wakes one waiter there, for a thread that ends.
    pub(crate) fn clear_and_wake(&mut self, caller: Caller, address: usize) -> Outcome<()> {
        let slice = UserSlice::new(address, 4)?;
        if !address.is_multiple_of(4) {
            return fail(EINVAL);
        }
        self.bring_page(caller.space, Page::containing(address), Access::WRITE)?;
        self.copy_out(caller.space, slice, &[0; 4])?;
        let key = key(self, caller, address)?;
        self.wake_futex(key, 1);
        Ok(())
    }
}
