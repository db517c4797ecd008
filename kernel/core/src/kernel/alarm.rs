//! `SETTIMER`, `TIMER_*` — a process's alarms: a signal at a moment, and from then on at intervals.
//!
//! Alarm 0 is always there and sends `SIGALRM`; it survives `exec`. The others are made, and go with the
//! program. At most one signal of each of these is pending: how often one rang meanwhile is counted.

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

/// What an alarm does.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ring {
    /// What it sends; 0 is nothing.
    pub signal: usize,
    /// What it says with it.
    pub value: usize,
    /// To which thread; 0 is the process.
    pub thread: u32,
}

/// An alarm.
#[derive(Clone, Copy, Debug, Default)]
struct Alarm {
    ring: Ring,
    /// Its timer while it is set; the first part is the moment.
    timer: Option<TimerKey>,
    /// How long until the one after it; 0 is never.
    interval: u64,
    /// How often it has rung since its last signal was sent or taken, without sending one.
    missed: u32,
    /// The same, when its last signal was taken.
    told: u32,
}

impl Alarm {
    fn new(ring: Ring) -> Self {
        Self { ring, ..Self::default() }
    }

    fn miss(&mut self, count: u64) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.missed = self.missed.saturating_add(count);
    }

    /// When it rings again after it has rung: counted from the moment that was meant for this time, but
    /// never in the past. What it passes over is missed.
    fn next(&mut self, due: u64, now: u64) -> Option<u64> {
        let late = now.saturating_sub(due).checked_div(self.interval)?;
        self.miss(late);
        let next = due.saturating_add((late + 1).saturating_mul(self.interval));
        Some(next.max(now + SHORTEST_NS))
    }
}

/// The alarms of a process, by number.
#[derive(Default)]
pub struct Alarms(Vec<Option<Alarm>>);

impl Alarms {
    fn get_mut(&mut self, number: usize) -> Option<&mut Alarm> {
        if number == FIRST && self.0.is_empty() {
            self.0.push(Some(Alarm::new(Ring { signal: SIGALRM, ..Ring::default() })));
        }
        self.0.get_mut(number)?.as_mut()
    }
}

impl<M: Machine> Kernel<M> {
    fn alarm(&mut self, process: ProcessId, number: usize) -> Result<&mut Alarm, Errno> {
        self.processes[process.0].alarms.get_mut(number).ok_or(Errno(EINVAL))
    }

    /// Makes an alarm. `EAGAIN` when the process has too many.
    pub(crate) fn make_alarm(&mut self, process: ProcessId, ring: Ring) -> Outcome {
        self.alarm(process, FIRST)?;
        let alarms = &mut self.processes[process.0].alarms.0;
        let free = alarms.iter().position(Option::is_none).unwrap_or(alarms.len());
        if free >= ALARMS_MAX {
            return fail(EAGAIN);
        }
        let alarm = Some(Alarm::new(ring));
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
        *alarm = Alarm { timer: Some(timer), interval, ..Alarm::new(alarm.ring) };
        Ok(())
    }

    /// The moment has come.
    pub(super) fn alarm_rings(&mut self, key: ProcessKey, number: usize) {
        let Ok(process) = self.process_of(key) else { return };
        let now = self.now();
        let Ok(alarm) = self.alarm(process, number) else { return };
        let Some(due) = alarm.timer.take() else { return };
        let (next, ring) = (alarm.next(due.0, now), alarm.ring);
        let timer = next.map(|next| self.add_timer(next, Waiter::Alarm(key, number)));
        let is_heard = ring.signal == 0 || self.ring(process, number, ring);
        if let Ok(alarm) = self.alarm(process, number) {
            alarm.timer = timer;
            alarm.miss(u64::from(!is_heard));
        }
    }

    /// Sends an alarm's signal, unless its last one is still pending. Returns whether it was sent.
    fn ring(&mut self, process: ProcessId, number: usize, ring: Ring) -> bool {
        let Ring { signal, value, thread } = ring;
        let (signo, pid) = (signal as i32, number as i32);
        if number == FIRST {
            let info = SigInfo { signo, code: SI_KERNEL, ..SigInfo::default() };
            return self.signal_process(process, info);
        }
        let info = SigInfo { signo, code: SI_TIMER, pid, value, ..SigInfo::default() };
        if thread == 0 {
            let is_pending = self.processes[process.0].signals.pending.has_timer(number);
            return !is_pending && self.signal_process(process, info);
        }
        // A thread that is gone hears nothing, and neither does another process's that has its number.
        let Some(task) = self.tids.get(&thread).copied() else { return true };
        let heard_by = &self.tasks[task.0];
        if heard_by.process != process {
            return true;
        }
        !heard_by.signals.pending.has_timer(number) && self.signal_task(task, info)
    }

    /// A signal as its handler is told of it: a timer's says how often it has rung since.
    pub(crate) fn with_missed(&mut self, process: ProcessId, info: SigInfo) -> SigInfo {
        match self.alarm_behind(process, &info) {
            Some(alarm) => SigInfo { uid: alarm.missed, ..info },
            None => info,
        }
    }

    /// A signal has been taken; if it is a timer's, counting begins anew.
    pub(super) fn alarm_heard(&mut self, process: ProcessId, info: &SigInfo) {
        if let Some(alarm) = self.alarm_behind(process, info) {
            alarm.told = core::mem::take(&mut alarm.missed);
        }
    }

    fn alarm_behind(&mut self, process: ProcessId, info: &SigInfo) -> Option<&mut Alarm> {
        let number = usize::try_from(info.pid).ok().filter(|_| info.code == SI_TIMER)?;
        self.alarm(process, number).ok()
    }

    /// How often an alarm had rung again, unheard, when its last signal was taken. `EINVAL`.
    pub(crate) fn missed_by_alarm(&mut self, process: ProcessId, number: usize) -> Outcome {
        Ok(self.alarm(process, number)?.told as usize)
    }
}
