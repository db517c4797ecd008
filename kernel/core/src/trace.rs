//! `proc:PID/trace` — sessions: what a traced thread stops at, and what its tracer has to read.
//!
//! This file keeps the books. Stopping threads and letting them go on is in `kernel/trace.rs`.

use crate::table::Table;
use crate::task::{Pid, ProcessId, QueueId, TaskId};
use abi::redox::data::PtraceEvent;
use abi::redox::flag::PtraceFlags;
use abi::trace::{SPARE, STOP_EXEC, STOP_HARDWARE, STOP_NOW};
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Most events that wait to be read. A thread that would add one more has to wait with it.
const EVENTS_MAX: usize = 64;

/// Everything a tracer may write.
const KNOWN: PtraceFlags =
    PtraceFlags::from_bits_retain(STOP_EXEC | STOP_HARDWARE | STOP_NOW | SPARE)
        .union(PtraceFlags::PTRACE_STOP_PRE_SYSCALL)
        .union(PtraceFlags::PTRACE_STOP_POST_SYSCALL)
        .union(PtraceFlags::PTRACE_STOP_SINGLESTEP)
        .union(PtraceFlags::PTRACE_STOP_SIGNAL)
        .union(PtraceFlags::PTRACE_STOP_BREAKPOINT)
        .union(PtraceFlags::PTRACE_STOP_EXIT)
        .union(PtraceFlags::PTRACE_EVENT_CLONE)
        .union(PtraceFlags::PTRACE_EVENT_ADDRSPACE_SWITCH)
        .union(PtraceFlags::PTRACE_FLAG_IGNORE);

/// The index of a session in the kernel's table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SessionId(pub usize);

/// How far a session has its thread.
#[derive(Clone, Copy, Debug)]
pub enum Phase {
    /// It runs, or waits for something of its own.
    Running,
    /// It stops before it runs user code again, and tells this.
    Stopping(Option<PtraceEvent>),
    /// It has stopped, for this.
    Stopped(PtraceFlags),
}

/// One tracer's hold on one thread.
pub struct Session {
    /// The thread, while it lives.
    pub task: Option<TaskId>,
    /// Who traces.
    pub tracer: Pid,
    /// What it stops at and tells.
    pub flags: PtraceFlags,
    /// Where it is.
    pub phase: Phase,
    /// What has not been read.
    pub events: VecDeque<PtraceEvent>,
    /// Woken by everything that changes here.
    pub changed: QueueId,
    /// The process is killed when the session ends.
    pub is_deadly: bool,
    /// The number of the open file.
    pub file: usize,
    /// Threads that the traced one has made and that wait to be let go, by number.
    pub held: Vec<u32>,
    /// The call it stopped before.
    pub call: usize,
    /// The call that came to its end while it was stopped, which its tracer does not know yet.
    pub ended_call: Option<usize>,
    /// The signal that the tracer knows of and that has not been taken yet.
    pub reported: Option<usize>,
    /// The tracer knows that the thread ends.
    pub is_end_told: bool,
}

impl Session {
    /// A session that neither stops nor tells anything yet.
    pub fn new(task: TaskId, tracer: Pid, changed: QueueId, is_deadly: bool) -> Self {
        Self {
            task: Some(task),
            tracer,
            flags: PtraceFlags::empty(),
            phase: Phase::Running,
            events: VecDeque::new(),
            changed,
            is_deadly,
            file: 0,
            held: Vec::new(),
            call: 0,
            ended_call: None,
            reported: None,
            is_end_told: false,
        }
    }

    /// Whether the tracer wants to know.
    pub fn wants(&self, what: PtraceFlags) -> bool {
        self.flags.contains(what)
    }

    /// Whether no more event may be added.
    pub fn is_full(&self) -> bool {
        self.events.len() >= EVENTS_MAX
    }

    /// Notes a stop. What the thread does comes before what somebody asked of it; of two things it
    /// does, the first counts.
    pub fn stop_for(&mut self, event: PtraceEvent) {
        match self.phase {
            Phase::Stopping(Some(have)) if have.cause.bits() != STOP_NOW => {}
            Phase::Stopped(_) => {}
            _ => self.phase = Phase::Stopping(Some(event)),
        }
    }

