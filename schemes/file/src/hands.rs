//! Threads that read and write records while the daemon does something else.
//!
//! A disk works best with several requests at once, and so do several CPUs: while one copies a
//! record from the driver, the checksum of another is taken and a third goes to the client. Each hand
//! has one request at a time. In which order they are done is nobody's business: what is under way
//! never overlaps ([`Hands::is_writing`]), and a flush comes only after all of it
//! ([`Hands::settle`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use syscall::error::{EIO, Error, Result};

use crate::record::{LENGTH, Record, Sealed, joined, joined_mut};
use crate::store::Backing;

/// Runs of records that wait to be written at most.
const WRITES: usize = 8;

/// Names what a hand was told to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

enum Job {
    Read(Ticket, u64, Vec<Record>),
    Write(Ticket, u64, Vec<Record>),
}

struct Done {
    ticket: Ticket,
    /// What was read.
    outcome: Result<Vec<Sealed>>,
}

/// Some threads, and what they have to do.
pub struct Hands {
    jobs: Sender<Job>,
    done: Receiver<Done>,
    next: u64,
    reading: BTreeSet<Ticket>,
    read: BTreeMap<Ticket, Result<Vec<Sealed>>>,
    /// Where records are being written: from where to where.
    writing: BTreeMap<Ticket, (u64, u64)>,
    has_failed: bool,
}

impl Hands {
    /// As many hands as there are ways to the same disk.
    pub fn new<B: Backing + Send + 'static>(ways: Vec<B>) -> Self {
        let (jobs, todo) = channel();
        let (tell, done) = channel();
        let todo = Arc::new(Mutex::new(todo));
        for way in ways {
            let (todo, tell) = (Arc::clone(&todo), tell.clone());
            thread::spawn(move || work(way, &todo, &tell));
        }
        Self {
            jobs,
            done,
            next: 0,
            reading: BTreeSet::new(),
            read: BTreeMap::new(),
            writing: BTreeMap::new(),
            has_failed: false,
        }
    }

    fn ticket(&mut self) -> Ticket {
        self.next += 1;
        Ticket(self.next)
    }

    /// Begins to read records, which lie one behind the other, from an offset on, where nothing is
    /// being written.
    pub fn begin_read(&mut self, offset: u64, into: Vec<Record>) -> Ticket {
        let ticket = self.ticket();
        match self.jobs.send(Job::Read(ticket, offset, into)) {
            Ok(()) => drop(self.reading.insert(ticket)),
            Err(_) => drop(self.read.insert(ticket, Err(Error::new(EIO)))),
        }
        ticket
    }

    /// What was read, as soon as it is there.
    pub fn finish_read(&mut self, ticket: Ticket) -> Result<Vec<Sealed>> {
        loop {
            if let Some(read) = self.read.remove(&ticket) {
                return read;
            }
            self.hear()?;
        }
    }

    /// Nobody wants that any more.
    pub fn forget(&mut self, ticket: Ticket) {
        self.reading.remove(&ticket);
        self.read.remove(&ticket);
    }

    /// Has records written, which lie one behind the other, at an offset, where nothing is being
    /// written. Whether that goes well shows when it [settles](Self::settle).
    pub fn write(&mut self, offset: u64, records: Vec<Record>) -> Result<()> {
        while self.writing.len() >= WRITES {
            self.hear()?;
        }
        let ticket = self.ticket();
        self.writing.insert(ticket, (offset, offset + (records.len() * LENGTH) as u64));
        self.jobs.send(Job::Write(ticket, offset, records)).map_err(|_| Error::new(EIO))
    }

    /// Whether a record is being written somewhere in these bytes.
    pub fn is_writing(&self, offset: u64, length: usize) -> bool {
        let end = offset + length as u64;
        self.writing.values().any(|(from, to)| *from < end && offset < *to)
    }

    /// Returns when everything is written; with an error, if something was not that should have
    /// been since the last time.
    pub fn settle(&mut self) -> Result<()> {
        while !self.writing.is_empty() {
            self.hear()?;
        }
        if std::mem::take(&mut self.has_failed) { Err(Error::new(EIO)) } else { Ok(()) }
    }

    /// Waits until something is done.
    fn hear(&mut self) -> Result<()> {
        let Done { ticket, outcome } = self.done.recv().map_err(|_| Error::new(EIO))?;
        if self.writing.remove(&ticket).is_some() {
            self.has_failed |= outcome.is_err();
        } else if self.reading.remove(&ticket) {
            self.read.insert(ticket, outcome);
        }
        Ok(())
    }
}

/// A hand: it ends when nobody can tell it anything any more.
fn work(mut way: impl Backing, todo: &Mutex<Receiver<Job>>, tell: &Sender<Done>) {
    loop {
        let job = todo.lock().map(|todo| todo.recv());
        let (ticket, outcome) = match job {
            Ok(Ok(Job::Read(ticket, offset, mut records))) => {
                let read = way.read(offset, joined_mut(&mut records));
                (ticket, read.map(|()| records.into_iter().map(Sealed::new).collect()))
            }
            Ok(Ok(Job::Write(ticket, offset, records))) => {
                (ticket, way.write(offset, joined(&records)).map(|()| Vec::new()))
            }
            _ => return,
        };
        if tell.send(Done { ticket, outcome }).is_err() {
            return;
        }
    }
}
