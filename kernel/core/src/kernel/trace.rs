//! `proc:PID/trace` — stopping threads for their tracers, and letting them go on.
//!
//! A stop is noted in the session and takes place in [`Kernel::attend`], where the thread comes by
//! before it runs user code: so it never is in the middle of anything, and its registers are at
//! home. A call that was parked begins anew when the thread goes on; its tracer sees it as if it
//! stood before the call instruction.

use super::{Caller, Kernel};
use crate::error::*;
use crate::machine::{Context, DebugRegisters, Exception, Machine};
use crate::scheme::place;
use crate::signal::{UNSTOPPABLE, bit};
use crate::task::{ProcessId, Progress, Reason, State, TaskId, Unfinished, Wait};
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
        thread.attention = true;
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

    /// A thread whose CPU takes the long way makes a call: its tracer first. The call itself is
    /// left to [`Kernel::next`], as if it had been parked.
    pub(crate) fn call_with_detour(&mut self, task: TaskId) {
        let thread = &mut self.tasks[task.0];
        if thread.state == State::Ending {
            return;
        }
        let call = thread.context().call();
        let session = thread.session.map(|SessionId(place)| &self.traces.sessions[place]);
        if session.is_some_and(|session| matches!(session.phase, Phase::Stopping(_))) {
            // It stops before the call, which then begins with everything the tracer wants by then.
            thread.context().rewind_call(call.number);
            return;
        }
        if self.lacks_heap_for(call.number) {
            let thread = &mut self.tasks[task.0];
            thread.context().set_answer((ENOMEM as usize).wrapping_neg());
            return;
        }
        let thread = &mut self.tasks[task.0];
        thread.unfinished.progress = Progress::Made;
        let pre = PtraceFlags::PTRACE_STOP_PRE_SYSCALL;
        if self.is_traced_for(task, pre) {
            let [a, b, c, d, e, _] = call.arguments;
            if let Some(id) = self.session_of(task) {
                self.session(id).call = call.number;
            }
            self.stop_task(task, event(pre, [call.number, a, b, c, d, e]));
        }
    }

    /// A traced thread's call has ended, with its answer in the registers or with new ones.
    pub(crate) fn call_ended(&mut self, task: TaskId, number: usize) {
        let post = PtraceFlags::PTRACE_STOP_POST_SYSCALL;
        let step = PtraceFlags::PTRACE_STOP_SINGLESTEP;
        if let Some(id) = self.session_of(task)
            && matches!(self.session(id).phase, Phase::Stopped(_))
        {
            // The daemon that answered it is going. It is told when the thread goes on.
            self.session(id).ended_call = Some(number);
        } else if self.is_traced_for(task, post) {
            let answer = self.tasks[task.0].context().call().number;
            self.stop_task(task, event(post, [number, answer]));
        } else if self.is_traced_for(task, step) {
            let at = self.tasks[task.0].context().instruction_pointer();
            self.stop_task(task, event(step, [at]));
        }
    }

    /// A handler is about to end a traced thread's call. Returns whether the tracer comes first.
    pub(crate) fn call_interrupted(
        &mut self,
        task: TaskId,
        number: usize,
        begins_anew: bool,
    ) -> bool {
        let post = PtraceFlags::PTRACE_STOP_POST_SYSCALL;
        let is_wanted = self.is_traced_for(task, post);
        if is_wanted {
            let answer = if begins_anew { RESTARTS } else { (EINTR as usize).wrapping_neg() };
            self.stop_task(task, event(post, [number, answer]));
        }
        is_wanted
    }

    /// A traced thread has become another program: its memory is another, its breakpoints are gone.
    pub(crate) fn program_changed(&mut self, caller: Caller) {
        let key = self.process_key(caller.process);
        let memories = self.traces.memories.iter_mut();
        memories.filter(|(_, memory)| memory.process == key).for_each(|(_, m)| m.patches.clear());
        let Some(id) = self.session_of(caller.task) else { return };
        let switch = PtraceFlags::PTRACE_EVENT_ADDRSPACE_SWITCH;
        if self.session(id).wants(switch) {
            self.session(id).tell(event(switch, []));
            self.tell_tracer(id);
        }
        let exec = PtraceFlags::from_bits_retain(STOP_EXEC);
        if self.session(id).wants(exec) {
            let at = self.tasks[caller.task.0].context().instruction_pointer();
            self.stop_task(caller.task, event(exec, [at]));
        }
    }

    /// Whether a thread may make another one: its tracer must have room for the news.
    pub(crate) fn check_clone(&self, task: TaskId) -> Outcome<()> {
        let Some(SessionId(place)) = self.tasks[task.0].session else { return Ok(()) };
        let session = &self.traces.sessions[place];
        if session.wants(PtraceFlags::PTRACE_EVENT_CLONE) && session.is_full() {
            return Err(Stop::Park(Wait::on(Reason::Tracer, session.changed)));
        }
        Ok(())
    }

    /// A traced thread has made another one, which waits until the tracer has had its say.
    pub(crate) fn made_thread(&mut self, maker: TaskId, made: TaskId) {
        let Some(id) = self.session_of(maker) else { return };
        self.forget_tracing(made);
        let clone = PtraceFlags::PTRACE_EVENT_CLONE;
        if !self.session(id).wants(clone) {
            return;
        }
        let thread = &mut self.tasks[made.0];
        thread.is_held = true;
        thread.attention = true;
        let (tid, process) = (thread.tid, thread.process);
        let pid = self.processes[process.0].pid;
        let session = self.session(id);
        session.held.push(tid);
        session.tell(event(clone, [tid as usize, pid as usize]));
        self.tell_tracer(id);
    }

    /// A handler has been entered: a step ends there.
    pub(crate) fn handler_entered(&mut self, task: TaskId) {
        let step = PtraceFlags::PTRACE_STOP_SINGLESTEP;
        if self.is_traced_for(task, step) {
            let at = self.tasks[task.0].context().instruction_pointer();
            self.stop_task(task, event(step, [at]));
        }
    }

    /// Whether an exception is the tracer's business. If so the thread stops for it.
    pub(crate) fn take_exception(&mut self, task: TaskId, exception: Exception) -> bool {
        let is_planted = matches!(exception, Exception::Step | Exception::Watch(_));
        if is_planted && self.tasks[task.0].has_leftovers {
            return true;
        }
        if self.session_of(task).is_none() {
            return false;
        }
        let context = self.tasks[task.0].context();
        let at = context.instruction_pointer();
        let news = match exception {
            Exception::Step if context.is_stepping() => {
                event(PtraceFlags::PTRACE_STOP_SINGLESTEP, [at])
            }
            Exception::Breakpoint => {
                event(PtraceFlags::PTRACE_STOP_BREAKPOINT, [at - BREAKPOINT_LENGTH])
            }
            Exception::Watch(hit) => {
                event(PtraceFlags::from_bits_retain(STOP_HARDWARE), [hit as usize, at])
            }
            _ => return false,
        };
        if !self.is_traced_for(task, news.cause) {
            return false;
        }
        if exception == Exception::Breakpoint {
            let context = self.tasks[task.0].context();
            let stack = context.stack_pointer();
            context.set_pointers(at - BREAKPOINT_LENGTH, stack);
        }
        self.stop_task(task, news);
        true
    }

    /// A signal is about to be acted on. Returns whether the tracer comes first.
    pub(crate) fn report_signal(&mut self, task: TaskId, signal: usize) -> bool {
        let stop = PtraceFlags::PTRACE_STOP_SIGNAL;
        if signal == SIGKILL || !self.is_traced_for(task, stop) {
            return false;
        }
        let Some(id) = self.session_of(task) else { return false };
        if self.session(id).reported == Some(signal) {
            return false;
        }
        // From here on it is this thread's: two tracers are not told of one signal.
        let Some(info) = self.take_signal(task, signal) else { return false };
        self.tasks[task.0].signals.pending.add(info);
        let handler = self.processes[self.tasks[task.0].process.0].signals.action(signal).handler;
        self.session(id).reported = Some(signal);
        let fields = [signal, handler, info.code as usize, info.pid as usize, info.addr];
        self.stop_task(task, event(stop, fields));
        true
    }

    /// The signal that its tracer knows of has been taken.
    pub(crate) fn signal_taken(&mut self, task: TaskId, signal: usize) {
        let Some(id) = self.session_of(task) else { return };
        let session = self.session(id);
        if session.reported == Some(signal) {
            session.reported = None;
        }
    }

    /// Makes sure that a signal which a traced thread has brought upon itself is not blocked or
    /// ignored.
    pub(crate) fn force_signal(&mut self, task: TaskId, info: SigInfo) {
        let signal = info.signo as usize;
        let thread = &mut self.tasks[task.0];
        let signals = &mut self.processes[thread.process.0].signals;
        let is_blocked = thread.signals.mask & bit(signal) & !UNSTOPPABLE != 0;
        if is_blocked || signals.action(signal).handler == SIG_IGN {
            signals.set_action(signal, SigAction::default());
            thread.signals.mask &= !bit(signal);
        }
        self.signal_task(task, info);
    }

    /// A thread is about to end. Returns whether its tracer comes first.
    pub(crate) fn report_end(&mut self, task: TaskId, ended: Ended) -> bool {
        let stop = PtraceFlags::PTRACE_STOP_EXIT;
        if !self.is_traced_for(task, stop) {
            return false;
        }
        let Some(id) = self.session_of(task) else { return false };
        if core::mem::replace(&mut self.session(id).is_end_told, true) {
            return false;
        }
        self.stop_task(task, event(stop, [ended.status() as usize]));
        true
    }

    /// The same for a call that ends the thread: it is to be made again when the tracer says so.
    pub(crate) fn stop_at_exit(&mut self, task: TaskId, ended: Ended) -> Outcome<()> {
        match self.report_end(task, ended) {
            true => Err(Stop::Park(Wait { reason: Reason::Tracer, queue: None })),
            false => Ok(()),
        }
    }

    /// `SIGKILL`: no tracer holds the thread any longer.
    pub(crate) fn free_for_death(&mut self, task: TaskId) {
        let thread = &mut self.tasks[task.0];
        thread.is_held = false;
        let is_stopped = thread.state == State::Traced;
        if let Some(id) = thread.session {
            let session = self.session(id);
            session.phase = Phase::Running;
        }
        if is_stopped {
            self.make_ready(task);
        }
    }

    /// A traced thread is gone.
    pub(crate) fn tracee_gone(&mut self, id: SessionId, ended: Ended) {
        let session = self.session(id);
        session.task = None;
        session.phase = Phase::Running;
        let stop = PtraceFlags::PTRACE_STOP_EXIT;
        if session.wants(stop) && !session.is_end_told {
            session.events.push_back(event(stop, [ended.status() as usize]));
        }
        let (queue, file) = (session.changed, session.file);
        self.wake_all(queue);
        self.raise((place::PROC, file), EventFlags::EVENT_READ);
    }

    /// The registers of a thread as its tracer sees them. One that is in a parked call stands
    /// before it. `EBUSY` while a CPU has them.
    #[inline(always)]
    pub(crate) fn traced_registers(&mut self, task: TaskId) -> Outcome<IntRegisters> {
        if self.tasks[task.0].state != State::Traced {
            self.check_at_home(task)?;
        }
        let is_before = self.stands_before_call(task);
        let mut registers = self.tasks[task.0].context().registers();
        if is_before {
            registers.rip -= CALL_LENGTH;
        }
        Ok(registers)
    }

    /// Replaces the registers of a stopped thread. A parked call is given up when they no longer
    /// lead to it. `EINVAL` when they lead out of the program.
    pub(crate) fn set_traced_registers(
        &mut self,
        task: TaskId,
        registers: &IntRegisters,
    ) -> Outcome<()> {
        self.check_stopped(task)?;
        let mut new = *registers;
        if self.stands_before_call(task) {
            let old = self.traced_registers(task)?;
            let call = |r: &IntRegisters| [r.rip, r.rax, r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9];
            if call(&old) == call(registers) {
                new.rip += CALL_LENGTH;
            } else {
                let unfinished = core::mem::take(&mut self.tasks[task.0].unfinished);
                if let Some(tag) = unfinished.owed {
                    self.abandon_request(tag);
                }
                self.take_mask_back(task);
            }
        }
        match self.tasks[task.0].context().set_registers(&new) {
            true => Ok(()),
            false => fail(EINVAL),
        }
    }

    /// Whether a thread shows itself as standing before a call that it has begun.
    fn stands_before_call(&self, task: TaskId) -> bool {
        let thread = &self.tasks[task.0];
        if !thread.unfinished.is_call() {
            return false;
        }
        let at_call = PtraceFlags::PTRACE_STOP_PRE_SYSCALL | PtraceFlags::PTRACE_STOP_EXIT;
        let is_shown_inside = thread.session.is_some_and(|SessionId(place)| {
            let phase = self.traces.sessions[place].phase;
            matches!(phase, Phase::Stopped(cause) if at_call.contains(cause) && !cause.is_empty())
        });
        !is_shown_inside
    }

    /// Whether a thread's registers can be looked at. Waits if it is about to stop; `EBUSY` if it
    /// runs.
    pub(crate) fn check_at_home(&mut self, task: TaskId) -> Outcome<()> {
        let thread = &self.tasks[task.0];
        let is_away = matches!(thread.state, State::Running(_) | State::Ending);
        match thread.session.map(|SessionId(place)| &self.traces.sessions[place]) {
            Some(session) if matches!(session.phase, Phase::Stopping(_)) => {
                Err(Stop::Park(Wait::on(Reason::Tracee, session.changed)))
            }
            _ if is_away => fail(EBUSY),
            _ => Ok(()),
        }
    }

    /// Whether a thread's registers may be changed: its tracer has stopped it. Waits and fails as
    /// [`Kernel::check_at_home`].
    pub(crate) fn check_stopped(&mut self, task: TaskId) -> Outcome<()> {
        let thread = &self.tasks[task.0];
        match thread.session.map(|SessionId(place)| &self.traces.sessions[place]) {
            Some(session) => match session.phase {
                Phase::Stopped(_) => Ok(()),
                Phase::Stopping(_) => Err(Stop::Park(Wait::on(Reason::Tracee, session.changed))),
                Phase::Running => fail(EBUSY),
            },
            None => fail(EBUSY),
        }
    }
}
