//! Bringing signals to threads, and faults to whom they concern.

use super::{Caller, Kernel};
use crate::error::*;
use crate::log::Level;
use crate::machine::{Access, Context, DebugRegisters, Exception, Machine};
use crate::memory::{Page, UserSlice};
use crate::signal::{Interrupted, UNSTOPPABLE, bit};
use crate::task::{Hold, ProcessId, Progress, Standing, State, TaskId};
use abi::redox::flag::PtraceFlags;
use abi::signal::*;
use abi::wait::{Change, Ended};

/// The System V red zone: bytes below the stack pointer that a function may use.
const RED_ZONE: usize = 128;

/// More than what a handler finds on the stack: return address, details, registers.
const HANDLER_FRAME: usize = 512;

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
    /// does not block it comes by.
    pub(crate) fn signal_process(&mut self, process: ProcessId, info: SigInfo) {
        let signal = info.signo as usize;
        let record = &mut self.processes[process.0];
        if record.standing != Standing::Alive {
            return;
        }
        self.act_at_once(process, signal);
        let record = &mut self.processes[process.0];
        let action = record.signals.action(signal);
        let is_dropped = action.handler == SIG_IGN
            || action.handler == SIG_DFL
                && matches!(default(signal), Default::Ignore | Default::Continue);
        if is_dropped && !self.is_watched(process) && !self.is_blocked(process, signal) {
            return;
        }
        let record = &mut self.processes[process.0];
        record.signals.pending.add(info);
        let threads = record.threads.clone();
        for task in threads {
            if self.tasks[task.0].signals.hears(signal) {
                self.demand_attention(task);
            }
        }
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

    /// Sends a signal to one thread.
    pub(crate) fn signal_task(&mut self, task: TaskId, info: SigInfo) {
        self.act_at_once(self.tasks[task.0].process, info.signo as usize);
        self.tasks[task.0].signals.pending.add(info);
        self.demand_attention(task);
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
        self.tasks[task.0].attention = true;
        match self.tasks[task.0].state {
            State::Parked(_) => self.wake_task(task),
            State::Running(cpu) => {
                self.cpus[cpu].must_look = true;
                if cpu != self.machine.this_cpu() {
                    self.machine.kick(cpu);
                }
            }
            _ => {}
        }
    }

    /// Looks after a chosen thread that wants attention. Returns false when it is no longer
    /// running on this CPU.
    pub(crate) fn attend(&mut self, task: TaskId) -> bool {
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
                self.tasks[task.0].attention = false;
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

    /// Whether a process is stopped, or held and not about to be killed.
    fn may_not_run(&self, process: ProcessId) -> bool {
        let record = &self.processes[process.0];
        let is_killed = || record.signals.pending.mask() & bit(SIGKILL) != 0;
        record.is_stopped || record.hold != Hold::None && !is_killed()
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

    pub(crate) fn take_signal(&mut self, task: TaskId, signal: usize) -> Option<SigInfo> {
        self.signal_taken(task, signal);
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

    /// Ends a parked call with `EINTR`, or moves the thread back to before it. A call that has not
    /// been run is none to interrupt: it is made after the handler. Returns whether its tracer
    /// wants to see that first.
    fn interrupt_call(&mut self, task: TaskId, action: SigAction) -> bool {
        let thread = &mut self.tasks[task.0];
        if !thread.unfinished.is_call() {
            return false;
        }
        self.tell_rest_of_sleep(task);
        let thread = &mut self.tasks[task.0];
        // Neither a wait for a moment nor one for a signal may begin anew.
        let may_restart =
            thread.unfinished.deadline.is_none() && thread.signals.suspended_mask.is_none();
        let unfinished = core::mem::take(&mut thread.unfinished);
        thread.signals.awaited = 0;
        let context = thread.context();
        let number = context.call().number;
        let begins_anew =
            unfinished.progress == Progress::Made || action.flags & SA_RESTART != 0 && may_restart;
        if begins_anew {
            context.rewind_call(number);
        } else {
            context.set_answer((EINTR as usize).wrapping_neg());
        }
        self.call_interrupted(task, number, begins_anew)
    }

    /// Below which address a handler's frame goes: the thread's other stack if the action wants it
    /// and no handler is there yet, else where the thread was, without its red zone.
    fn handler_top(&mut self, task: TaskId, action: SigAction) -> usize {
        let thread = &mut self.tasks[task.0];
        let pointer = thread.context().stack_pointer();
        match thread.signals.alternate {
            Some(stack) if action.flags & SA_ONSTACK != 0 && !stack.holds(pointer) => stack.top(),
            _ => pointer.wrapping_sub(RED_ZONE),
        }
    }

    /// Whether there is no memory for what a handler finds on the stack, and an emergency is to
    /// find some.
    fn lacks_room_for_handler(&mut self, task: TaskId, action: SigAction) -> bool {
        let top = self.handler_top(task, action);
        let space = self.tasks[task.0].space;
        let ends = [top.wrapping_sub(1), top.wrapping_sub(HANDLER_FRAME)];
        ends.into_iter().any(|address| {
            let page = Page::containing(address);
            let tables = &self.spaces[space.0].tables;
            let is_there = self.machine.lookup(tables, page);
            is_there.is_none_or(|(_, have)| !have.contains(Access::WRITE))
                && self.bring_page(space, page, Access::WRITE).is_err()
                && self.frames.is_refused
                && self.takes_refusal()
        })
    }

    /// Points the thread at its handler. When the handler cannot be entered: the signal that ends
    /// the process.
    fn enter_handler(
        &mut self,
        task: TaskId,
        action: SigAction,
        info: SigInfo,
    ) -> Result<(), usize> {
        let stack = self.handler_top(task, action);
        let thread = &mut self.tasks[task.0];
        if thread.signals.interrupted.len() >= NESTING_MAX {
            return Err(info.signo as usize);
        }
        let registers = thread.context().registers();
        let mut frame = alloc::vec::Vec::with_capacity(256);
        frame.extend_from_slice(&action.restorer.to_ne_bytes());
        frame.extend_from_slice(&[0; 8]);
        frame.extend_from_slice(&info_bytes(&info));
        frame.extend_from_slice(&registers);
        // On entry to a function the stack pointer is 8 below a multiple of 16, where the return
        // address is (System V x86-64 ABI, 3.2.2).
        let top = stack.wrapping_sub(frame.len()) & !15;
        let base = top.wrapping_sub(8);
        let space = thread.space;
        let slice = UserSlice::new(base, frame.len()).map_err(|_| SIGSEGV)?;
        self.copy_out(space, slice, &frame).map_err(|_| SIGSEGV)?;
        let thread = &mut self.tasks[task.0];
        let cpu_copy = thread.context.as_mut().expect("an attended thread has its registers");
        self.machine.suspend(cpu_copy);
        let mut saved: M::Context = cpu_copy.clone();
        if thread.is_marked {
            // What a tracer wants belongs to the thread, not to where it was.
            saved.set_step(false);
            saved.set_debug(DebugRegisters::default());
        }
        let mask = thread.signals.suspended_mask.take().unwrap_or(thread.signals.mask);
        thread.signals.interrupted.push(Interrupted { context: saved, mask });
        let blocked = if action.flags & SA_NODEFER != 0 { 0 } else { bit(info.signo as usize) };
        thread.signals.mask |= (action.mask | blocked) & !UNSTOPPABLE;
        let context = thread.context();
        context.set_pointers(action.handler, base);
        context.set_argument(0, info.signo as usize);
        context.set_argument(1, base + 16);
        context.set_argument(2, base + 16 + size_of::<SigInfo>());
        if action.flags & SA_RESETHAND != 0 {
            let process = thread.process;
            let signals = &mut self.processes[process.0].signals;
            signals.set_action(info.signo as usize, SigAction::default());
        }
        self.handler_entered(task);
        Ok(())
    }

    /// The handler is done: back to where the signal came.
    pub(crate) fn return_from_handler(&mut self, caller: Caller) -> Outcome {
        let thread = &mut self.tasks[caller.task.0];
        let Some(Interrupted { mut context, mask }) = thread.signals.interrupted.pop() else {
            return fail(EINVAL);
        };
        self.machine.suspend(thread.context());
        if thread.is_marked {
            context.set_debug(thread.context().debug());
        }
        thread.context = Some(context);
        thread.signals.mask = mask;
        self.demand_attention(caller.task);
        Err(Stop::Replaced)
    }

    /// User code touched memory that its tables do not allow.
    pub(crate) fn user_fault(&mut self, task: TaskId, address: usize, access: Access) {
        self.stats.faults += 1;
        let space = self.tasks[task.0].space;
        let brought = UserSlice::new(address, 1)
            .and_then(|_| self.bring_page(space, Page::containing(address), access));
        if brought.is_err() && self.frames.is_refused && self.takes_refusal() {
            return self.park_for_memory(task);
        }
        if let Err(errno) = brought {
            let is_full = !self.spaces[space.0].may_grow(&self.frames, 1);
            let (signal, what) = match errno {
                Errno(ENOMEM) if is_full => (SIGBUS, "the limit of memory is reached:"),
                Errno(ENOMEM) => (SIGSEGV, "no memory left for"),
                _ => (SIGSEGV, "may not"),
            };
            let verb = if access.contains(Access::WRITE) {
                "write"
            } else if access.contains(Access::EXECUTE) {
                "execute"
            } else {
                "read"
            };
            self.accuse(task, signal, address, format_args!("{what} {verb} {address:#x}"));
        }
    }

    /// User code did what the processor refuses.
    pub(crate) fn user_exception(&mut self, task: TaskId, exception: Exception) {
        if self.tasks[task.0].is_marked && self.take_exception(task, exception) {
            return;
        }
        let (signal, what) = match exception {
            Exception::Divide => (SIGFPE, "divided by zero"),
            Exception::Float => (SIGFPE, "floating-point exception"),
            Exception::Step => (SIGTRAP, "single step"),
            Exception::Watch(_) => (SIGTRAP, "hardware breakpoint"),
            Exception::Breakpoint => (SIGTRAP, "breakpoint"),
            Exception::InvalidInstruction => (SIGILL, "invalid instruction"),
            Exception::Protection => (SIGSEGV, "protection fault"),
            Exception::Alignment => (SIGBUS, "misaligned access"),
            Exception::Other(_) => (SIGILL, "exception"),
        };
        let address = self.tasks[task.0].context().instruction_pointer();
        self.accuse(task, signal, address, format_args!("{what}"));
    }

    /// Sends the signal for something the thread itself did. It cannot be put off: when it is
    /// blocked or ignored, the process ends.
    fn accuse(&mut self, task: TaskId, signal: usize, addr: usize, what: core::fmt::Arguments<'_>) {
        let thread = &self.tasks[task.0];
        let process = thread.process;
        let action = self.processes[process.0].signals.action(signal);
        let is_caught =
            !matches!(action.handler, SIG_DFL | SIG_IGN) && thread.signals.mask & bit(signal) == 0;
        if is_caught {
            let info =
                SigInfo { signo: signal as i32, code: SI_KERNEL, addr, ..SigInfo::default() };
            self.signal_task(task, info);
            return;
        }
        let is_init = self.processes[process.0].pid == 1;
        if self.is_traced_for(task, PtraceFlags::PTRACE_STOP_SIGNAL)
            || self.is_traced_for(task, PtraceFlags::PTRACE_STOP_EXIT) && !is_init
        {
            let info =
                SigInfo { signo: signal as i32, code: SI_KERNEL, addr, ..SigInfo::default() };
            self.force_signal(task, info);
            return;
        }
        let at = self.tasks[task.0].context().instruction_pointer();
        let record = &self.processes[process.0];
        let (name, pid) = (alloc::string::String::from(record.name()), record.pid);
        let signal_name = name_of(signal);
        self.log(
            Level::Warn,
            "fault",
            format_args!("{name}[{pid}] ended by {signal_name}: {what}, at {at:#x}"),
        );
        if self.would_keep(process, signal) {
            let info =
                SigInfo { signo: signal as i32, code: SI_KERNEL, addr, ..SigInfo::default() };
            return self.force_signal(task, info);
        }
        self.end_process(process, Ended::Signalled(signal as u8));
    }

    /// All threads of a process stop until `SIGCONT`.
    fn stop_process(&mut self, process: ProcessId, signal: u8) {
        self.processes[process.0].is_stopped = true;
        for task in self.processes[process.0].threads.clone() {
            self.demand_attention(task);
        }
        self.tell_change(process, Change::Stopped(signal));
    }

    /// Lets the parent know that a process has stopped or goes on.
    fn tell_change(&mut self, process: ProcessId, change: Change) {
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

    fn continue_process(&mut self, process: ProcessId) {
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
    fn set_aside(&mut self, task: TaskId) {
        if let State::Running(cpu) = self.tasks[task.0].state {
            self.leave(cpu);
            self.tasks[task.0].state = State::Stopped;
        }
    }
}

/// The name of a signal, or its number's stand-in.
fn name_of(signal: usize) -> &'static str {
    abi::signal::name(signal).unwrap_or("a signal")
}

/// `SigInfo` as programs see it.
pub(crate) fn info_bytes(info: &SigInfo) -> [u8; size_of::<SigInfo>()] {
    let mut bytes = [0; size_of::<SigInfo>()];
    let words = [info.signo, info.errno, info.code, info.pid, info.uid as i32, info.pad as i32];
    for (index, word) in words.iter().enumerate() {
        bytes[index * 4..index * 4 + 4].copy_from_slice(&word.to_ne_bytes());
    }
    bytes[24..32].copy_from_slice(&info.addr.to_ne_bytes());
    bytes[32..36].copy_from_slice(&info.status.to_ne_bytes());
    bytes
}
