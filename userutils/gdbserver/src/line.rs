//! The line to GDB. Packets pass through the [`Book`] on their way.

use crate::packets::{Book, find, framed};
use gdbstub::conn::{Connection, ConnectionExt};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::rc::Rc;

/// Bytes read at a time.
const CHUNK: usize = 512;

/// A line that is read without waiting, or with.
pub(crate) struct Line {
    /// Reading from it waits.
    patient: File,
    /// Reading from it does not.
    hasty: File,
    book: Rc<RefCell<Book>>,
    /// What may still be a part of a packet.
    raw: Vec<u8>,
    received: VecDeque<u8>,
    to_send: Vec<u8>,
}

impl Line {
    pub(crate) fn open(path: &str, book: Rc<RefCell<Book>>) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let patient = options.open(path)?;
        let hasty = options.custom_flags(abi::redox::flag::O_NONBLOCK as i32).open(path)?;
        let (raw, received, to_send) = (Vec::new(), VecDeque::new(), Vec::new());
        Ok(Self { patient, hasty, book, raw, received, to_send })
    }

    fn take(&mut self, waits: bool) -> io::Result<()> {
        let mut bytes = [0; CHUNK];
        let file = if waits { &mut self.patient } else { &mut self.hasty };
        match file.read(&mut bytes) {
            Ok(0) if waits => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.raw.extend_from_slice(&bytes[..count]);
                self.digest()
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Hands on what has come, packets only as a whole.
    fn digest(&mut self) -> io::Result<()> {
        while let Some((start, packet, end)) = find(&self.raw) {
            self.received.extend(&self.raw[..start]);
            let is_whole = framed(packet) == self.raw[start..end];
            if is_whole && self.book.borrow().ends_all(packet) {
                self.patient.write_all(&[b"+", &framed(b"OK")[..]].concat())?;
            }
            let handed_on = match is_whole {
                true => framed(&self.book.borrow_mut().incoming(packet)),
                false => self.raw[start..end].to_vec(),
            };
            self.received.extend(handed_on);
            self.raw.drain(..end);
        }
        let unframed = self.raw.iter().position(|byte| *byte == b'$').unwrap_or(self.raw.len());
        self.received.extend(self.raw.drain(..unframed));
        Ok(())
    }
}

impl AsRawFd for Line {
    fn as_raw_fd(&self) -> RawFd {
        self.hasty.as_raw_fd()
    }
}

impl Connection for Line {
    type Error = io::Error;

    fn write(&mut self, byte: u8) -> io::Result<()> {
        self.to_send.push(byte);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let bytes = std::mem::take(&mut self.to_send);
        let Some((start, packet, end)) = find(&bytes) else {
            return self.patient.write_all(&bytes);
        };
        let packet = framed(&self.book.borrow_mut().outgoing(packet));
        self.patient.write_all(&[&bytes[..start], &packet, &bytes[end..]].concat())
    }
}

impl ConnectionExt for Line {
    fn read(&mut self) -> io::Result<u8> {
        loop {
            if let Some(byte) = self.received.pop_front() {
                return Ok(byte);
            }
            self.take(true)?;
        }
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.received.is_empty() {
            self.take(false)?;
        }
        Ok(self.received.front().copied())
    }
}
