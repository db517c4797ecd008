//! `proc:PID/trace` — stopping threads for their tracers, and letting them go on.
//!
//! A stop is noted in the session and takes place in [`Kernel::attend`], where the thread comes by
//! before it runs user code: so it never is in the middle of anything, and its registers are at
//! home. A call that was parked begins anew when the thread goes on; its tracer sees it as if it
//! stood before the call instruction.

mod news;
mod registers;

use super::{Caller, Kernel};
use crate::error::*;
use crate::machine::{Context, DebugRegisters, Exception, Machine};
use crate::scheme::place;
use crate::signal::{UNSTOPPABLE, bit};
use crate::task::{Attention, ProcessId, Progress, Reason, State, TaskId, Unfinished, Wait};
use crate::trace::{Phase, ProcessKey, Session, SessionId, ThreadKey, event};
use abi::redox::IntRegisters;
use abi::redox::data::PtraceEvent;
use abi::redox::flag::{EventFlags, PtraceFlags};
use abi::signal::*;
use abi::trace::{RESTARTS, SPARE, STOP_EXEC, STOP_HARDWARE, STOP_NOW};
use abi::wait::Ended;

/// Bytes of a call instruction, and of a breakpoint.
const CALL_LENGTH: usize = 2;
const BREAKPOINT_LENGTH: usize = 1;

impl<M: Machine> Kernel<M> {
    /// What names a process for good.
    pub(crate) fn process_key(&self, process: ProcessId) -> ProcessKey {
        let record = &self.processes[process.0];
        ProcessKey { place: process, pid: record.pid, started_ns: record.started_ns }
    }

    /// The process that a key names. `ESRCH` when it is gone.
    #[inline]
    pub(crate) fn process_of(&self, key: ProcessKey) -> Outcome<ProcessId> {
        match self.processes.get(key.place.0) {
            Some(have) if (have.pid, have.started_ns) == (key.pid, key.started_ns) => Ok(key.place),
            _ => fail(ESRCH),
        }
    }

    /// What names a thread for good.
    pub(crate) fn thread_key(&self, task: TaskId) -> ThreadKey {
        let thread = &self.tasks[task.0];
        let pid = self.processes[thread.process.0].pid;
        ThreadKey { place: task, pid, tid: thread.tid, serial: thread.serial }
    }

    /// The thread that a key names. `ESRCH` when it is gone.
    #[inline]
    pub(crate) fn task_of(&self, key: ThreadKey) -> Outcome<TaskId> {
        match self.tasks.get(key.place.0) {
            Some(have) if have.serial == key.serial => Ok(key.place),
            _ => fail(ESRCH),
        }
    }

    fn session_of(&self, task: TaskId) -> Option<SessionId> {
        self.tasks[task.0].session
    }

    fn session(&mut self, SessionId(place): SessionId) -> &mut Session {
        &mut self.traces.sessions[place]
    }

    /// Whether the thread's tracer wants to know of `what`.
    pub(crate) fn is_traced_for(&self, task: TaskId, what: PtraceFlags) -> bool {
        let session = self.tasks[task.0].session;
        session.is_some_and(|SessionId(place)| self.traces.sessions[place].wants(what))
    }

    /// Begins a session. `EBUSY` when there is one.
    pub(crate) fn attach(
        &mut self,
        tracer: Caller,
        task: TaskId,
        stops: bool,
        is_deadly: bool,
    ) -> Outcome<SessionId> {
        if self.tasks[task.0].session.is_some() {
            return fail(EBUSY);
        }
        let changed = self.waits.create();
        let pid = self.processes[tracer.process.0].pid;
        let session = Session::new(task, pid, changed, is_deadly);
        let id = SessionId(self.traces.sessions.insert(session));
        let thread = &mut self.tasks[task.0];
        thread.session = Some(id);
        thread.is_marked = true;
        let (was_held, state) = (core::mem::take(&mut thread.is_held), thread.state);
        if was_held && state == State::Traced {
            self.session(id).phase = Phase::Stopped(PtraceFlags::empty());
        } else if was_held || stops {
            self.session(id).phase = Phase::Stopping(None);
            self.call_in(task);
        }
        if let State::Running(cpu) = self.tasks[task.0].state {
            self.cpus[cpu].take_detour();
        }
        Ok(id)
    }

    /// Ends a session: the thread goes on, and nothing shows that it was traced.
    pub(crate) fn end_session(&mut self, id: SessionId) {
        self.release_held(id);
        let session = self.traces.sessions.remove(id.0);
        if let Some(task) = session.task {
            self.tasks[task.0].session = None;
            if self.tasks[task.0].state == State::Traced {
                self.make_ready(task);
            }
            if self.tasks[task.0].context.is_some() {
                self.forget_tracing(task);
            } else {
                // It comes by to have its registers looked at.
                self.tasks[task.0].has_leftovers = true;
                self.demand_attention(task);
            }
            if session.is_deadly {
                let process = self.tasks[task.0].process;
                let info = SigInfo { signo: SIGKILL as i32, code: SI_KERNEL, ..SigInfo::default() };
                self.signal_process(process, info);
            }
        }
        self.end_queue(session.changed);
    }

    /// Lets the threads go that a traced one has made and that nobody else has attached to.
    fn release_held(&mut self, id: SessionId) {
        for tid in core::mem::take(&mut self.session(id).held) {
            let Some(task) = self.tids.get(&tid).copied() else { continue };
            if core::mem::take(&mut self.tasks[task.0].is_held)
                && self.tasks[task.0].state == State::Traced
            {
                self.make_ready(task);
            }
        }
    }

