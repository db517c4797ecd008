//! `emergency:daemon` — asking a program what is to be done.
//!
//! Whoever opens the file for writing is asked, as root, until it closes it. It is told when all
//! pages are in the store and no person has pressed a key. The world then goes on for it and for
//! those that others depend on; everyone else waits, and their pages stay in the store, but for what
//! a daemon shares with them and touches. That is its lease: so much time, and three quarters of the
//! reserve. Then the world stops again, with its answer or without one, and the picker is there. A daemon that says nothing in its lease, or
//! in whose lease memory runs out, is ended.

use super::super::{Kernel, Waiter};
use crate::emergency::Stage;
use crate::emergency::daemon::{Jobs, Registered, Reply};
use crate::emergency::picker::Decision;
use crate::emergency::record::Decider;
use crate::emergency::snapshot::Fate;
use crate::error::*;
use crate::machine::Machine;
use crate::scheme::place;
use crate::task::{Hold, ProcessId};
use abi::redox::flag::EventFlags;
use alloc::vec::Vec;

const SECOND_NS: u64 = 1_000_000_000;

impl<M: Machine> Kernel<M> {
    /// From now on `process` is asked, until `file` is closed.
    ///
    /// # Errors
    /// `EBUSY` while another one is.
    pub(crate) fn register_oom_daemon(&mut self, process: ProcessId, file: usize) -> Outcome<()> {
        if self.emergency.daemon.registered.is_some() {
            return fail(EBUSY);
        }
        let pid = self.processes[process.0].pid;
        let registered = Registered { process, pid, file, after_ns: 0 };
        self.emergency.daemon.registered = Some(registered);
        Ok(())
    }

    /// A process has ended. A child of it may still have the file open: it is not who is asked.
    pub(crate) fn forget_ended_daemon(&mut self, process: ProcessId) {
        let registered = self.emergency.daemon.registered;
        if let Some(one) = registered.filter(|one| one.process == process) {
            self.forget_oom_daemon(one.file);
        }
    }

    /// A file of `emergency:daemon` is closed.
    pub(crate) fn forget_oom_daemon(&mut self, file: usize) {
        if self.emergency.daemon.registered.is_some_and(|daemon| daemon.file == file) {
            self.emergency.daemon.registered = None;
            self.end_lease(Reply::Gone);
        }
    }

    /// What the registered daemon writes: `after N` seconds without a key it is to be asked, or an
    /// answer.
    ///
    /// # Errors
    /// `EPERM` for others, `EINVAL` for what is no answer, `EAGAIN` when it is not asked.
    pub(crate) fn oom_daemon_says(&mut self, process: ProcessId, text: &str) -> Outcome<()> {
        let daemon = &mut self.emergency.daemon;
        let registered = daemon.registered.as_mut().filter(|one| one.process == process);
        let registered = registered.ok_or(Errno(EPERM))?;
        if let Some(seconds) = text.strip_prefix("after ") {
            let seconds: u32 = seconds.trim().parse().map_err(|_| Errno(EINVAL))?;
            registered.after_ns = u64::from(seconds) * SECOND_NS;
            return Ok(());
        }
        let reply = Reply::parse(text).ok_or(Errno(EINVAL))?;
        if daemon.lease.is_none() {
            return fail(EAGAIN);
        }
        self.end_lease(reply);
        Ok(())
    }

    /// Whether a process is the one that is asked.
    pub(crate) fn is_oom_daemon(&self, process: ProcessId) -> bool {
        self.emergency.daemon.registered.is_some_and(|one| one.process == process)
    }

    /// Milliseconds of the lease, and pages that are missing, for whoever is asked now.
    pub(crate) fn asks(&self, process: ProcessId) -> Option<(u64, usize)> {
        let daemon = &self.emergency.daemon;
        let is_asked = daemon.registered.is_some_and(|one| one.process == process);
        let missing = self.resume_target().saturating_sub(self.frames.totals().free);
        (is_asked && daemon.lease.is_some()).then_some((daemon.lease_ns / 1_000_000, missing))
    }

