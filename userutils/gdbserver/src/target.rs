//! What GDB asks for, done.

use crate::breakpoints::Watch;
use crate::debuggee::{Debuggee, Process, Resume, Stop, Thread};
use crate::line::Line;
use crate::{registers, signals};
use abi::wait::Ended;
use gdbstub::common::{Pid, Signal, Tid};
use gdbstub::conn::ConnectionExt;
use gdbstub::stub::MultiThreadStopReason;
use gdbstub::stub::run_blocking::{BlockingEventLoop, Event, WaitForStopReasonError};
use gdbstub::target::ext::base::BaseOps;
use gdbstub::target::ext::base::multithread::*;
use gdbstub::target::ext::breakpoints::*;
use gdbstub::target::ext::catch_syscalls::*;
use gdbstub::target::ext::exec_file::{ExecFile, ExecFileOps};
use gdbstub::target::ext::host_io::HostIoOps;
use gdbstub::target::ext::monitor_cmd::MonitorCmdOps;
use gdbstub::target::ext::thread_extra_info::{ThreadExtraInfo, ThreadExtraInfoOps};
use gdbstub::target::{Target, TargetError, TargetResult};
use gdbstub_arch::x86::X86_64_SSE;
use gdbstub_arch::x86::reg::X86_64CoreRegs;
use std::io;

type Reason = MultiThreadStopReason<u64>;

impl Target for Debuggee {
    type Arch = X86_64_SSE;
    type Error = io::Error;

    fn base_ops(&mut self) -> BaseOps<'_, Self::Arch, Self::Error> {
        BaseOps::MultiThread(self)
    }

    fn support_breakpoints(&mut self) -> Option<BreakpointsOps<'_, Self>> {
        Some(self)
    }

    fn support_catch_syscalls(&mut self) -> Option<CatchSyscallsOps<'_, Self>> {
        Some(self)
    }

    fn support_exec_file(&mut self) -> Option<ExecFileOps<'_, Self>> {
        Some(self)
    }

    fn support_host_io(&mut self) -> Option<HostIoOps<'_, Self>> {
        Some(self)
    }

    fn support_monitor_cmd(&mut self) -> Option<MonitorCmdOps<'_, Self>> {
        Some(self)
    }

    fn use_fork_stop_reason(&self) -> bool {
        true
    }
}

impl Debuggee {
    fn thread(&mut self, tid: Tid) -> TargetResult<&mut Thread, Self> {
        self.threads.get_mut(&(tid.get() as u32)).ok_or(TargetError::NonFatal)
    }
}

impl MultiThreadBase for Debuggee {
    fn read_registers(&mut self, regs: &mut X86_64CoreRegs, tid: Tid) -> TargetResult<(), Self> {
        registers::read(&self.thread(tid)?.registers, regs).map_err(|_| TargetError::NonFatal)
    }

    fn write_registers(&mut self, regs: &X86_64CoreRegs, tid: Tid) -> TargetResult<(), Self> {
        registers::write(&self.thread(tid)?.registers, regs).map_err(|_| TargetError::NonFatal)
    }

    fn read_addrs(
        &mut self,
        start_addr: u64,
        data: &mut [u8],
        tid: Tid,
    ) -> TargetResult<usize, Self> {
        let at = start_addr as usize;
        let process = self.process_of(tid.get() as u32).ok_or(TargetError::NonFatal)?;
        let count = process.memory.read(at, data).map_err(|_| TargetError::NonFatal)?;
        process.planted.hide(at, &mut data[..count]);
        Ok(count)
    }

    fn write_addrs(&mut self, start_addr: u64, data: &[u8], tid: Tid) -> TargetResult<(), Self> {
        let process = self.process_of(tid.get() as u32).ok_or(TargetError::NonFatal)?;
        match process.memory.write(start_addr as usize, data) {
            Ok(count) if count == data.len() => Ok(()),
            _ => Err(TargetError::NonFatal),
        }
    }

    fn list_active_threads(&mut self, each: &mut dyn FnMut(Tid)) -> Result<(), io::Error> {
        self.threads.keys().filter_map(|tid| Tid::new(*tid as usize)).for_each(each);
        Ok(())
    }

    fn support_resume(&mut self) -> Option<MultiThreadResumeOps<'_, Self>> {
        Some(self)
    }

    fn support_thread_extra_info(&mut self) -> Option<ThreadExtraInfoOps<'_, Self>> {
        Some(self)
    }
}

