//! The terminal as programs see it: reading, writing, settings, window size, foreground group.

use redox_termios::{ICANON, VMIN, VTIME};
use syscall::error::{Error, Result};

use crate::line::{Line, Signal};
use crate::settings::{Settings, WindowSize, read_number, write_number};

/// Nanoseconds in the unit of `VTIME`.
const TENTH_NS: u64 = 100_000_000;

/// Most bytes that one write takes, so that a long one does not keep Ctrl-C waiting.
pub const WRITE_MAX: usize = 4096;

/// What comes of trying to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// This many bytes.
    Done(usize),
    /// Not yet: try again when something was typed, and at this time (ns) at the latest.
    Wait(Option<u64>),
}

/// A terminal.
#[derive(Clone, Debug)]
pub struct Terminal {
    line: Line,
    size: WindowSize,
    /// The processes that signals go to; 0 for none.
    group: u32,
    /// When the last byte was typed, in ns.
    typed: u64,
    resized: bool,
}

impl Terminal {
    /// A terminal in its usual mode: lines, echo, signals.
    pub fn new(size: WindowSize) -> Self {
        Self { line: Line::default(), size, group: 0, typed: 0, resized: false }
    }

    /// Bytes from the keyboard, at this time (ns).
    pub fn input(&mut self, bytes: &[u8], now: u64) {
        for &byte in bytes {
            self.line.feed(byte);
        }
        if !bytes.is_empty() {
            self.typed = now;
        }
    }

    /// Output of a program; how many bytes were taken. None while the screen is stopped.
    pub fn write(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.line.is_stopped() {
            return None;
        }
        let length = bytes.len().min(WRITE_MAX);
        self.line.print(&bytes[..length]);
        Some(length)
    }

    /// Tries to read. `since` is when this read was first tried, in ns.
    pub fn read(&mut self, buffer: &mut [u8], since: u64, now: u64) -> Read {
        if buffer.is_empty() {
            return Read::Done(0);
        }
        if self.line.settings().local(ICANON) {
            return self.line.queue().take_line(buffer).map_or(Read::Wait(None), Read::Done);
        }
        match self.wait(buffer.len(), since) {
            None => Read::Done(self.line.queue().take_bytes(buffer)),
            Some(Some(until)) if until <= now => Read::Done(self.line.queue().take_bytes(buffer)),
            Some(until) => Read::Wait(until),
        }
    }

    /// Without `ICANON`: whether a read of this length has to wait, and until when at most.
    fn wait(&mut self, length: usize, since: u64) -> Option<Option<u64>> {
        let characters = &self.line.settings().termios.c_cc;
        let least = usize::from(characters[VMIN]);
        let time = u64::from(characters[VTIME]) * TENTH_NS;
        let have = self.line.queue().len();
        match (least, time) {
            (0, 0) => None,
            (0, _) if have > 0 => None,
            (0, _) => Some(Some(since.saturating_add(time))),
            _ if have >= least.min(length) => None,
            (_, 0) => Some(None),
            // The clock starts with the first byte.
            _ if have == 0 => Some(None),
            _ => Some(Some(self.typed.max(since).saturating_add(time))),
        }
    }

    /// Whether a read would find something.
    pub fn is_readable(&mut self) -> bool {
        if self.line.settings().local(ICANON) {
            return self.line.queue().has_line();
        }
        let least = usize::from(self.line.settings().termios.c_cc[VMIN]).max(1);
        self.line.queue().len() >= least
    }

    /// Whether a write would be taken.
    pub fn is_writable(&self) -> bool {
        !self.line.is_stopped()
    }

    /// Takes the bytes for the screen.
    pub fn take_output(&mut self) -> Vec<u8> {
        self.line.take_output()
    }

    /// Takes the signals of control characters.
    pub fn take_signals(&mut self) -> Vec<Signal> {
        self.line.take_signals()
    }

    /// Whether the window changed its size since the last question.
    pub fn take_resized(&mut self) -> bool {
        std::mem::take(&mut self.resized)
    }

    /// The foreground group, if there is one.
    pub fn group(&self) -> Option<u32> {
        Some(self.group).filter(|&group| group > 0)
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        self.line.settings()
    }

    /// Puts settings in force, as `tcsetattr` with `TCSANOW`.
    pub fn write_settings(&mut self, bytes: &[u8]) -> Result<usize> {
        let settings = self.line.settings().write(bytes)?;
        self.line.set(settings);
        Ok(bytes.len())
    }

    /// The window size.
    pub fn size(&self) -> &WindowSize {
        &self.size
    }

    /// Sets the window size.
    pub fn write_size(&mut self, bytes: &[u8]) -> Result<usize> {
        let size = self.size.write(bytes)?;
        self.resized |= size != self.size;
        self.size = size;
        Ok(bytes.len())
    }

    /// The foreground group as bytes.
    pub fn read_group(&self, buffer: &mut [u8]) -> Result<usize> {
        read_number(self.group, buffer)
    }

    /// Sets the foreground group, if `may_have` does not refuse it.
    pub fn write_group(
        &mut self,
        bytes: &[u8],
        may_have: impl FnOnce(u32) -> Result<()>,
    ) -> Result<usize> {
        let group = write_number(bytes)?;
        may_have(group)?;
        self.group = group;
        Ok(bytes.len())
    }

    /// Discards unread input (0), unsent output (1) or both (2), as `tcflush` numbers them. Output
    /// never waits here, so there is none to discard.
    pub fn write_flush(&mut self, bytes: &[u8]) -> Result<usize> {
        match write_number(bytes)? {
            0 | 2 => self.line.discard(),
            1 => {}
            _ => return Err(Error::new(syscall::error::EINVAL)),
        }
        Ok(bytes.len())
    }
}
