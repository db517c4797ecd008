//! The traced threads, and what becomes of them.

use crate::decode::{Decoder, error_of, is_given_back};
use crate::flags;
use crate::inject;
use crate::interrupt;
use crate::options::Options;
use crate::printer::Printer;
use crate::summary::Summary;
use abi::call::Call;
use abi::number::EXEC;
use abi::signal::{SI_KERNEL, SI_USER};
use abi::wait::Ended;
use std::collections::BTreeMap;
use std::io;
use std::time::Instant;
use tracer::{Memory, PtraceEvent, PtraceFlags, Queue, Session, Start, launch};

const PRE: PtraceFlags = PtraceFlags::PTRACE_STOP_PRE_SYSCALL;
const POST: PtraceFlags = PtraceFlags::PTRACE_STOP_POST_SYSCALL;
const SIGNAL: PtraceFlags = PtraceFlags::PTRACE_STOP_SIGNAL;
const EXIT: PtraceFlags = PtraceFlags::PTRACE_STOP_EXIT;
const IGNORE: PtraceFlags = PtraceFlags::PTRACE_FLAG_IGNORE;
const CLONE: PtraceFlags = PtraceFlags::PTRACE_EVENT_CLONE;

/// A call that has begun.
struct Begun {
    number: usize,
    arguments: [usize; 6],
    at: Instant,
    /// How many of its arguments have been shown.
    shown: usize,
    /// It is not made: the user answers it.
    is_injected: bool,
}

/// One traced thread.
struct Tracee {
    session: Session,
    memory: Memory,
    begun: Option<Begun>,
    /// It has not become the program yet that was asked for.
    is_hidden: bool,
}

/// Everything there is to do.
struct Follower {
    options: Options,
    flags: PtraceFlags,
    queue: Queue,
    tracees: BTreeMap<u32, Tracee>,
    printer: Printer,
    summary: Summary,
    /// The process that was started, and how it ended.
    child: Option<u32>,
    ended: Option<Ended>,
}

/// Traces until everybody is gone. Returns the exit status.
pub(crate) fn run(options: Options) -> Result<u8, String> {
    let text = |error: io::Error| error.to_string();
    let mut flags = PRE | POST | SIGNAL | EXIT;
    flags.set(CLONE, options.follows);
    let printer = Printer::new(&options).map_err(|error| match &options.output {
        Some(path) => format!("{path}: {error}"),
        None => error.to_string(),
    })?;
    let mut follower = Follower {
        flags,
        queue: Queue::new().map_err(text)?,
        tracees: BTreeMap::new(),
        printer,
        summary: Summary::default(),
        child: None,
        ended: None,
        options,
    };
    follower.begin()?;
    follower.follow().map_err(text)?;
    if follower.options.counts {
        let table = follower.summary.text();
        follower.printer.text(&table).map_err(text)?;
    }
    Ok(match follower.ended {
        Some(Ended::Exited(code)) => code,
        Some(Ended::Signalled(signal)) => 128 + signal,
        None => 0,
    })
}

impl Follower {
    fn begin(&mut self) -> Result<(), String> {
        for pid in self.options.pids.clone() {
            let failed = |error: io::Error| format!("process {pid}: {error}");
            for tid in tracer::threads(pid).map_err(failed)? {
                let start = Start { stops: true, is_deadly: false };
                let session = Session::open(pid, tid, start).map_err(failed)?;
                self.add(session, false).map_err(failed)?;
                self.say(tid, &format!("strace: Process {tid} attached"));
            }
        }
        if !self.options.command.is_empty() {
            let command = self.options.command.clone();
            let failed = |error: io::Error| format!("{}: {error}", command[0]);
            let launched = launch("strace", &command, false).map_err(failed)?;
            let session = launched.into_session();
            self.child = Some(session.pid());
            self.add(session, true).map_err(failed)?;
        }
        Ok(())
    }

    fn say(&mut self, _tid: u32, text: &str) {
        if !self.options.is_quiet && !self.options.is_silent {
            // What is said about a tracee matters less than the tracee.
            let _ = self.printer.text(&format!("{text}\n"));
        }
    }

