//! Bringing signals to threads: who hears of one, and what a thread does about those that wait for it
//! before it runs user code again.

use super::Kernel;
use crate::machine::{CpuId, Machine};
use crate::schedule::Priority;
use crate::signal::{UNSTOPPABLE, bit};
use crate::task::{Attention, Hold, ProcessId, Standing, State, TaskId};
use abi::redox::flag::PtraceFlags;
use abi::signal::*;
use abi::wait::{Change, Ended};

/// The signals that stop a process.
const STOPPING: u64 = bit(SIGSTOP) | bit(SIGTSTP) | bit(SIGTTIN) | bit(SIGTTOU);

/// What to do with a signal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reaction {
    Ignore,
    End,
    Stop,
    Handle(SigAction),
}

impl<M: Machine> Kernel<M> {
    /// Sends a signal to a process. Stop and continue act at once, the rest when a thread that
    /// does not block it comes by. Returns false when it is lost because too many of it wait.
    pub(crate) fn signal_process(&mut self, process: ProcessId, info: SigInfo) -> bool {
        let signal = info.signo as usize;
        let record = &mut self.processes[process.0];
        if record.standing != Standing::Alive {
            return true;
        }
        self.act_at_once(process, signal);
        let record = &mut self.processes[process.0];
        let action = record.signals.action(signal);
        let is_dropped = action.handler == SIG_IGN
            || action.handler == SIG_DFL
                && matches!(default(signal), Default::Ignore | Default::Continue);
        if is_dropped && !self.is_watched(process) && !self.is_blocked(process, signal) {
            return true;
        }
        let record = &mut self.processes[process.0];
        let is_kept = record.signals.pending.add(info);
        let threads = record.threads.clone();
        for task in threads {
            if self.tasks[task.0].signals.hears(signal) {
                self.demand_attention(task);
            }
        }
        is_kept
    }

    /// Whether a thread blocks a signal: somebody may wait for it, or handle it later.
    fn is_blocked(&self, process: ProcessId, signal: usize) -> bool {
        let threads = &self.processes[process.0].threads;
        threads.iter().any(|task| self.tasks[task.0].signals.mask & bit(signal) != 0)
    }

    /// Whether a tracer wants to know of signals that would be dropped.
    fn is_watched(&self, process: ProcessId) -> bool {
        let threads = &self.processes[process.0].threads;
        threads.iter().any(|task| self.is_traced_for(*task, PtraceFlags::PTRACE_STOP_SIGNAL))
    }

    /// Sends a signal to one thread. Returns false when it is lost because too many of it wait.
    pub(crate) fn signal_task(&mut self, task: TaskId, info: SigInfo) -> bool {
        self.act_at_once(self.tasks[task.0].process, info.signo as usize);
        let is_kept = self.tasks[task.0].signals.pending.add(info);
        self.demand_attention(task);
        is_kept
    }

    /// What a signal does before anybody takes it: going on undoes stopping and the other way
    /// round, and a stopped process can be killed.
    fn act_at_once(&mut self, process: ProcessId, signal: usize) {
        if signal == SIGCONT {
            self.forget_signals(process, STOPPING);
        }
        if STOPPING & bit(signal) != 0 {
            self.forget_signals(process, bit(SIGCONT));
        }
        let record = &self.processes[process.0];
        let (is_stopped, is_held) = (record.is_stopped, record.hold != Hold::None);
        if matches!(signal, SIGCONT | SIGKILL) && is_stopped || signal == SIGKILL && is_held {
            self.continue_process(process);
            if signal == SIGCONT {
                self.tell_change(process, Change::Continued);
            }
        }
        if signal == SIGKILL {
            if self.processes[process.0].priority == Priority::IDLE {
                // Others would keep it from dying.
                self.set_priority(process, Priority::NORMAL);
            }
            for task in self.processes[process.0].threads.clone() {
                self.free_for_death(task);
            }
        }
    }

    fn forget_signals(&mut self, process: ProcessId, which: u64) {
        let record = &mut self.processes[process.0];
        record.signals.pending.forget(which);
        for task in &record.threads {
            self.tasks[task.0].signals.pending.forget(which);
        }
    }

    /// Makes a thread come by [`Kernel::attend`] before it runs user code again.
    pub(crate) fn demand_attention(&mut self, task: TaskId) {
        self.tasks[task.0].attention.insert(Attention::WANTED);
        match self.tasks[task.0].state {
            State::Parked(_) => self.wake_task(task),
            State::Running(cpu) => self.interrupt(cpu),
            _ => {}
        }
    }

    /// The thread that a CPU runs must come by [`Kernel::attend`].
    pub(super) fn interrupt(&mut self, cpu: CpuId) {
        self.cpus[cpu].must_look = true;
        if cpu != self.machine.this_cpu() {
            self.machine.kick(cpu);
        }
    }

