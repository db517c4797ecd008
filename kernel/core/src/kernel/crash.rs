//! `proc:crashes` — a process that crashes stands still before it ends, while there is a collector
//! and a pattern in `sys:core`.
//!
//! Its threads are held as new threads of a traced one are: the collector's sessions take them
//! over, and when those end they go on to their end. If the collector goes, or takes too long,
//! the process ends without it. What serves a scheme is never kept: its clients would wait.

use super::{Kernel, Waiter};
use crate::crash::{KEPT_NS, Kept, is_crash};
use crate::log::Level;
use crate::machine::Machine;
use crate::scheme::place;
use crate::task::{ProcessId, Standing, State, TaskId};
use crate::trace::ProcessKey;
use abi::redox::flag::EventFlags;
use abi::wait::Ended;

impl<M: Machine> Kernel<M> {
    /// A signal is about to end a thread's process. Returns whether the process is kept first.
    pub(crate) fn keep_crashed(&mut self, task: TaskId, signal: usize) -> bool {
        let process = self.tasks[task.0].process;
        let Some(file) = self.crashes.collector.filter(|_| self.would_keep(process, signal)) else {
            return false;
        };
        let key = self.process_key(process);
        let info = self.tasks[task.0].signals.pending.find(signal).unwrap_or_default();
        let threads = self.processes[process.0].threads.clone();
        for thread in threads {
            self.tasks[thread.0].is_held = true;
            self.demand_attention(thread);
        }
        let tid = self.tasks[task.0].tid as usize;
        let news = [key.pid as usize, tid, signal, info.code as usize, info.addr];
        let deadline = self.now() + KEPT_NS;
        let timer = self.add_timer(deadline, Waiter::Crash(key));
        self.crashes.kept.push(Kept { process: key, signal, timer });
        self.crashes.news.push_back(news);
        self.wake_all(self.crashes.changed);
        self.raise((place::PROC, file), EventFlags::EVENT_READ);
        true
    }

    /// Whether a process that is to end by a signal is kept first.
    pub(crate) fn would_keep(&self, process: ProcessId, signal: usize) -> bool {
        let crashes = &self.crashes;
        let is_wanted = crashes.collector.is_some() && !crashes.pattern.is_empty();
        let is_new = || {
            let key = self.process_key(process);
            crashes.kept.iter().all(|kept| kept.process != key)
        };
        is_wanted && is_new() && self.is_keepable(process, signal)
    }

    /// Whether nobody suffers when it stands still.
    fn is_keepable(&self, process: ProcessId, signal: usize) -> bool {
        let record = &self.processes[process.0];
        let serves = |space| self.user_schemes.iter().any(|(_, s)| s.daemon_space() == Some(space));
        let is_traced = record.threads.iter().any(|task| self.tasks[task.0].session.is_some());
        let is_wanted = is_crash(signal) && record.leaves_core && record.pid != 1;
        is_wanted && !is_traced && !record.space.is_some_and(serves)
    }

    /// The time of a crashed process is over, if it is still there.
    pub(crate) fn crash_expired(&mut self, key: ProcessKey) {
        let Some(place) = self.crashes.kept.iter().position(|kept| kept.process == key) else {
            return;
        };
        let kept = self.crashes.kept.swap_remove(place);
        let Ok(process) = self.process_of(key) else { return };
        if self.processes[process.0].standing != Standing::Alive {
            return;
        }
        let pid = key.pid;
        self.log(Level::Warn, "core", format_args!("process {pid} was kept for too long"));
        self.end_process(process, Ended::Signalled(kept.signal as u8));
    }

    /// A process has ended, kept before or not.
    pub(crate) fn forget_crash(&mut self, process: ProcessId) {
        let key = self.process_key(process);
        let Some(place) = self.crashes.kept.iter().position(|kept| kept.process == key) else {
            return;
        };
        let kept = self.crashes.kept.swap_remove(place);
        self.timers.cancel(kept.timer);
        self.crashes.news.retain(|news| news[0] != key.pid as usize);
    }

    /// The collector is gone: what it has not taken over goes on to its end.
    pub(crate) fn end_collector(&mut self) {
        self.crashes.collector = None;
        self.crashes.news.clear();
        for place in 0..self.crashes.kept.len() {
            let Ok(process) = self.process_of(self.crashes.kept[place].process) else { continue };
            for task in self.processes[process.0].threads.clone() {
                let thread = &mut self.tasks[task.0];
                let was_held = core::mem::take(&mut thread.is_held);
                if was_held && thread.state == State::Traced && thread.session.is_none() {
                    self.make_ready(task);
                }
            }
        }
    }
}
