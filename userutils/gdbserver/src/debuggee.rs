//! The program that is debugged: its threads, and how they stop and go on together.

use crate::breakpoints::{Planted, Watches};
use crate::files::Files;
use crate::line::Line;
use crate::packets::Book;
use abi::redox::error::ESRCH;
use abi::signal::SIGKILL;
use abi::trace::{SPARE, STOP_EXEC, STOP_HARDWARE, STOP_NOW};
use abi::wait::Ended;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::rc::Rc;
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

/// One process: the program, or one that it has made.
pub(crate) struct Process {
    pub(crate) memory: Memory,
    /// Takes back what was written through it when this program ends.
    pub(crate) borrowed: Memory,
    pub(crate) planted: Planted,
    pub(crate) watches: Watches,
    ended: Option<Ended>,
}

impl Process {
    fn open(pid: u32) -> io::Result<Self> {
        Ok(Self {
            memory: Memory::open(pid)?,
            borrowed: Memory::open_borrowed(pid)?,
            planted: Planted::default(),
            watches: Watches::default(),
            ended: None,
        })
    }

    /// It has become another program.
    fn renew(&mut self, pid: u32) {
        // One that is gone is told of by its threads.
        if let Ok(new) = Self::open(pid) {
            *self = new;
        }
    }
}

/// One thread.
pub(crate) struct Thread {
    session: Session,
    pub(crate) registers: Registers,
    is_stopped: bool,
    /// GDB expects it to run: only then it may have news.
    is_expected: bool,
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
    /// It has made the process whose first thread is the other.
    Fork(u32, u32),
    Interrupted,
    /// A process has ended. Others are still there.
    Gone(u32, Ended),
    /// The last process has ended.
    Ended(Ended),
}

