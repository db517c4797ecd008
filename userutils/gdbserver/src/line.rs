//! The line to GDB.

use gdbstub::conn::{Connection, ConnectionExt};
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

/// Bytes read at a time.
const CHUNK: usize = 512;

/// A line that is read without waiting, or with.
pub(crate) struct Line {
    /// Reading from it waits.
    patient: File,
    /// Reading from it does not.
    hasty: File,
    received: VecDeque<u8>,
    to_send: Vec<u8>,
}

impl Line {
    pub(crate) fn open(path: &str) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let patient = options.open(path)?;
        let hasty = options.custom_flags(abi::redox::flag::O_NONBLOCK as i32).open(path)?;
        Ok(Self { patient, hasty, received: VecDeque::new(), to_send: Vec::new() })
    }

    fn take(&mut self, waits: bool) -> io::Result<()> {
        let mut bytes = [0; CHUNK];
        let file = if waits { &mut self.patient } else { &mut self.hasty };
        match file.read(&mut bytes) {
            Ok(0) if waits => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.received.extend(&bytes[..count]);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
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
        self.patient.write_all(&bytes)
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
