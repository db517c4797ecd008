//! The program that is debugged: its threads, and how they stop and go on together.

use crate::breakpoints::{Planted, Watches};
use crate::files::Files;
use crate::line::Line;
use abi::redox::error::ESRCH;
use abi::signal::SIGKILL;
use abi::trace::{STOP_EXEC, STOP_HARDWARE, STOP_NOW};
use abi::wait::Ended;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use tracer::{Memory, PtraceEvent, PtraceFlags, Queue, Registers, Session, Start, launch};

const PRE: PtraceFlags = PtraceFlags::PTRACE_STOP_PRE_SYSCALL;
const POST: PtraceFlags = PtraceFlags::PTRACE_STOP_POST_SYSCALL;
const STEP: PtraceFlags = PtraceFlags::PTRACE_STOP_SINGLESTEP;
const SIGNAL: PtraceFlags = PtraceFlags::PTRACE_STOP_SIGNAL;
const BREAKPOINT: PtraceFlags = PtraceFlags::PTRACE_STOP_BREAKPOINT;
const EXIT: PtraceFlags = PtraceFlags::PTRACE_STOP_EXIT;
const CLONE: PtraceFlags = PtraceFlags::PTRACE_EVENT_CLONE;
const IGNORE: PtraceFlags = PtraceFlags::PTRACE_FLAG_IGNORE;
const HARDWARE: PtraceFlags = PtraceFlags::from_bits_retain(STOP_HARDWARE);
const EXEC: PtraceFlags = PtraceFlags::from_bits_retain(STOP_EXEC);
const NOW: PtraceFlags = PtraceFlags::from_bits_retain(STOP_NOW);

/// The queue's name for the line to GDB; no thread has this number.
const LINE: usize = 0;

/// How a thread is to go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Resume {
    /// One instruction only.
    pub(crate) steps: bool,
    /// With this signal; 0 for none.
    pub(crate) signal: usize,
}

/// One thread.
pub(crate) struct Thread {
    session: Session,
    pub(crate) registers: Registers,
    is_stopped: bool,
    /// What it has stopped for, as long as GDB does not know.
    news: Option<PtraceEvent>,
    /// The signal it has stopped for.
    signal: usize,
    pub(crate) resume: Option<Resume>,
}

/// What GDB is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    Step(u32),
    Breakpoint(u32),
    /// The place of the processor's breakpoint.
    Hardware(u32, usize),
    Signal(u32, usize),
    /// The call, and whether it has been made.
    Call(u32, usize, bool),
    Exec(u32),
    Interrupted,
    Ended(Ended),
}

/// The program.
pub(crate) struct Debuggee {
    pub(crate) pid: u32,
    pub(crate) threads: BTreeMap<u32, Thread>,
    pub(crate) memory: Memory,
    /// Takes back what was written through it when this program ends.
    pub(crate) borrowed: Memory,
    pub(crate) planted: Planted,
    pub(crate) watches: Watches,
    pub(crate) files: Files,
    /// Calls to stop at: all when it is empty.
    pub(crate) caught: Option<BTreeSet<usize>>,
    /// Threads that are not told to go on stay where they are.
    pub(crate) is_locked: bool,
    queue: Queue,
    ended: Option<Ended>,
}

impl Debuggee {
    /// Takes over a process that runs.
    pub(crate) fn attach(pid: u32) -> io::Result<Self> {
        let start = Start { stops: true, is_deadly: false };
        let sessions = tracer::threads(pid)?.into_iter().map(|tid| Session::open(pid, tid, start));
        let mut debuggee = Self::new(pid)?;
        for session in sessions {
            debuggee.add(session?, true)?;
        }
        Ok(debuggee)
    }

    /// Starts a program, which stops at its first instruction.
    pub(crate) fn start(words: &[String]) -> io::Result<Self> {
        let launched = launch("gdbserver", words, true)?;
        let session = launched.into_session();
        let mut debuggee = Self::new(session.pid())?;
        let tid = session.tid();
        session.go(EXEC | EXIT)?;
        debuggee.add(session, false)?;
        while debuggee.threads.get(&tid).is_some_and(|thread| !thread.is_stopped) {
            let name = debuggee.queue.next()?;
            debuggee.take(name as u32);
        }
        match debuggee.threads.get_mut(&tid) {
            Some(thread) => thread.news = None,
            None => return Err(io::ErrorKind::NotFound.into()),
        }
        // The memory is another since.
        debuggee.memory = Memory::open(debuggee.pid)?;
        debuggee.borrowed = Memory::open_borrowed(debuggee.pid)?;
        Ok(debuggee)
    }

    fn new(pid: u32) -> io::Result<Self> {
        Ok(Self {
            pid,
            threads: BTreeMap::new(),
            memory: Memory::open(pid)?,
            borrowed: Memory::open_borrowed(pid)?,
            planted: Planted::default(),
            watches: Watches::default(),
            files: Files::default(),
            caught: None,
            is_locked: false,
            queue: Queue::new()?,
            ended: None,
        })
    }

    /// Waiting for the program wakes up for GDB too.
    pub(crate) fn listen_to(&self, line: &Line) -> io::Result<()> {
        self.queue.watch(line, LINE)
    }

    fn add(&mut self, session: Session, is_stopped: bool) -> io::Result<()> {
        let tid = session.tid();
        self.queue.watch(&session, tid as usize)?;
        let registers = session.registers()?;
        let thread = Thread { session, registers, is_stopped, news: None, signal: 0, resume: None };
        self.threads.insert(tid, thread);
        Ok(())
    }

    /// What every thread stops at.
    fn flags(&self) -> PtraceFlags {
        let mut flags = SIGNAL | BREAKPOINT | EXIT | CLONE | HARDWARE | EXEC;
        flags.set(PRE | POST, self.caught.is_some());
        flags
    }