/// The program, and the processes it has made.
pub(crate) struct Debuggee {
    /// The program's process.
    pub(crate) pid: u32,
    pub(crate) processes: BTreeMap<u32, Process>,
    pub(crate) threads: BTreeMap<u32, Thread>,
    pub(crate) files: Files,
    /// What GDB has been told of processes.
    pub(crate) book: Rc<RefCell<Book>>,
    /// Calls to stop at: all when it is empty.
    pub(crate) caught: Option<BTreeSet<usize>>,
    /// Threads that are not told to go on stay where they are.
    pub(crate) is_locked: bool,
    queue: Queue,
    /// Who has made a process, and its first thread, as long as GDB does not know.
    forks: VecDeque<(u32, u32)>,
    /// Processes that have ended, as long as GDB does not know.
    gone: VecDeque<(u32, Ended)>,
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
        debuggee.processes.insert(debuggee.pid, Process::open(debuggee.pid)?);
        Ok(debuggee)
    }

    fn new(pid: u32) -> io::Result<Self> {
        let book = Book { current: pid, ..Book::default() };
        Ok(Self {
            pid,
            processes: BTreeMap::from([(pid, Process::open(pid)?)]),
            threads: BTreeMap::new(),
            files: Files::default(),
            book: Rc::new(RefCell::new(book)),
            caught: None,
            is_locked: false,
            queue: Queue::new()?,
            forks: VecDeque::new(),
            gone: VecDeque::new(),
        })
    }

    /// The process that GDB speaks of.
    pub(crate) fn current(&mut self) -> Option<&mut Process> {
        let pid = self.book.borrow().current;
        self.processes.get_mut(&pid)
    }

    /// The process of a thread.
    pub(crate) fn process_of(&mut self, tid: u32) -> Option<&mut Process> {
        let pid = self.threads.get(&tid)?.session.pid();
        self.processes.get_mut(&pid)
    }

    /// Waiting for the program wakes up for GDB too.
    pub(crate) fn listen_to(&self, line: &Line) -> io::Result<()> {
        self.queue.watch(line, LINE)
    }

    fn add(&mut self, session: Session, is_stopped: bool) -> io::Result<()> {
        let tid = session.tid();
        self.queue.watch(&session, tid as usize)?;
        let registers = session.registers()?;
        self.book.borrow_mut().threads.insert(tid, session.pid());
        let thread = Thread {
            session,
            registers,
            is_stopped,
            is_expected: !is_stopped,
            news: None,
            signal: 0,
            resume: None,
        };
        self.threads.insert(tid, thread);
        Ok(())
    }

    /// What every thread stops at.
    fn flags(&self) -> PtraceFlags {
        let mut flags = SIGNAL | BREAKPOINT | EXIT | CLONE | HARDWARE | EXEC;
        flags.set(PRE | POST, self.caught.is_some());
        flags
    }

    /// Lets all threads go on, each as it is meant to: those of all processes, or of the one that
    /// GDB has named. One that has news stays.
    pub(crate) fn resume(&mut self) {
        let flags = self.flags();
        let only = self.book.borrow_mut().only.take();
        for thread in self.threads.values_mut() {
            let pid = thread.session.pid();
            let resume = thread.resume.take();
            let is_meant = only.is_none_or(|only| only == pid);
            thread.is_expected = is_meant && (resume.is_some() || !self.is_locked);
            if !thread.is_expected || !thread.is_stopped || thread.news.is_some() {
                continue;
            }
            let resume = resume.unwrap_or(Resume { steps: false, signal: 0 });
            let mut flags = flags;
            flags.set(STEP, resume.steps);
            let has_signal = std::mem::take(&mut thread.signal);
            flags.set(IGNORE, has_signal != 0 && resume.signal != has_signal);
            if resume.signal != 0 && resume.signal != has_signal {
                send(pid, resume.signal);
            }
            if let Some(process) = self.processes.get(&pid) {
                let (addresses, control) = process.watches.registers();
                // It may have been killed: then its end is told.
                let _ = thread.registers.set_debug(addresses, control);
            }
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
        if let Some((maker, made)) = self.forks.pop_front() {
            self.stop_all()?;
            let are_there = [maker, made].iter().all(|tid| self.threads.contains_key(tid));
            return Ok(are_there.then_some(Stop::Fork(maker, made)));
        }
        if let Some((pid, ended)) = self.gone.pop_front() {
            if self.threads.is_empty() {
                return Ok(Some(Stop::Ended(ended)));
            }
            self.stop_all()?;
            return Ok(Some(Stop::Gone(pid, ended)));
        }
        let has_news = |thread: &Thread| thread.is_expected && thread.news.is_some();
        let found = self.threads.iter().find(|(_, thread)| has_news(thread));
        let Some(tid) = found.map(|(tid, _)| *tid) else { return Ok(None) };
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
                    self.bury(tid);
                    return;
                }
            };
            let pid = thread.session.pid();
            match event.cause {
                NOW => thread.is_stopped = true,
                CLONE => self.adopt(tid, event.a as u32, event.b as u32),
                EXIT => {
                    if let Some(process) = self.processes.get_mut(&pid) {
                        process.ended = Some(Ended::from_status(event.a as i32));
                    }
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
                    if cause == EXEC
                        && let Some(process) = self.processes.get_mut(&pid)
                    {
                        process.renew(pid);
                    }
                }
            }
        }
    }

    /// A thread is gone, and its process with the last one.
    fn bury(&mut self, tid: u32) {
        let Some(thread) = self.threads.remove(&tid) else { return };
        self.book.borrow_mut().threads.remove(&tid);
        let pid = thread.session.pid();
        if self.threads.values().all(|thread| thread.session.pid() != pid)
            && let Some(process) = self.processes.remove(&pid)
        {
            self.gone.push_back((pid, process.ended.unwrap_or(Ended::Exited(0))));
        }
    }

    /// A thread has made another one, or a process, which stays where it is until GDB has decided
    /// what becomes of it.
    fn adopt(&mut self, maker: u32, tid: u32, pid: u32) {
        let is_fork = self.threads.get(&maker).is_some_and(|maker| maker.session.pid() != pid);
        // While one thread is to run alone, new ones wait. One that is gone already is no loss.
        let stops = is_fork || self.is_locked;
        let Ok(session) = Session::open(pid, tid, Start { stops, is_deadly: false }) else {
            return;
        };
        if !is_fork && self.is_locked {
            let _ = self.add(session, true);
            return;
        }
        if !is_fork {
            if session.go(self.flags()).is_ok() {
                let _ = self.add(session, false);
            }
            return;
        }
        let Ok(mut process) = Process::open(pid) else { return };
        if let Some(maker) = self.process_of(maker) {
            process.planted = maker.planted.moved(&process.memory, &process.borrowed);
        }
        self.processes.insert(pid, process);
        if self.add(session, true).is_ok() {
            self.forks.push_back((maker, tid));
        }
    }

    /// One of several processes goes its own way, without our breakpoints.
    pub(crate) fn let_go(&mut self, pid: u32) {
        if let Some(process) = self.processes.remove(&pid) {
            process.planted.clean(&process.memory);
        }
        let tids: Vec<u32> = self.threads_of(pid).collect();
        for tid in tids {
            if let Some(thread) = self.threads.remove(&tid) {
                // One that is gone needs no mercy.
                let _ = thread.session.go(PtraceFlags::from_bits_retain(SPARE));
            }
            self.book.borrow_mut().threads.remove(&tid);
        }
    }

    fn threads_of(&self, pid: u32) -> impl Iterator<Item = u32> {
        self.threads.iter().filter(move |(_, t)| t.session.pid() == pid).map(|(tid, _)| *tid)
    }

    /// Ends one of several processes.
    pub(crate) fn kill_one(&mut self, pid: u32) {
        if self.processes.contains_key(&pid) {
            send(pid, SIGKILL);
            self.let_go(pid);
        }
    }

    /// Leaves all processes alone.
    pub(crate) fn let_all_go(&mut self) {
        let pids: Vec<u32> = self.processes.keys().copied().collect();
        pids.into_iter().for_each(|pid| self.let_go(pid));
    }

    /// Ends all processes.
    pub(crate) fn kill(&mut self) {
        self.processes.keys().for_each(|pid| send(*pid, SIGKILL));
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
