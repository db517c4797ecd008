//! Moments that somebody waits for, soonest first.

use super::Kernel;
use crate::machine::Machine;
use crate::scheme::place;
use crate::task::TaskId;
use abi::redox::flag::EventFlags;
use alloc::collections::BTreeMap;

/// Names a timer: its moment, and a number that tells timers of the same moment apart.
pub type TimerKey = (u64, u64);

/// Who waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waiter {
    /// A parked thread.
    Task(TaskId),
    /// The reader of an event queue that has a timeout.
    EventQueue(usize),
    /// A `time:` file.
    TimeFile(usize),
}

/// All timers.
#[derive(Default)]
pub struct Timers {
    waiting: BTreeMap<TimerKey, Waiter>,
    count: u64,
}

impl Timers {
    /// Notes that `waiter` waits until `deadline`, nanoseconds since boot.
    pub fn add(&mut self, deadline: u64, waiter: Waiter) -> TimerKey {
        self.count += 1;
        let key = (deadline, self.count);
        self.waiting.insert(key, waiter);
        key
    }

    /// Forgets a timer that has not been due.
    pub fn cancel(&mut self, key: TimerKey) {
        self.waiting.remove(&key);
    }

    /// The next moment.
    pub fn next(&self) -> Option<u64> {
        self.waiting.first_key_value().map(|(key, _)| key.0)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn take_due(&mut self, now: u64) -> Option<Waiter> {
        let (deadline, _) = *self.waiting.first_key_value()?.0;
        if deadline > now {
            return None;
        }
        self.waiting.pop_first().map(|(_, waiter)| waiter)
    }
}

impl<M: Machine> Kernel<M> {
    /// Wakes everybody whose moment has come.
    pub(crate) fn expire_timers(&mut self, now: u64) {
        while let Some(waiter) = self.timers.take_due(now) {
            match waiter {
                Waiter::Task(task) => {
                    self.tasks[task.0].timer = None;
                    self.wake_task(task);
                }
                Waiter::EventQueue(number) => self.expire_event_queue(number),
                Waiter::TimeFile(number) => {
                    self.clocks.expire(number);
                    self.raise((place::TIME, number), EventFlags::EVENT_READ);
                }
            }
        }
    }

    fn expire_event_queue(&mut self, number: usize) {
        let Some(queue) = self.events.queue(number) else { return };
        queue.is_timed_out = true;
        queue.timer = None;
        let readable = queue.readable;
        self.wake_all(readable);
    }
}