    /// Lets all threads go on, each as it is meant to. One that has news stays.
    pub(crate) fn resume(&mut self) {
        let flags = self.flags();
        let (addresses, control) = self.watches.registers();
        for thread in self.threads.values_mut().filter(|t| t.is_stopped && t.news.is_none()) {
            let resume = match thread.resume.take() {
                Some(resume) => resume,
                None if self.is_locked => continue,
                None => Resume { steps: false, signal: 0 },
            };
            let mut flags = flags;
            flags.set(STEP, resume.steps);
            let has_signal = std::mem::take(&mut thread.signal);
            flags.set(IGNORE, has_signal != 0 && resume.signal != has_signal);
            if resume.signal != 0 && resume.signal != has_signal {
                send(self.pid, resume.signal);
            }
            // It may have been killed: then its end is told.
            let _ = thread.registers.set_debug(addresses, control);
            thread.is_stopped = thread.session.go(flags).is_err();
        }
    }

    /// Waits until a thread stops, the program ends, or GDB says something (`None`).
    pub(crate) fn wait(&mut self) -> io::Result<Option<Stop>> {
        if let Some(stop) = self.news()? {
            return Ok(Some(stop));
        }
        match self.queue.next() {
            Ok(LINE) => Ok(None),
            Ok(name) => {
                self.take(name as u32);
                self.news()
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What GDB does not know yet. All threads have stopped then.
    fn news(&mut self) -> io::Result<Option<Stop>> {
        if self.threads.is_empty() {
            return Ok(Some(Stop::Ended(self.ended.unwrap_or(Ended::Exited(0)))));
        }
        let Some(tid) = self.threads.iter().find(|(_, t)| t.news.is_some()).map(|(tid, _)| *tid)
        else {
            return Ok(None);
        };
        self.stop_all()?;
        let event = self.threads.get_mut(&tid).and_then(|thread| thread.news.take());
        Ok(event.and_then(|event| self.stop_of(tid, &event)))
    }

    fn stop_of(&mut self, tid: u32, event: &PtraceEvent) -> Option<Stop> {
        Some(match event.cause {
            STEP => Stop::Step(tid),
            BREAKPOINT => Stop::Breakpoint(tid),
            HARDWARE => Stop::Hardware(tid, event.a.trailing_zeros() as usize),
            SIGNAL => Stop::Signal(tid, event.a),
            PRE | POST => Stop::Call(tid, event.a, event.cause == POST),
            EXEC => Stop::Exec(tid),
            _ => return None,
        })
    }

    /// Stops every thread that runs, and waits until all have.
    pub(crate) fn stop_all(&mut self) -> io::Result<()> {
        let flags = self.flags();
        for thread in self.threads.values().filter(|thread| !thread.is_stopped) {
            // One that is gone is told of below.
            let _ = thread.session.go(flags | NOW);
        }
        let tids: Vec<u32> = self.threads.keys().copied().collect();
        tids.into_iter().for_each(|tid| self.take(tid));
        while self.threads.values().any(|thread| !thread.is_stopped) {
            let name = self.queue.next()?;
            self.take(name as u32);
        }
        Ok(())
    }

    /// Takes what a thread has to tell.
    fn take(&mut self, tid: u32) {
        while let Some(thread) = self.threads.get_mut(&tid) {
            let event = match thread.session.next() {
                Ok(Some(event)) => event,
                Ok(None) => return,
                Err(error) => {
                    debug_assert_eq!(error.raw_os_error(), Some(ESRCH));
                    self.threads.remove(&tid);
                    return;
                }
            };
            match event.cause {
                NOW => thread.is_stopped = true,
                CLONE => self.adopt(tid, event.a as u32, event.b as u32),
                EXIT => {
                    self.ended = Some(Ended::from_status(event.a as i32));
                    // Nothing is to be seen any more: it may end.
                    let _ = thread.session.go(EXIT);
                }
                PRE | POST if !self.caught.as_ref().is_some_and(|calls| wants(calls, event.a)) => {
                    let flags = self.flags();
                    if let Some(thread) = self.threads.get(&tid) {
                        let _ = thread.session.go(flags);
                    }
                }
                cause => {
                    thread.is_stopped = true;
                    thread.signal = if cause == SIGNAL { event.a } else { 0 };
                    thread.news = Some(event);
                    if cause == EXEC {
                        self.planted.forget();
                    }
                }
            }
        }
    }

    /// A thread has made another one, or a process, which goes its own way without our
    /// breakpoints.
    fn adopt(&mut self, maker: u32, tid: u32, pid: u32) {
        let flags = self.flags();
        if pid != self.pid {
            if let Ok(memory) = Memory::open(pid) {
                self.planted.clean(&memory);
            }
            if let Some(thread) = self.threads.get(&maker)
                && !thread.is_stopped
            {
                let _ = thread.session.go(flags);
            }
            return;
        }
        // One that is gone already is no loss.
        if let Ok(session) = Session::open(pid, tid, Start::default())
            && session.go(flags).is_ok()
        {
            let _ = self.add(session, false);
        }
    }

    /// Ends the program.
    pub(crate) fn kill(&mut self) {
        send(self.pid, SIGKILL);
    }
}

/// Whether a call is among those to stop at.
fn wants(calls: &BTreeSet<usize>, number: usize) -> bool {
    calls.is_empty() || calls.contains(&number)
}

fn send(pid: u32, signal: usize) {
    // SAFETY: no memory is involved. A process that is gone needs no signal.
    unsafe { libc::kill(pid as libc::pid_t, signal as libc::c_int) };
}
