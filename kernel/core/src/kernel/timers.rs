//! Moments that somebody waits for, soonest first.

use super::Kernel;
use crate::machine::Machine;
use crate::scheme::place;
use crate::task::TaskId;
use crate::trace::ProcessKey;
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
    /// The clock that ticks while memory is short.
    Pressure,
    /// A profile's clock.
    Profile(usize),
    /// A process's alarm, by its number.
    Alarm(ProcessKey, usize),
    /// The last moment of a crashed process.
    Crash(ProcessKey),
    /// The jobs that save their work: their time is over.
    Saving,
    /// The job that comes back from the store: its next step.
    Resume,
    /// Pages that come back while the world goes on: the next step.
    Homecoming,
    /// The daemon's lease in an emergency.
    Lease,
}

/// All timers.
pub struct Timers {
    waiting: BTreeMap<TimerKey, Waiter>,
    count: u64,
    /// The first moment, kept at hand because every call looks at it.
    soonest: u64,
}

impl Default for Timers {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), count: 0, soonest: u64::MAX }
    }
}

impl Timers {
    fn add(&mut self, deadline: u64, waiter: Waiter) -> TimerKey {
        self.count += 1;
        let key = (deadline, self.count);
        self.waiting.insert(key, waiter);
        self.soonest = self.soonest.min(deadline);
        key
    }

    /// Forgets a timer that has not been due.
    pub fn cancel(&mut self, key: TimerKey) {
        self.waiting.remove(&key);
        self.look_again();
    }

    /// The next moment; `u64::MAX` when nobody waits.
    pub fn soonest(&self) -> u64 {
        self.soonest
    }

    fn look_again(&mut self) {
        self.soonest = self.waiting.first_key_value().map_or(u64::MAX, |(key, _)| key.0);
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
        if self.soonest > now {
            return None;
        }
        let due = self.waiting.pop_first();
        self.look_again();
        due.map(|(_, waiter)| waiter)
    }
}

impl<M: Machine> Kernel<M> {
    /// Notes that `waiter` waits until `deadline`, nanoseconds since boot.
    pub(crate) fn add_timer(&mut self, deadline: u64, waiter: Waiter) -> TimerKey {
        self.this_record().must_look = true;
        self.timers.add(deadline, waiter)
    }

    /// Wakes everybody whose moment has come.
    pub(crate) fn expire_timers(&mut self, now: u64) {
        while let Some(waiter) = self.timers.take_due(now) {
            match waiter {
                Waiter::Task(task) => {
                    self.tasks[task.0].timer = None;
                    self.wake_task(task);
                }
                Waiter::EventQueue(number) => self.expire_event_queue(number),
                Waiter::Pressure => self.pressure_ticked(),
                Waiter::Profile(number) => self.wind_profile(number),
                Waiter::Alarm(process, number) => self.alarm_rings(process, number),
                Waiter::Crash(process) => self.crash_expired(process),
                Waiter::Saving => self.saving_over(),
                Waiter::Resume => self.resume_step(),
                Waiter::Homecoming => self.homecoming_step(),
                Waiter::Lease => self.end_lease(crate::emergency::daemon::Reply::Late),
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
        self.raise((place::EVENT, number), EventFlags::EVENT_READ);
    }
}
