//! `proc:PID/thread/TID/trace`.

use super::{PtraceEvent, PtraceFlags, Registers};
use abi::redox::flag::{O_EXCL, O_NONBLOCK};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

/// How a session begins and ends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Start {
    /// The thread stops at once.
    pub stops: bool,
    /// The process is killed when the session ends.
    pub is_deadly: bool,
}

/// A session with one thread. Dropping it lets the thread go.
#[derive(Debug)]
pub struct Session {
    file: File,
    pid: u32,
    tid: u32,
}

impl Session {
    /// Begins a session. Reading from it never waits.
    ///
    /// # Errors
    /// When somebody has a session with it, when the caller may not, when it is gone.
    pub fn open(pid: u32, tid: u32, start: Start) -> io::Result<Self> {
        let mut flags = O_NONBLOCK;
        if start.is_deadly {
            flags |= O_EXCL;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .truncate(start.stops)
            .custom_flags(flags as i32)
            .open(format!("/scheme/proc/{pid}/thread/{tid}/trace"))?;
        Ok(Self { file, pid, tid })
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The thread.
    pub fn tid(&self) -> u32 {
        self.tid
    }

    /// Sets what it stops at and lets the thread go on.
    ///
    /// # Errors
    /// When it is gone.
    pub fn go(&self, flags: PtraceFlags) -> io::Result<()> {
        (&self.file).write_all(&flags.bits().to_ne_bytes())
    }

    /// The next event, if there is one.
    ///
    /// # Errors
    /// When the thread is gone and every event has been read.
    pub fn next(&self) -> io::Result<Option<PtraceEvent>> {
        let mut event = PtraceEvent::default();
        match (&self.file).read(&mut event) {
            Ok(_) => Ok(Some(event)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The thread's registers.
    ///
    /// # Errors
    /// When it is gone.
    pub fn registers(&self) -> io::Result<Registers> {
        Registers::open(self.pid, self.tid)
    }
}

impl AsRawFd for Session {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}
