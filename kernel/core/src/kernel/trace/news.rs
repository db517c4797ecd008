//! What befalls a traced thread: calls, forks, exceptions, signals and ends, of which its tracer hears
//! before or after they happen.

use super::*;

impl<M: Machine> Kernel<M> {
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
        thread.attention.insert(Attention::WANTED);
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
        let Some(info) = self.take_pending(task, signal) else { return false };
        self.tasks[task.0].signals.pending.put_back(info);
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
}
