//! `SETTIMER`, `TIMER_*` — a process's alarms: a signal at a moment, and from then on at intervals.
//!
//! Alarm 0 is always there and sends `SIGALRM`; it survives `exec`. The others are made, and go with the
//! program.

use super::{Kernel, TimerKey, Waiter};
use crate::error::*;
use crate::machine::Machine;
use crate::task::ProcessId;
use crate::trace::ProcessKey;
use abi::signal::{SI_KERNEL, SI_TIMER, SIGALRM, SigInfo};
use alloc::vec::Vec;

/// The shortest time between two alarms: a program cannot keep the kernel busy with them.
const SHORTEST_NS: u64 = 100_000;
/// Most alarms of a process.
const ALARMS_MAX: usize = 32;
/// The one that every process has.
const FIRST: usize = 0;

/// An alarm.
#[derive(Clone, Copy, Debug)]
struct Alarm {
    /// What it sends; 0 is nothing.
    signal: usize,
    /// Its timer while it is set; the first part is the moment.
    timer: Option<TimerKey>,
    /// How long until the one after it; 0 is never.
    interval: u64,
}

/// The alarms of a process, by number.
#[derive(Default)]
pub struct Alarms(Vec<Option<Alarm>>);

impl Alarms {
    fn get_mut(&mut self, number: usize) -> Option<&mut Alarm> {
        if number == FIRST && self.0.is_empty() {
            self.0.push(Some(Alarm { signal: SIGALRM, timer: None, interval: 0 }));
        }
        self.0.get_mut(number)?.as_mut()
    }
}

impl<M: Machine> Kernel<M> {
    fn alarm(&mut self, process: ProcessId, number: usize) -> Result<&mut Alarm, Errno> {
        self.processes[process.0].alarms.get_mut(number).ok_or(Errno(EINVAL))
    }

    /// Makes an alarm that sends a signal. `EAGAIN` when the process has too many.
    pub(crate) fn make_alarm(&mut self, process: ProcessId, signal: usize) -> Outcome {
        self.alarm(process, FIRST)?;
        let alarms = &mut self.processes[process.0].alarms.0;
        let free = alarms.iter().position(Option::is_none).unwrap_or(alarms.len());
        if free >= ALARMS_MAX {
            return fail(EAGAIN);
        }
        let alarm = Some(Alarm { signal, timer: None, interval: 0 });
        match alarms.get_mut(free) {
            Some(place) => *place = alarm,
            None => alarms.push(alarm),
        }
        Ok(free)
    }

    /// Forgets an alarm that was made. `EINVAL` when there is none.
    pub(crate) fn end_alarm(&mut self, process: ProcessId, number: usize) -> Outcome {
        if number == FIRST {
            return fail(EINVAL);
        }
        self.set_alarm(process, number, 0, 0)?;
        self.processes[process.0].alarms.0[number] = None;
        Ok(0)
    }

    /// Forgets the alarms that were made, and with `all` the first one, too.
    pub(crate) fn end_alarms(&mut self, process: ProcessId, all: bool) {
        let kept = usize::from(!all);
        let alarms = &mut self.processes[process.0].alarms.0;
        let ended: Vec<Alarm> = alarms.drain(kept.min(alarms.len())..).flatten().collect();
        for timer in ended.into_iter().filter_map(|alarm| alarm.timer) {
            self.timers.cancel(timer);
        }
    }

    /// How long until an alarm, and how long between later ones; 0 when it is not set. `EINVAL`.
    pub(crate) fn alarm_of(&mut self, process: ProcessId, number: usize) -> Outcome<(u64, u64)> {
        let now = self.now();
        let Alarm { timer, interval, .. } = *self.alarm(process, number)?;
        // One that is due has not come yet.
        let told = |timer: TimerKey| (timer.0.saturating_sub(now).max(1), interval);
        Ok(timer.map_or((0, 0), told))
    }

    /// Sets an alarm, in place of what it was set to; a delay of 0 leaves it unset. `EINVAL`.
    pub(crate) fn set_alarm(
        &mut self,
        process: ProcessId,
        number: usize,
        delay: u64,
        interval: u64,
    ) -> Outcome<()> {
        if let Some(timer) = self.alarm(process, number)?.timer.take() {
            self.timers.cancel(timer);
        }
        if delay == 0 {
            return Ok(());
        }
        let interval = if interval == 0 { 0 } else { interval.max(SHORTEST_NS) };
        let waiter = Waiter::Alarm(self.process_key(process), number);
        let timer = self.add_timer(self.now().saturating_add(delay), waiter);
        let alarm = self.alarm(process, number)?;
        (alarm.timer, alarm.interval) = (Some(timer), interval);
        Ok(())
    }

    /// The moment has come.
    pub(super) fn alarm_rings(&mut self, key: ProcessKey, number: usize) {
        let Ok(process) = self.process_of(key) else { return };
        let Ok(alarm) = self.alarm(process, number) else { return };
        let Alarm { signal, timer, interval } = *alarm;
        let Some(due) = alarm.timer.take().and(timer) else { return };
        if interval != 0 {
            // Counted from the moment it was meant for, but never in the past.
            let due = due.0.saturating_add(interval).max(self.now() + SHORTEST_NS);
            let timer = self.add_timer(due, Waiter::Alarm(key, number));
            if let Ok(alarm) = self.alarm(process, number) {
                alarm.timer = Some(timer);
            }
        }
        if signal != 0 {
            let code = if number == FIRST { SI_KERNEL } else { SI_TIMER };
            let info = SigInfo { signo: signal as i32, code, ..SigInfo::default() };
            self.signal_process(process, info);
        }
    }
}
