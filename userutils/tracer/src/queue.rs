//! `event:` — waiting for many sessions at once.

use abi::redox::data::Event;
use abi::redox::flag::EventFlags;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;

/// A queue of descriptors that have something to read.
#[derive(Debug)]
pub struct Queue(File);

impl Queue {
    /// An empty one.
    ///
    /// # Errors
    /// When there is no room for one more.
    pub fn new() -> io::Result<Self> {
        OpenOptions::new().read(true).write(true).open("/scheme/event").map(Self)
    }

    /// Watches a descriptor, which is told as `name`.
    ///
    /// # Errors
    /// When it cannot be watched.
    pub fn watch(&self, file: &impl AsRawFd, name: usize) -> io::Result<()> {
        let event =
            Event { id: file.as_raw_fd() as usize, flags: EventFlags::EVENT_READ, data: name };
        (&self.0).write_all(&event)
    }

    /// Waits for a descriptor to have something and returns its name.
    ///
    /// # Errors
    /// When a signal comes first.
    pub fn next(&self) -> io::Result<usize> {
        let mut event = Event::default();
        match (&self.0).read(&mut event) {
            Ok(count) if count == size_of::<Event>() => Ok(event.data),
            Ok(_) => Err(ErrorKind::UnexpectedEof.into()),
            Err(error) => Err(error),
        }
    }
}
