//! Processes that stand still: stopped by a signal until `SIGCONT`, or held. Their threads are set aside
//! where they come by before user code, and made ready again all together.

use super::Kernel;
use crate::machine::Machine;
use crate::signal::bit;
use crate::task::{Hold, ProcessId, State, TaskId};
use abi::signal::*;
use abi::wait::Change;

impl<M: Machine> Kernel<M> {
    /// Whether a process is stopped, or held and not about to be killed.
    pub(super) fn may_not_run(&self, process: ProcessId) -> bool {
        let record = &self.processes[process.0];
        let is_killed = || record.signals.pending.mask() & bit(SIGKILL) != 0;
        record.is_stopped || record.hold != Hold::None && !is_killed()
    }

    /// All threads of a process stop until `SIGCONT`.
    pub(super) fn stop_process(&mut self, process: ProcessId, signal: u8) {
        self.processes[process.0].is_stopped = true;
        for task in self.processes[process.0].threads.clone() {
            self.demand_attention(task);
        }
        self.tell_change(process, Change::Stopped(signal));
    }

    /// Lets the parent know that a process has stopped or goes on.
    pub(super) fn tell_change(&mut self, process: ProcessId, change: Change) {
        self.processes[process.0].change = Some(change);
        let record = &self.processes[process.0];
        let (pid, ruid) = (record.pid, record.ids.ruid);
        let Some(parent) = self.find_process(record.parent) else { return };
        let action = self.processes[parent.0].signals.action(SIGCHLD);
        if action.flags & SA_NOCLDSTOP == 0 {
            let info = SigInfo {
                signo: SIGCHLD as i32,
                code: SI_KERNEL,
                pid: pid as i32,
                uid: ruid,
                status: change.status(),
                ..SigInfo::default()
            };
            self.signal_process(parent, info);
        }
        let queue = self.processes[parent.0].child_ended;
        self.wake_all(queue);
    }

    pub(super) fn continue_process(&mut self, process: ProcessId) {
        self.processes[process.0].is_stopped = false;
        self.ready_stopped(process);
    }

    /// Makes the threads of a process ready that were set aside because it might not run.
    pub(super) fn ready_stopped(&mut self, process: ProcessId) {
        for task in self.processes[process.0].threads.clone() {
            if self.tasks[task.0].state == State::Stopped {
                self.make_ready(task);
            }
        }
    }

    /// Takes a thread of a stopped process off its CPU.
    pub(super) fn set_aside(&mut self, task: TaskId) {
        if let State::Running(cpu) = self.tasks[task.0].state {
            self.leave(cpu);
            self.tasks[task.0].state = State::Stopped;
        }
    }
}
