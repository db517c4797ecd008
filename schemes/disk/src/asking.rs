//! Asking the drivers for things without waiting for them.
//!
//! Opening a driver's file is a call to the driver, and a driver may hang in its own code. So each has
//! a thread here that makes such calls, one after the other, and rings when one is done. Who lets its
//! thread wait too long is told of ([`Asking::stuck`]), and each is asked now and then whether it
//! still answers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::AsRawFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use libredox::Fd;
use libredox::flag::O_CLOEXEC;
use syscall::error::{EIO, Error, Result};

/// A driver that has not answered for so long hangs.
const LIMIT: Duration = Duration::from_secs(10);
/// How long a driver may be left alone before it is asked whether it answers.
const CALM: Duration = Duration::from_secs(5);

/// What a driver is asked for, by paths in its scheme.
pub(crate) enum Question {
    /// All the text of a file.
    Text(String),
    /// A file, opened with these flags.
    File(String, i32),
}

/// What came of it.
pub(crate) enum Answer {
    Text(Result<String>),
    File(Result<Fd>),
}

/// Stands for a question that was asked.
pub(crate) type Ticket = u64;

/// One driver's thread, and what it has to do.
struct Asked {
    questions: Sender<(Ticket, Question)>,
    open: BTreeSet<Ticket>,
    /// When it last answered, or was asked while it had nothing to do.
    since: Instant,
}

/// All drivers' threads.
pub(crate) struct Asking {
    drivers: Vec<Asked>,
    answered: Receiver<(usize, Ticket, Answer)>,
    bell: PipeReader,
    next: Ticket,
    /// What threads answer with, and ring with.
    answering: Sender<(usize, Ticket, Answer)>,
    rope: PipeWriter,
    /// Answers that nobody has taken yet.
    answers: BTreeMap<Ticket, Answer>,
    /// Questions whose answers nobody wants any more.
    forgotten: BTreeSet<Ticket>,
}

impl Asking {
    /// No drivers yet.
    pub(crate) fn new() -> Result<Self> {
        let (bell, rope) = pipe().map_err(|_| Error::new(EIO))?;
        // Two rings may be heard as one, and then there is nothing to read for the second event.
        // SAFETY: the descriptor is open, and the call touches no memory.
        if unsafe { libc::fcntl(bell.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) } < 0 {
            return Err(Error::new(EIO));
        }
        let (answering, answered) = channel();
        let (drivers, answers, forgotten) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        Ok(Self { drivers, answered, bell, next: 0, answering, rope, answers, forgotten })
    }

    /// A thread for one more driver, whose number is the next.
    pub(crate) fn add(&mut self) -> Result<()> {
        let failed = |_| Error::new(EIO);
        let (questions, asked) = channel();
        let (answers, rope) = (self.answering.clone(), self.rope.try_clone().map_err(failed)?);
        let index = self.drivers.len();
        thread::Builder::new()
            .spawn(move || answer(index, &asked, &answers, rope))
            .map_err(failed)?;
        self.drivers.push(Asked { questions, open: BTreeSet::new(), since: Instant::now() });
        Ok(())
    }

    /// What can be read when there is an answer.
    pub(crate) fn descriptor(&self) -> usize {
        self.bell.as_raw_fd() as usize
    }

    /// Asks a driver.
    pub(crate) fn ask(&mut self, driver: usize, question: Question) -> Ticket {
        let ticket = self.next;
        self.next += 1;
        let asked = &mut self.drivers[driver];
        if asked.open.is_empty() {
            asked.since = Instant::now();
        }
        asked.open.insert(ticket);
        // Its thread lives as long as this does.
        let _sent = asked.questions.send((ticket, question));
        ticket
    }

    /// Collects answers, when [`Self::descriptor`] can be read.
    pub(crate) fn collect(&mut self) {
        let mut rings = [0; 64];
        // An error says that there are no more.
        while self.bell.read(&mut rings).is_ok_and(|count| count > 0) {}
        for (driver, ticket, answer) in self.answered.try_iter() {
            let asked = &mut self.drivers[driver];
            asked.open.remove(&ticket);
            asked.since = Instant::now();
            if !self.forgotten.remove(&ticket) {
                self.answers.insert(ticket, answer);
            }
        }
    }

    /// Whether there is an answer.
    pub(crate) fn has_answer(&self, ticket: Ticket) -> bool {
        self.answers.contains_key(&ticket)
    }

    /// Takes an answer.
    pub(crate) fn take(&mut self, ticket: Ticket) -> Option<Answer> {
        self.answers.remove(&ticket)
    }

    /// Nobody wants the answer any more.
    pub(crate) fn forget(&mut self, ticket: Ticket) {
        if self.answers.remove(&ticket).is_none() {
            self.forgotten.insert(ticket);
        }
    }

    /// Asks a driver that nobody has asked for a while whether it answers.
    pub(crate) fn check(
        &mut self,
        driver: usize,
        now: Instant,
        question: impl FnOnce() -> Question,
    ) {
        let asked = &self.drivers[driver];
        if asked.open.is_empty() && now.saturating_duration_since(asked.since) >= CALM {
            let ticket = self.ask(driver, question());
            self.forget(ticket);
        }
    }

    /// Whether a driver hangs. It is not told of again before as much time has passed once more.
    pub(crate) fn stuck(&mut self, driver: usize, now: Instant) -> bool {
        let asked = &mut self.drivers[driver];
        let is_stuck =
            !asked.open.is_empty() && now.saturating_duration_since(asked.since) >= LIMIT;
        if is_stuck {
            asked.since = now;
        }
        is_stuck
    }

    /// When to look at a driver again.
    pub(crate) fn next_look(&self, driver: usize) -> Instant {
        let asked = &self.drivers[driver];
        asked.since + if asked.open.is_empty() { CALM } else { LIMIT }
    }
}

/// A driver's thread: answers what it is asked, until nobody can ask any more.
fn answer(
    index: usize,
    asked: &Receiver<(Ticket, Question)>,
    answers: &Sender<(usize, Ticket, Answer)>,
    mut rope: PipeWriter,
) {
    for (ticket, question) in asked {
        let answer = match question {
            Question::Text(path) => {
                let errno = |error: std::io::Error| Error::new(error.raw_os_error().unwrap_or(EIO));
                Answer::Text(std::fs::read_to_string(path).map_err(errno))
            }
            Question::File(path, flags) => {
                Answer::File(Fd::open(&path, flags | O_CLOEXEC, 0).map_err(Error::from))
            }
        };
        if answers.send((index, ticket, answer)).is_err() || rope.write_all(&[0]).is_err() {
            return;
        }
    }
}