    /// The tracer wrote: new flags, and the thread goes on. `ESRCH` when it is no more.
    pub(crate) fn go_on(&mut self, id: SessionId, flags: PtraceFlags) -> Outcome<()> {
        self.release_held(id);
        let Some(task) = self.session(id).task else { return fail(ESRCH) };
        let spare = PtraceFlags::from_bits_retain(SPARE);
        self.session(id).is_deadly &= !flags.contains(spare);
        let flags = flags - spare;
        let stop_now = PtraceFlags::from_bits_retain(STOP_NOW);
        if flags.contains(stop_now) {
            self.session(id).flags = flags - stop_now;
            if matches!(self.session(id).phase, Phase::Running) {
                self.stop_task(task, event(stop_now, []));
            }
            return Ok(());
        }
        let session = self.session(id);
        session.flags = flags;
        match session.phase {
            Phase::Stopped(cause) => {
                session.phase = Phase::Running;
                let ended_call = session.ended_call.take();
                self.set_going(task, cause, flags);
                if let Some(number) = ended_call {
                    self.call_ended(task, number);
                }
            }
            // It has not stopped yet. What it will tell is told; what nobody waits for any more is
            // taken back.
            Phase::Stopping(None) => session.phase = Phase::Running,
            Phase::Stopping(Some(event)) if event.cause == stop_now => {
                session.phase = Phase::Running;
            }
            Phase::Stopping(_) | Phase::Running => {}
        }
        if flags.contains(PtraceFlags::PTRACE_STOP_SINGLESTEP) {
            self.call_in(task);
        }
        Ok(())
    }

    /// Lets a stopped thread go on.
    fn set_going(&mut self, task: TaskId, cause: PtraceFlags, flags: PtraceFlags) {
        if flags.contains(PtraceFlags::PTRACE_FLAG_IGNORE) {
            self.ignore(task, cause);
        }
        let thread = &mut self.tasks[task.0];
        let is_stepping = flags.contains(PtraceFlags::PTRACE_STOP_SINGLESTEP);
        thread.context().set_step(is_stepping);
        thread.attention.insert(Attention::WANTED);
        if thread.state == State::Traced {
            self.make_ready_first(task);
        }
    }

    /// What the thread stopped for does not happen.
    fn ignore(&mut self, task: TaskId, cause: PtraceFlags) {
        let thread = &mut self.tasks[task.0];
        if cause == PtraceFlags::PTRACE_STOP_PRE_SYSCALL {
            thread.unfinished = Unfinished::default();
            let Some(id) = thread.session else { return };
            let number = self.session(id).call;
            self.call_ended(task, number);
        } else if cause == PtraceFlags::PTRACE_STOP_SIGNAL
            && let Some(id) = thread.session
            && let Some(signal) = self.session(id).reported
        {
            self.take_signal(task, signal);
        }
    }

    /// Notes a stop and makes the thread come by.
    fn stop_task(&mut self, task: TaskId, event: PtraceEvent) {
        let Some(id) = self.session_of(task) else { return };
        self.session(id).stop_for(event);
        self.call_in(task);
    }

    /// Makes a thread come by [`Kernel::attend`], also one that a signal has stopped.
    fn call_in(&mut self, task: TaskId) {
        self.demand_attention(task);
        if self.tasks[task.0].state == State::Stopped {
            self.make_ready(task);
        }
    }

    /// Stops a thread that comes by, if it is to stop. Returns whether it did.
    pub(crate) fn halt(&mut self, task: TaskId) -> bool {
        if core::mem::take(&mut self.tasks[task.0].has_leftovers) {
            self.forget_tracing(task);
            self.tasks[task.0].is_marked = self.tasks[task.0].session.is_some();
        }
        let thread = &self.tasks[task.0];
        let of_process = self.processes[thread.process.0].signals.pending.mask();
        if (thread.signals.pending.mask() | of_process) & bit(SIGKILL) != 0 {
            return false;
        }
        let Some(id) = thread.session else {
            let is_held = thread.is_held;
            if is_held {
                self.put_aside(task);
            }
            return is_held;
        };
        let Phase::Stopping(event) = self.session(id).phase else {
            let steps = self.session(id).wants(PtraceFlags::PTRACE_STOP_SINGLESTEP);
            self.tasks[task.0].context().set_step(steps);
            return false;
        };
        self.put_aside(task);
        self.tasks[task.0].context().set_step(false);
        let session = self.session(id);
        session.phase = Phase::Stopped(event.map_or(PtraceFlags::empty(), |event| event.cause));
        session.events.extend(event);
        self.tell_tracer(id);
        true
    }

    fn put_aside(&mut self, task: TaskId) {
        if let State::Running(cpu) = self.tasks[task.0].state {
            self.leave(cpu);
            self.tasks[task.0].state = State::Traced;
        }
    }

    fn forget_tracing(&mut self, task: TaskId) {
        let thread = &mut self.tasks[task.0];
        thread.is_marked = false;
        let context = thread.context();
        context.set_step(false);
        context.set_debug(DebugRegisters::default());
    }

    fn tell_tracer(&mut self, id: SessionId) {
        let session = self.session(id);
        let (queue, file, has_news) = (session.changed, session.file, !session.events.is_empty());
        self.wake_all(queue);
        if has_news {
            self.raise((place::PROC, file), EventFlags::EVENT_READ);
        }
    }
}
