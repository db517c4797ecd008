//! `SETTIMER` — a process's alarm: `SIGALRM` at a moment, and from then on at intervals.

use super::{Kernel, TimerKey, Waiter};
use crate::machine::Machine;
use crate::task::ProcessId;
use crate::trace::ProcessKey;
use abi::signal::{SI_KERNEL, SIGALRM, SigInfo};

/// The shortest time between two alarms: a program cannot keep the kernel busy with them.
const SHORTEST_NS: u64 = 100_000;

/// An alarm that is set.
#[derive(Clone, Copy, Debug)]
pub struct Alarm {
    /// Its timer; the first part is the moment.
    timer: TimerKey,
    /// How long until the one after it; 0 is never.
    interval: u64,
}

impl<M: Machine> Kernel<M> {
    /// How long until a process's alarm, and how long between later ones; 0 when there is none.
    pub(crate) fn alarm_of(&self, process: ProcessId) -> (u64, u64) {
        let now = self.now();
        // One that is due has not come yet.
        let told = |alarm: Alarm| (alarm.timer.0.saturating_sub(now).max(1), alarm.interval);
        self.processes[process.0].alarm.map_or((0, 0), told)
    }

    /// Sets a process's alarm, in place of the one it had; none for a delay of 0.
    pub(crate) fn set_alarm(&mut self, process: ProcessId, delay: u64, interval: u64) {
        if let Some(alarm) = self.processes[process.0].alarm.take() {
            self.timers.cancel(alarm.timer);
        }
        if delay == 0 {
            return;
        }
        let interval = if interval == 0 { 0 } else { interval.max(SHORTEST_NS) };
        let key = self.process_key(process);
        let timer = self.add_timer(self.now().saturating_add(delay), Waiter::Alarm(key));
        self.processes[process.0].alarm = Some(Alarm { timer, interval });
    }

    /// The moment has come.
    pub(super) fn alarm_rings(&mut self, key: ProcessKey) {
        let Ok(process) = self.process_of(key) else { return };
        let Some(alarm) = self.processes[process.0].alarm.take() else { return };
        if alarm.interval != 0 {
            // Counted from the moment it was meant for, but never in the past.
            let due = alarm.timer.0.saturating_add(alarm.interval).max(self.now() + SHORTEST_NS);
            let timer = self.add_timer(due, Waiter::Alarm(key));
            self.processes[process.0].alarm = Some(Alarm { timer, ..alarm });
        }
        let info = SigInfo { signo: SIGALRM as i32, code: SI_KERNEL, ..SigInfo::default() };
        self.signal_process(process, info);
    }
}
