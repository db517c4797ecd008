//! What user code did that the processor refuses, brought to whom it concerns: memory that comes when it is
//! touched, a tracer, a handler, or the end of the process.

use super::Kernel;
use crate::error::*;
use crate::log::Level;
use crate::machine::{Access, Context, Exception, Machine};
use crate::memory::{Page, UserSlice};
use crate::signal::bit;
use crate::task::TaskId;
use abi::redox::flag::PtraceFlags;
use abi::signal::*;
use abi::wait::Ended;

impl<M: Machine> Kernel<M> {
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
                Errno(EIO) => (SIGBUS, "there is no such page of the file to"),
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
}

/// The name of a signal, or its number's stand-in.
fn name_of(signal: usize) -> &'static str {
    abi::signal::name(signal).unwrap_or("a signal")
}
