//! `pty:` — terminals without a device: what a keyboard and a screen would be is a program.
//!
//! The program has the *master*: it reads what would be on the screen and writes what would be typed.
//! Others open the *terminal*, which is the console's own state machine ([`consoled::Terminal`]), line
//! editing, echo and signals included. This keeps who has which end open, and what waits for the
//! master. It does no I/O and reads no clock.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;

use consoled::Terminal;
use consoled::settings::WindowSize;
use consoled::terminal::Read;
use syscall::error::{EACCES, EAGAIN, EBADF, EIO, ENXIO, EWOULDBLOCK, Error, Result};

/// Bytes that wait for a master at most; then writers wait.
pub const OUTPUT_MAX: usize = 65_536;
/// Most bytes that one write to a master takes.
const TYPED_MAX: usize = 4096;
/// Most terminals.
const PTYS_MAX: usize = 256;
/// The window's size until somebody sets it.
const SIZE: WindowSize = WindowSize::new(80, 24);

/// An end of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where the screen and the keyboard would be.
    Master,
    /// Where programs are.
    Terminal,
}

/// One terminal.
pub struct Pty {
    /// Its state.
    pub terminal: Terminal,
    output: VecDeque<u8>,
    has_master: bool,
    /// How many have the terminal open.
    open: usize,
    was_open: bool,
    uid: u32,
    pid: usize,
}

impl Pty {
    /// Takes what is for the screen over to what waits for the master. Writers ask for room first; what
    /// is typed does not, and is not shown while there is none.
    fn collect(&mut self) {
        let output = self.terminal.take_output();
        if self.has_master && self.output.len() < OUTPUT_MAX {
            self.output.extend(output);
        }
    }

    /// Nobody has the terminal open any more.
    fn is_left(&self) -> bool {
        self.was_open && self.open == 0
    }
}

/// All terminals.
#[derive(Default)]
pub struct Ptys {
    ptys: BTreeMap<usize, Pty>,
    /// The number of the next one. None is given out twice: somebody may remember it.
    next: usize,
}

fn error<T>(errno: i32) -> Result<T> {
    Err(Error::new(errno))
}

impl Ptys {
    /// A new terminal, with its master.
    ///
    /// # Errors
    /// `EAGAIN` when there are too many.
    pub fn create(&mut self, uid: u32, pid: usize) -> Result<usize> {
        if self.ptys.len() >= PTYS_MAX {
            return error(EAGAIN);
        }
        let pty = Pty {
            terminal: Terminal::new(SIZE),
            output: VecDeque::new(),
            has_master: true,
            open: 0,
            was_open: false,
            uid,
            pid,
        };
        let number = self.next;
        self.next += 1;
        self.ptys.insert(number, pty);
        Ok(number)
    }

    /// A terminal that somebody has an end of.
    ///
    /// # Errors
    /// `EBADF`
    pub fn get(&mut self, number: usize) -> Result<&mut Pty> {
        self.ptys.get_mut(&number).ok_or(Error::new(EBADF))
    }

    /// Opens the terminal with a number.
    ///
    /// # Errors
    /// `ENXIO` when there is none, `EIO` when its master is gone, `EACCES` when it is another user's.
    pub fn open(&mut self, number: usize, uid: u32) -> Result<()> {
        let pty = self.ptys.get_mut(&number).ok_or(Error::new(ENXIO))?;
        if !pty.has_master {
            return error(EIO);
        }
        if uid != 0 && uid != pty.uid {
            return error(EACCES);
        }
        pty.open += 1;
        pty.was_open = true;
        Ok(())
    }

    /// An end is closed. Returns the group that has lost its terminal.
    pub fn close(&mut self, number: usize, end: End) -> Option<u32> {
        let pty = self.ptys.get_mut(&number)?;
        let mut hung_up = None;
        match end {
            End::Master => {
                pty.has_master = false;
                pty.output.clear();
                hung_up = pty.terminal.group();
            }
            End::Terminal => pty.open -= 1,
        }
        if !pty.has_master && pty.open == 0 {
            self.ptys.remove(&number);
        }
        hung_up
    }

    /// The master reads what is on the screen.
    ///
    /// # Errors
    /// `EWOULDBLOCK` while there is nothing, `EIO` when there will be nothing: nobody has the terminal
    /// open any more.
    pub fn read_master(&mut self, number: usize, buffer: &mut [u8]) -> Result<usize> {
        let pty = self.get(number)?;
        if pty.output.is_empty() && !buffer.is_empty() {
            return error(if pty.is_left() { EIO } else { EWOULDBLOCK });
        }
        let length = buffer.len().min(pty.output.len());
        for (place, byte) in buffer.iter_mut().zip(pty.output.drain(..length)) {
            *place = byte;
        }
        Ok(length)
    }

    /// The master types, at this time (ns).
    ///
    /// # Errors
    /// `EBADF`
    pub fn write_master(&mut self, number: usize, bytes: &[u8], now: u64) -> Result<usize> {
        let pty = self.get(number)?;
        let length = bytes.len().min(TYPED_MAX);
        pty.terminal.input(&bytes[..length], now);
        pty.collect();
        Ok(length)
    }

    /// A program reads, since one time and at another (ns). It finds the end when the master is gone.
    ///
    /// # Errors
    /// `EBADF`
    pub fn read(&mut self, number: usize, buffer: &mut [u8], since: u64, now: u64) -> Result<Read> {
        let pty = self.get(number)?;
        match pty.terminal.read(buffer, since, now) {
            Read::Wait(_) if !pty.has_master => Ok(Read::Done(0)),
            read => Ok(read),
        }
    }

    /// A program writes.
    ///
    /// # Errors
    /// `EIO` when the master is gone, `EWOULDBLOCK` while the screen is stopped or nobody looks.
    pub fn write(&mut self, number: usize, bytes: &[u8]) -> Result<usize> {
        let pty = self.get(number)?;
        if !pty.has_master {
            return error(EIO);
        }
        if pty.output.len() >= OUTPUT_MAX {
            return error(EWOULDBLOCK);
        }
        let taken = pty.terminal.write(bytes).ok_or(Error::new(EWOULDBLOCK))?;
        pty.collect();
        Ok(taken)
    }

    /// Whether an end can be read, and written, without waiting.
    ///
    /// # Errors
    /// `EBADF`
    pub fn ready(&mut self, number: usize, end: End) -> Result<(bool, bool)> {
        let pty = self.get(number)?;
        Ok(match end {
            End::Master => (!pty.output.is_empty() || pty.is_left(), true),
            End::Terminal => {
                let may_write = pty.terminal.is_writable() && pty.output.len() < OUTPUT_MAX;
                (pty.terminal.is_readable() || !pty.has_master, may_write || !pty.has_master)
            }
        })
    }

    /// Whose a terminal is.
    ///
    /// # Errors
    /// `EBADF`
    pub fn owner(&mut self, number: usize) -> Result<u32> {
        Ok(self.get(number)?.uid)
    }

    /// What `pty:list` shows: a line for each terminal.
    pub fn list(&self) -> String {
        let mut text = String::new();
        for (number, pty) in &self.ptys {
            let size = pty.terminal.size();
            let group = pty.terminal.group().map_or_else(|| "-".to_owned(), |id| id.to_string());
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "{number:3}  {:3}x{:<3}  open {:2}  group {group:>5}  made by pid {:5} of user {}",
                size.columns, size.rows, pty.open, pty.pid, pty.uid
            );
        }
        text
    }
}

#[cfg(test)]
mod tests;