    /// Looks after a chosen thread that wants attention. Returns false when it is no longer
    /// running on this CPU.
    pub(crate) fn attend(&mut self, task: TaskId) -> bool {
        let attention = self.tasks[task.0].attention;
        if attention.contains(Attention::IDLE) && self.steps_back(task) {
            return false;
        }
        loop {
            let thread = &self.tasks[task.0];
            let process = thread.process;
            if thread.state == State::Ending {
                self.reap_thread(task);
                return false;
            }
            let may_halt = thread.session.is_some() || thread.is_held || thread.is_marked;
            if may_halt && self.halt(task) {
                return false;
            }
            if self.may_not_run(process) {
                self.set_aside(task);
                return false;
            }
            let Some((signal, reaction)) = self.next_signal(task) else {
                self.tasks[task.0].attention.remove(Attention::WANTED);
                return true;
            };
            if self.report_signal(task, signal) {
                continue;
            }
            match reaction {
                Reaction::Ignore => drop(self.take_signal(task, signal)),
                Reaction::End => {
                    let ended = Ended::Signalled(signal as u8);
                    if signal != SIGKILL && self.report_end(task, ended) {
                        continue;
                    }
                    if self.keep_crashed(task, signal) {
                        continue;
                    }
                    self.end_process(process, ended);
                    return false;
                }
                Reaction::Stop => {
                    self.take_signal(task, signal);
                    self.stop_process(process, signal as u8);
                }
                Reaction::Handle(action) => {
                    let is_owed = self.tasks[task.0].unfinished.owed.is_some();
                    if is_owed && self.cancel_request(task) {
                        // The daemon's answer comes first; nothing it has done may be lost. Then
                        // this is looked at again.
                        self.this_record().must_look = true;
                        return true;
                    }
                    if self.lacks_room_for_handler(task, action) {
                        self.park_for_memory(task);
                        return false;
                    }
                    if self.interrupt_call(task, action) {
                        continue;
                    }
                    let Some(info) = self.take_signal(task, signal) else { continue };
                    if let Err(signal) = self.enter_handler(task, action, info) {
                        self.end_process(process, Ended::Signalled(signal as u8));
                        return false;
                    }
                }
            }
        }
    }

    /// The next signal that the thread does not block, and what to do with it.
    fn next_signal(&self, task: TaskId) -> Option<(usize, Reaction)> {
        let thread = &self.tasks[task.0];
        let signals = &self.processes[thread.process.0].signals;
        let allowed = !thread.signals.mask | UNSTOPPABLE;
        let candidates = (thread.signals.pending.mask() | signals.pending.mask()) & allowed;
        if candidates == 0 {
            return None;
        }
        let lowest = candidates.trailing_zeros() as usize + 1;
        let signal = if candidates & bit(SIGKILL) != 0 { SIGKILL } else { lowest };
        let action = signals.action(signal);
        let is_init = self.processes[thread.process.0].pid == 1;
        let reaction = match (action.handler, default(signal)) {
            // Nothing but its own faults ends or stops PID 1 if it has not asked for it: without
            // it the system is over.
            (SIG_DFL, _) if is_init => Reaction::Ignore,
            (SIG_IGN, _) | (SIG_DFL, Default::Ignore | Default::Continue) => Reaction::Ignore,
            (SIG_DFL, Default::End) => Reaction::End,
            (SIG_DFL, Default::Stop) => Reaction::Stop,
            _ => Reaction::Handle(action),
        };
        Some((signal, reaction))
    }

    /// Takes a pending signal that is acted on now.
    pub(crate) fn take_signal(&mut self, task: TaskId, signal: usize) -> Option<SigInfo> {
        self.signal_taken(task, signal);
        let info = self.take_pending(task, signal)?;
        let process = self.tasks[task.0].process;
        let told = self.with_missed(process, info);
        self.alarm_heard(process, &info);
        Some(told)
    }

    /// Takes a signal off those that are pending: the thread's own come first.
    pub(super) fn take_pending(&mut self, task: TaskId, signal: usize) -> Option<SigInfo> {
        let thread = &mut self.tasks[task.0];
        let own = thread.signals.pending.take(bit(signal));
        own.or_else(|| self.processes[thread.process.0].signals.pending.take(bit(signal)))
    }

    /// The call that waited for signals, or under another mask, is over: the thread has its own mask
    /// again, and hears of what it no longer blocks.
    pub(crate) fn take_mask_back(&mut self, task: TaskId) {
        let signals = &mut self.tasks[task.0].signals;
        signals.awaited = 0;
        if let Some(mask) = signals.suspended_mask.take() {
            signals.mask = mask;
            self.demand_attention(task);
        }
    }
}