impl ThreadExtraInfo for Debuggee {
    fn thread_extra_info(&self, tid: Tid, buf: &mut [u8]) -> Result<usize, io::Error> {
        let pid = self.book.borrow().threads.get(&(tid.get() as u32)).copied().unwrap_or(self.pid);
        let call = tracer::text(pid, &format!("thread/{tid}/syscall")).unwrap_or_default();
        let name = tracer::text(pid, "name").unwrap_or_default();
        let text = format!("{} {}", name.trim_end(), call.trim_end());
        let count = text.len().min(buf.len());
        buf[..count].copy_from_slice(&text.as_bytes()[..count]);
        Ok(count)
    }
}

impl MultiThreadResume for Debuggee {
    fn resume(&mut self) -> Result<(), io::Error> {
        Debuggee::resume(self);
        Ok(())
    }

    fn clear_resume_actions(&mut self) -> Result<(), io::Error> {
        self.threads.values_mut().for_each(|thread| thread.resume = None);
        self.is_locked = false;
        Ok(())
    }

    fn set_resume_action_continue(
        &mut self,
        tid: Tid,
        signal: Option<Signal>,
    ) -> Result<(), io::Error> {
        self.set_resume(tid, false, signal);
        Ok(())
    }

    fn support_single_step(&mut self) -> Option<MultiThreadSingleStepOps<'_, Self>> {
        Some(self)
    }

    fn support_scheduler_locking(&mut self) -> Option<MultiThreadSchedulerLockingOps<'_, Self>> {
        Some(self)
    }
}

impl MultiThreadSchedulerLocking for Debuggee {
    fn set_resume_action_scheduler_lock(&mut self) -> Result<(), io::Error> {
        self.is_locked = true;
        Ok(())
    }
}

impl MultiThreadSingleStep for Debuggee {
    fn set_resume_action_step(
        &mut self,
        tid: Tid,
        signal: Option<Signal>,
    ) -> Result<(), io::Error> {
        self.set_resume(tid, true, signal);
        Ok(())
    }
}

impl Debuggee {
    fn set_resume(&mut self, tid: Tid, steps: bool, signal: Option<Signal>) {
        let signal = signal.map_or(0, signals::from_gdb);
        if let Some(thread) = self.threads.get_mut(&(tid.get() as u32)) {
            thread.resume = Some(Resume { steps, signal });
        }
    }
}

impl Breakpoints for Debuggee {
    fn support_sw_breakpoint(&mut self) -> Option<SwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_breakpoint(&mut self) -> Option<HwBreakpointOps<'_, Self>> {
        Some(self)
    }

    fn support_hw_watchpoint(&mut self) -> Option<HwWatchpointOps<'_, Self>> {
        Some(self)
    }
}

impl SwBreakpoint for Debuggee {
    fn add_sw_breakpoint(&mut self, addr: u64, _kind: usize) -> TargetResult<bool, Self> {
        let Some(Process { planted, borrowed, .. }) = self.current() else { return Ok(false) };
        Ok(planted.add(borrowed, addr as usize).is_ok())
    }

    fn remove_sw_breakpoint(&mut self, addr: u64, _kind: usize) -> TargetResult<bool, Self> {
        let Some(Process { planted, borrowed, .. }) = self.current() else { return Ok(false) };
        Ok(planted.remove(borrowed, addr as usize).is_ok())
    }
}

impl HwBreakpoint for Debuggee {
    fn add_hw_breakpoint(&mut self, addr: u64, _kind: usize) -> TargetResult<bool, Self> {
        let watch = Watch { address: addr as usize, length: 1, kind: None };
        Ok(self.current().is_some_and(|process| process.watches.add(watch)))
    }

    fn remove_hw_breakpoint(&mut self, addr: u64, _kind: usize) -> TargetResult<bool, Self> {
        let watch = Watch { address: addr as usize, length: 1, kind: None };
        Ok(self.current().is_some_and(|process| process.watches.remove(watch)))
    }
}

impl HwWatchpoint for Debuggee {
    fn add_hw_watchpoint(
        &mut self,
        addr: u64,
        len: u64,
        kind: WatchKind,
    ) -> TargetResult<bool, Self> {
        let watch = Watch { address: addr as usize, length: len as usize, kind: Some(kind) };
        Ok(self.current().is_some_and(|process| process.watches.add(watch)))
    }

    fn remove_hw_watchpoint(
        &mut self,
        addr: u64,
        len: u64,
        kind: WatchKind,
    ) -> TargetResult<bool, Self> {
        let watch = Watch { address: addr as usize, length: len as usize, kind: Some(kind) };
        Ok(self.current().is_some_and(|process| process.watches.remove(watch)))
    }
}