    fn add(&mut self, session: Session, is_hidden: bool) -> io::Result<()> {
        let (pid, tid) = (session.pid(), session.tid());
        self.queue.watch(&session, tid as usize)?;
        session.go(self.flags)?;
        let memory = Memory::open(pid)?;
        self.tracees.insert(tid, Tracee { session, memory, begun: None, is_hidden });
        if self.tracees.len() > 1 {
            self.printer.names_threads = true;
        }
        Ok(())
    }

    fn follow(&mut self) -> io::Result<()> {
        interrupt::watch();
        while !self.tracees.is_empty() {
            if interrupt::is_asked() && self.child.is_none() {
                return self.let_go();
            }
            let tid = match self.queue.next() {
                Ok(name) => name as u32,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            // What the queue tells once may be several events.
            while let Some(tracee) = self.tracees.get(&tid) {
                match tracee.session.next() {
                    Ok(Some(event)) => self.take(tid, &event)?,
                    Ok(None) => break,
                    Err(_) => drop(self.tracees.remove(&tid)),
                }
            }
        }
        Ok(())
    }

    /// Leaves everybody alone: sessions end when they are dropped.
    fn let_go(&mut self) -> io::Result<()> {
        for (tid, tracee) in std::mem::take(&mut self.tracees) {
            if tracee.begun.is_some() {
                self.printer.cut()?;
            }
            self.say(tid, &format!("strace: Process {tid} detached"));
        }
        Ok(())
    }

    /// Shows an event and lets the thread go on, if it has stopped.
    fn take(&mut self, tid: u32, event: &PtraceEvent) -> io::Result<()> {
        match event.cause {
            PRE => self.call_begins(tid, event)?,
            POST => self.call_ends(tid, event)?,
            SIGNAL => self.signal(tid, event)?,
            EXIT => self.exit(tid, event)?,
            CLONE => return self.adopt(event.a as u32, event.b as u32),
            _ => {}
        }
        if let Some(tracee) = self.tracees.get(&tid) {
            let is_left_out =
                event.cause == PRE && tracee.begun.as_ref().is_some_and(|begun| begun.is_injected);
            let flags = if is_left_out { self.flags | IGNORE } else { self.flags };
            // It may have been killed since.
            let _ = tracee.session.go(flags);
        }
        Ok(())
    }

    /// Takes over a thread or process that a tracee has made.
    fn adopt(&mut self, tid: u32, pid: u32) -> io::Result<()> {
        match Session::open(pid, tid, Start::default()) {
            Ok(session) => {
                let is_hidden = false;
                self.printer.names_threads = true;
                self.say(tid, &format!("strace: Process {tid} attached"));
                // Gone already: nothing to trace.
                let _ = self.add(session, is_hidden);
                Ok(())
            }
            Err(_) => Ok(()),
        }
    }

    fn call_begins(&mut self, tid: u32, event: &PtraceEvent) -> io::Result<()> {
        let Some(tracee) = self.tracees.get_mut(&tid) else { return Ok(()) };
        let number = event.a;
        if number == EXEC {
            tracee.is_hidden = false;
        }
        let call = abi::call::find(number);
        // An event has room for five; the sixth is where the kernel takes it from.
        let sixth = match call {
            Some(call) if call.arguments.len() > 5 => {
                // Whose thread is gone by now shows none.
                let registers = tracee.session.registers().and_then(|file| file.integer());
                registers.map_or(0, |registers| registers.r9)
            }
            _ => 0,
        };
        let arguments = [event.b, event.c, event.d, event.e, event.f, sixth];
        let is_injected = !tracee.is_hidden
            && inject::answer(&mut self.options.injections, &tracee.session, number);
        let mut begun = Begun { number, arguments, at: Instant::now(), shown: 0, is_injected };
        let is_shown = !tracee.is_hidden && !self.options.is_silent && self.options.shows(number);
        if is_shown {
            let kinds = call.map_or(&[][..], |call| call.arguments);
            let ready = kinds.iter().position(|kind| is_given_back(*kind));
            begun.shown = ready.unwrap_or(kinds.len());
            let decoder =
                Decoder { memory: &tracee.memory, string_length: self.options.string_length };
            let text = shown(&decoder, call, &begun, 0..begun.shown, None);
            self.printer.begin(tid, &format!("{}({text}", name_of(number)))?;
        }
        begun.at = Instant::now();
        tracee.begun = Some(begun);
        Ok(())
    }

    fn call_ends(&mut self, tid: u32, event: &PtraceEvent) -> io::Result<()> {
        let Some(tracee) = self.tracees.get_mut(&tid) else { return Ok(()) };
        if tracee.is_hidden {
            return Ok(());
        }
        let (number, answer) = (event.a, event.b);
        // One that began before it was traced shows its answer only.
        let begun = tracee.begun.take();
        let time = begun.as_ref().map(|begun| begun.at.elapsed()).unwrap_or_default();
        if !self.options.shows(number) {
            return Ok(());
        }
        let name = name_of(number);
        self.summary.add(&name, time, error_of(answer).is_some());
        if self.options.is_silent {
            return Ok(());
        }
        let call = abi::call::find(number);
        let decoder = Decoder { memory: &tracee.memory, string_length: self.options.string_length };
        let rest = begun.as_ref().map_or_else(String::new, |begun| {
            let count = call.map_or(0, |call| call.arguments.len());
            let rest = shown(&decoder, call, begun, begun.shown..count, Some(answer));
            if begun.shown > 0 && !rest.is_empty() { format!(", {rest}") } else { rest }
        });
        let mut answer = decoder.answer(call, answer);
        if begun.is_some_and(|begun| begun.is_injected) {
            answer += " (INJECTED)";
        }
        let time = self.options.shows_duration.then_some(time);
        self.printer.end(tid, &name, &rest, &answer, time)
    }

    fn signal(&mut self, tid: u32, event: &PtraceEvent) -> io::Result<()> {
        if self.options.is_silent || !self.options.shows_signals {
            return Ok(());
        }
        let name = flags::signal(event.a);
        let code = match event.c as i32 {
            SI_USER => "SI_USER".to_owned(),
            SI_KERNEL => "SI_KERNEL".to_owned(),
            code => code.to_string(),
        };
        let mut details = format!("si_signo={name}, si_code={code}");
        if event.d != 0 {
            details += &format!(", si_pid={}", event.d);
        }
        if event.e != 0 {
            details += &format!(", si_addr={:#x}", event.e);
        }
        self.printer.line(tid, &format!("--- {name} {{{details}}} ---"))
    }

    fn exit(&mut self, tid: u32, event: &PtraceEvent) -> io::Result<()> {
        let ended = Ended::from_status(event.a as i32);
        let Some(tracee) = self.tracees.get_mut(&tid) else { return Ok(()) };
        if self.child == Some(tid) {
            self.ended = Some(ended);
        }
        if let Some(begun) = tracee.begun.take()
            && !tracee.is_hidden
            && self.options.shows(begun.number)
        {
            let name = name_of(begun.number);
            self.summary.add(&name, begun.at.elapsed(), false);
            if !self.options.is_silent {
                self.printer.end(tid, &name, "", "?", None)?;
            }
        }
        if self.options.is_silent {
            return Ok(());
        }
        let text = match ended {
            Ended::Exited(code) => format!("+++ exited with {code} +++"),
            Ended::Signalled(signal) => {
                format!("+++ killed by {} +++", flags::signal(signal.into()))
            }
        };
        self.printer.line(tid, &text)
    }
}

/// Some of a call's arguments.
fn shown(
    decoder: &Decoder<'_>,
    call: Option<&'static Call>,
    begun: &Begun,
    places: std::ops::Range<usize>,
    answer: Option<usize>,
) -> String {
    let Some(call) = call else { return String::new() };
    let texts = places.map(|place| decoder.argument(call, &begun.arguments, place, answer));
    texts.collect::<Vec<String>>().join(", ")
}

fn name_of(number: usize) -> String {
    abi::call::find(number).map_or_else(|| format!("syscall_{number:#x}"), |c| c.name.to_owned())
}