    /// Adds an event that stops nobody. One that is there already is not told twice.
    pub fn tell(&mut self, event: PtraceEvent) {
        let is_known = self.events.back().is_some_and(|last| last[..] == event[..]);
        if !is_known {
            self.events.push_back(event);
        }
    }
}

/// The flags that a number stands for. Nothing when it has bits that mean nothing.
pub fn flags(bits: u64) -> Option<PtraceFlags> {
    let flags = PtraceFlags::from_bits_retain(bits);
    KNOWN.contains(flags).then_some(flags)
}

/// An event with its first fields.
pub fn event<const N: usize>(cause: PtraceFlags, fields: [usize; N]) -> PtraceEvent {
    let mut six = [0; 6];
    six[..N].copy_from_slice(&fields);
    let [a, b, c, d, e, f] = six;
    PtraceEvent { cause, a, b, c, d, e, f }
}

/// Bytes written into a process that are taken back when the file they came through is closed.
#[derive(Clone, Debug)]
pub struct Patch {
    /// Where.
    pub address: usize,
    /// What was there.
    pub old: Vec<u8>,
    /// What is there now, unless the program has changed it.
    pub new: Vec<u8>,
}

/// An open `proc:PID/mem`.
pub struct MemoryFile {
    /// Whose memory.
    pub process: ProcessKey,
    /// Whether writes are taken back in the end.
    pub is_borrowed: bool,
    /// What to take back, oldest first.
    pub patches: Vec<Patch>,
}

/// A process for good: its number may be given out again, together with its moment it is not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProcessKey {
    /// Its place in the kernel's table.
    pub place: ProcessId,
    /// Its number.
    pub pid: Pid,
    /// When it started.
    pub started_ns: u64,
}

/// A thread for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ThreadKey {
    /// Its place in the kernel's table.
    pub place: TaskId,
    /// The number of its process.
    pub pid: Pid,
    /// Its number when the key was made.
    pub tid: u32,
    /// What no other thread has.
    pub serial: u64,
}

/// All that tracers have open.
#[derive(Default)]
pub struct Traces {
    /// Sessions.
    pub sessions: Table<Session>,
    /// Memory files.
    pub memories: Table<MemoryFile>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session::new(TaskId(1), 1, crate::task::WaitQueues::default().create(), false)
    }

    fn cause(session: &Session) -> u64 {
        match session.phase {
            Phase::Stopping(Some(event)) => event.cause.bits(),
            _ => 0,
        }
    }

    #[test]
    fn what_the_thread_does_comes_before_what_somebody_asked() {
        let mut session = session();
        session.stop_for(event(PtraceFlags::from_bits_retain(STOP_NOW), []));
        session.stop_for(event(PtraceFlags::PTRACE_STOP_BREAKPOINT, [0x1000]));
        session.stop_for(event(PtraceFlags::PTRACE_STOP_SIGNAL, [2]));
        assert_eq!(cause(&session), PtraceFlags::PTRACE_STOP_BREAKPOINT.bits());
        session.phase = Phase::Stopped(PtraceFlags::PTRACE_STOP_BREAKPOINT);
        session.stop_for(event(PtraceFlags::PTRACE_STOP_SIGNAL, [2]));
        assert_eq!(cause(&session), 0);
    }

    #[test]
    fn what_is_told_twice_in_a_row_is_kept_once() {
        let mut session = session();
        for pid in [5, 5, 6, 5] {
            session.tell(event(PtraceFlags::PTRACE_EVENT_CLONE, [pid]));
        }
        let told: Vec<usize> = session.events.iter().map(|event| event.a).collect();
        assert_eq!(told, [5, 6, 5]);
    }

    #[test]
    fn unknown_flags_are_refused() {
        assert!(flags(0x33).is_some() && flags(STOP_NOW).is_some() && flags(0).is_some());
        assert!(flags(0x400).is_none() && flags(1 << 63).is_none());
    }
}