impl CatchSyscalls for Debuggee {
    fn enable_catch_syscalls(
        &mut self,
        filter: Option<SyscallNumbers<'_, u64>>,
    ) -> TargetResult<(), Self> {
        let numbers = filter.into_iter().flatten().map(|number| number as usize);
        self.caught = Some(numbers.collect());
        Ok(())
    }

    fn disable_catch_syscalls(&mut self) -> TargetResult<(), Self> {
        self.caught = None;
        Ok(())
    }
}

impl ExecFile for Debuggee {
    fn get_exec_file(
        &self,
        pid: Option<Pid>,
        offset: u64,
        length: usize,
        buf: &mut [u8],
    ) -> TargetResult<usize, Self> {
        let pid = pid.map_or(self.book.borrow().current, |pid| pid.get() as u32);
        let path = tracer::text(pid, "exe").map_err(|_| TargetError::NonFatal)?;
        let rest = path.trim_end().as_bytes().get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(length).min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// Waits for the program and for GDB.
pub(crate) enum Loop {}

impl BlockingEventLoop for Loop {
    type Target = Debuggee;
    type Connection = Line;
    type StopReason = Reason;

    fn wait_for_stop_reason(
        target: &mut Debuggee,
        conn: &mut Line,
    ) -> Result<Event<Reason>, WaitForStopReasonError<io::Error, io::Error>> {
        loop {
            if conn.peek().map_err(WaitForStopReasonError::Connection)?.is_some() {
                let byte = conn.read().map_err(WaitForStopReasonError::Connection)?;
                return Ok(Event::IncomingData(byte));
            }
            if let Some(stop) = target.wait().map_err(WaitForStopReasonError::Target)? {
                return Ok(Event::TargetStopped(reason(target, stop)));
            }
        }
    }

    fn on_interrupt(target: &mut Debuggee) -> Result<Option<Reason>, io::Error> {
        target.stop_all()?;
        Ok(Some(reason(target, Stop::Interrupted)))
    }
}

/// A stop in GDB's words.
fn reason(target: &mut Debuggee, stop: Stop) -> Reason {
    let thread = |tid: u32| Tid::new(tid as usize).unwrap_or(Tid::MIN);
    let signal = |tid, signal| Reason::SignalWithThread { tid: thread(tid), signal };
    match stop {
        Stop::Step(tid) => signal(tid, Signal::SIGTRAP),
        Stop::Exec(tid) => {
            let pid = target.book.borrow().threads.get(&tid).copied().unwrap_or(target.pid);
            let path = tracer::text(pid, "exe").unwrap_or_default();
            let path: String = path.trim_end().bytes().map(|byte| format!("{byte:02x}")).collect();
            let reply = format!("T05thread:p{pid:x}.{tid:x};exec:{path};");
            target.book.borrow_mut().next_stop = Some(reply);
            signal(tid, Signal::SIGTRAP)
        }
        Stop::Fork(maker, made) => Reason::Fork { cur_tid: thread(maker), new_tid: thread(made) },
        Stop::Gone(pid, ended) => {
            let reply = match ended {
                Ended::Exited(code) => format!("W{code:02x};process:{pid:x}"),
                Ended::Signalled(number) => {
                    format!("X{:02x};process:{pid:x}", signals::to_gdb(number.into()).0)
                }
            };
            target.book.borrow_mut().next_stop = Some(reply);
            let left = target.threads.keys().next().copied().unwrap_or(0);
            signal(left, Signal::SIGTRAP)
        }
        Stop::Breakpoint(tid) => Reason::SwBreak(thread(tid)),
        Stop::Hardware(tid, place) => {
            match target.process_of(tid).and_then(|p| p.watches.get(place)) {
                Some(Watch { kind: Some(kind), address, .. }) => {
                    Reason::Watch { tid: thread(tid), kind, addr: address as u64 }
                }
                _ => Reason::HwBreak(thread(tid)),
            }
        }
        Stop::Signal(tid, number) => signal(tid, signals::to_gdb(number)),
        Stop::Call(tid, number, is_over) => Reason::CatchSyscall {
            tid: Some(thread(tid)),
            number: number as u64,
            position: match is_over {
                true => CatchSyscallPosition::Return,
                false => CatchSyscallPosition::Entry,
            },
        },
        Stop::Interrupted => Reason::Signal(Signal::SIGINT),
        Stop::Ended(Ended::Exited(code)) => Reason::Exited(code),
        Stop::Ended(Ended::Signalled(number)) => Reason::Terminated(signals::to_gdb(number.into())),
    }
}