    /// When the daemon is to be asked, if it is.
    pub(super) fn asks_at(&self) -> Option<u64> {
        let emergency = &*self.emergency;
        let is_taken = emergency.daemon.was_asked
            || emergency.picker.is_touched
            || emergency.pending.is_some()
            || emergency.saving.is_some();
        let registered = emergency.daemon.registered.filter(|_| !is_taken)?;
        Some(emergency.record.frozen_ns + registered.after_ns)
    }

    /// Everything is in the store and the picker waits: the daemon is told, if there is one.
    pub(super) fn notify_entering_picker(&mut self) {
        let is_time = self.asks_at().is_some_and(|at| self.now() >= at);
        if is_time && self.emergency.stage == Stage::Wait {
            self.emergency.daemon.was_asked = true;
            self.emergency.daemon.is_asking = true;
            self.restore_survivors();
        }
    }

    /// The world goes on, for the daemon and those that others depend on.
    pub(super) fn begin_lease(&mut self) {
        self.emergency.daemon.is_asking = false;
        self.hold_others();
        self.frames.lend_reserve(true);
        let until = self.now() + self.emergency.daemon.lease_ns;
        self.emergency.daemon.lease = Some(self.add_timer(until, Waiter::Lease));
        self.wake_all(self.emergency.told_to_save);
        for number in self.texts.showing(crate::scheme::shows_daemon) {
            self.raise((place::EMERGENCY, number), EventFlags::EVENT_READ);
        }
        if self.emergency.daemon.registered.is_none() {
            // It was among those whose pages were lost.
            self.end_lease(Reply::Gone);
        }
    }

    /// The lease is over: the world stops again.
    pub(crate) fn end_lease(&mut self, reply: Reply) {
        let Some(timer) = self.emergency.daemon.lease.take() else { return };
        self.timers.cancel(timer);
        self.frames.lend_reserve(false);
        self.emergency.daemon.reply = Some(reply);
        self.want_emergency();
    }

    /// The world stands still again: what the daemon said is what is to be done.
    pub(super) fn take_reply(&mut self) {
        let Some(reply) = self.emergency.daemon.reply.take() else { return };
        let message = match reply {
            Reply::Act(jobs) if self.mark_named(jobs) => {
                self.emergency.pending = Some((Decision::Act, Decider::Daemon));
                "The daemon has decided."
            }
            Reply::Act(_) => "The daemon named nobody who can be ended; you decide.",
            Reply::Continue => {
                self.emergency.pending = Some((Decision::Continue, Decider::Daemon));
                "The daemon has decided."
            }
            Reply::Pass => "The daemon leaves it to you.",
            Reply::Gone => "The daemon is gone; you decide.",
            Reply::Late => {
                self.end_daemon();
                "The daemon did not answer, and is ended; you decide."
            }
            Reply::Greedy => {
                self.end_daemon();
                "The daemon took what memory was left, and is ended; you decide."
            }
        };
        self.emergency.picker.message = message;
    }

    /// Marks the jobs that may be. Whether there is one.
    fn mark_named(&mut self, jobs: Jobs) -> bool {
        let mut has_one = false;
        for (action, pid) in jobs.iter() {
            let emergency = &mut *self.emergency;
            let entries = emergency.snapshot.entries();
            let job = entries.iter().position(|entry| entry.pid == pid && !entry.is_essential);
            if let Some(job) = job {
                emergency.picker.set_mark(job, Some(action));
                has_one = true;
            }
        }
        has_one
    }

    fn end_daemon(&mut self) {
        let Some(registered) = self.emergency.daemon.registered.take() else { return };
        for job in 0..self.emergency.snapshot.len() {
            let mut next = self.emergency.snapshot.entries()[job].first;
            while let Some(process) = next {
                if process == registered.process {
                    return self.discard_killed(job, Fate::Killed);
                }
                next = self.processes[process.0].next_in_job;
            }
        }
    }

    /// The emergency is over: whoever waited while the daemon was asked goes on.
    pub(super) fn end_asking(&mut self) {
        if !core::mem::take(&mut self.emergency.daemon.was_asked) {
            return;
        }
        let all = self.processes.iter();
        let held = all.filter(|(_, process)| process.hold == Hold::Waits);
        let held: Vec<ProcessId> = held.map(|(index, _)| ProcessId(index)).collect();
        held.into_iter().for_each(|process| self.let_go(process));
    }
}
