//! Joins the terminals to the scheme protocol.

use consoled::foreground::{may_give, send_signals, signal_group};
use consoled::reading::Reads;
use libredox::flag::CLOCK_MONOTONIC;
use ptyd::{End, Ptys};
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, Id, OpenResult};
use scheme::command::{Failure, no_arguments};
use scheme::events::{Events, Happened};
use scheme::{Daemon, Server, Turn, device, file_call};
use slab::Slab;
use syscall::error::{EBADF, EINTR, EINVAL, EISDIR, ENOENT, Error, Result};
use syscall::flag::{EventFlags, MODE_CHR, MODE_DIR, MODE_FILE, O_NONBLOCK, StdFsCallKind};
use syscall::schemev2::NewFdFlags;
use syscall::{Stat, StdFsCallMeta};

/// The number of the socket among what is watched.
const SOCKET: usize = 0;
const MILLISECOND_NS: u64 = 1_000_000;

/// Serves until the kernel closes the socket.
pub(crate) fn run(arguments: &[String]) -> std::result::Result<(), Failure> {
    no_arguments(arguments)?;
    let mut server =
        Server::nonblocking().map_err(|error| Failure::fatal("scheme socket", error))?;
    let mut daemon = Terminals::default();
    let root = daemon.handles.insert(Handle::Root);
    server.register("pty", root).map_err(|error| Failure::fatal("pty", error))?;
    daemon.serve(&mut server).map_err(|error| Failure::fatal("serving", error))
}

/// What belongs to a terminal, and is a file of its own.
#[derive(Clone, Copy)]
enum Aspect {
    Settings,
    Size,
    Group,
    Flush,
}

/// An open handle.
#[derive(Clone)]
enum Handle {
    /// Where paths start.
    Root,
    /// The text of `pty:list`, as it was when it was opened.
    List(String),
    /// An end of a terminal.
    End(usize, End),
    /// What belongs to a terminal that was open when this was.
    Aspect(usize, Aspect),
}

#[derive(Default)]
struct Terminals {
    ptys: Ptys,
    handles: Slab<Handle>,
    reads: Reads,
    /// Something happened that waiting requests may have waited for.
    has_changed: bool,
    /// Handles that somebody watches, and for what.
    watched: Vec<(usize, EventFlags)>,
    /// Handles to report as ready.
    ready: Vec<(usize, EventFlags)>,
}

impl Terminals {
    fn serve(&mut self, server: &mut Server) -> Result<()> {
        let events = Events::new()?;
        events.watch(server.descriptor(), SOCKET)?;
        loop {
            if let Some(deadline) = self.reads.deadline() {
                let left = deadline.saturating_sub(now());
                events.limit(left.div_ceil(MILLISECOND_NS) as usize)?;
            }
            match events.wait() {
                Ok(Happened::Ready(_)) => loop {
                    match server.turn(self)? {
                        Turn::Served => {}
                        Turn::Idle => break,
                        Turn::Closed => return Ok(()),
                    }
                },
                Ok(Happened::TimedOut) => self.has_changed = true,
                Err(Error { errno: EINTR }) => {}
                Err(error) => return Err(error),
            }
            server.settle(self);
        }
    }

    fn handle(&self, id: usize) -> Result<Handle> {
        self.handles.get(id).cloned().ok_or(Error::new(EBADF))
    }

    fn opened(&mut self, handle: Handle) -> OpenResult {
        let flags = match handle {
            Handle::Root | Handle::List(_) => NewFdFlags::POSITIONED,
            Handle::End(..) | Handle::Aspect(..) => NewFdFlags::empty(),
        };
        OpenResult::ThisScheme { number: self.handles.insert(handle), flags }
    }

    /// Sends what is to be sent, and lets waiting requests try again.
    fn changed(&mut self, number: usize) {
        if let Ok(pty) = self.ptys.get(number) {
            send_signals(&mut pty.terminal);
        }
        self.happened();
    }

    fn happened(&mut self) {
        self.has_changed = true;
        self.ready.clone_from(&self.watched);
    }

    fn readiness(&mut self, id: usize) -> Result<EventFlags> {
        let (readable, writable) = match self.handle(id)? {
            Handle::End(number, end) => self.ptys.ready(number, end)?,
            _ => (true, true),
        };
        let mut ready = EventFlags::empty();
        ready.set(EventFlags::EVENT_READ, readable);
        ready.set(EventFlags::EVENT_WRITE, writable);
        Ok(ready)
    }

    fn read_terminal(
        &mut self,
        number: usize,
        buffer: &mut [u8],
        ctx: &CallerCtx,
    ) -> Result<usize> {
        let (now, group) = (now(), self.ptys.get(number)?.terminal.group());
        let ptys = &mut self.ptys;
        self.reads.try_read(ctx, group, now, |since| ptys.read(number, buffer, since, now))
    }

    fn read_aspect(&mut self, number: usize, aspect: Aspect, buffer: &mut [u8]) -> Result<usize> {
        let terminal = &self.ptys.get(number)?.terminal;
        match aspect {
            Aspect::Settings => terminal.settings().read(buffer),
            Aspect::Size => terminal.size().read(buffer),
            Aspect::Group => terminal.read_group(buffer),
            Aspect::Flush => Ok(0),
        }
    }

    fn write_aspect(
        &mut self,
        number: usize,
        aspect: Aspect,
        bytes: &[u8],
        ctx: &CallerCtx,
    ) -> Result<usize> {
        let terminal = &mut self.ptys.get(number)?.terminal;
        let written = match aspect {
            Aspect::Settings => terminal.write_settings(bytes)?,
            Aspect::Size => terminal.write_size(bytes)?,
            Aspect::Group => {
                terminal.write_group(bytes, |group| may_give(ctx.pid, ctx.uid, group))?
            }
            Aspect::Flush => terminal.write_flush(bytes)?,
        };
        self.changed(number);
        Ok(written)
    }
}

/// Time since the machine started, in ns.
fn now() -> u64 {
    let time = libredox::call::clock_gettime(CLOCK_MONOTONIC);
    time.map_or(0, |time| time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

impl Daemon for Terminals {
    fn progress(&mut self) -> bool {
        if self.has_changed {
            self.reads.begin_anew();
        }
        std::mem::take(&mut self.has_changed)
    }

    fn cancelled(&mut self, request: Id) {
        self.reads.ended(request);
    }

    fn next_event(&mut self) -> Option<(usize, EventFlags)> {
        while let Some((id, wanted)) = self.ready.pop() {
            let flags = self.readiness(id).unwrap_or(EventFlags::empty()) & wanted;
            if !flags.is_empty() {
                return Some((id, flags));
            }
        }
        None
    }
}

impl SchemeSync for Terminals {
    fn openat(
        &mut self,
        start: usize,
        path: &str,
        _flags: usize,
        _fcntl_flags: u32,
        ctx: &CallerCtx,
    ) -> Result<OpenResult> {
        if !matches!(self.handle(start)?, Handle::Root) {
            return Err(Error::new(ENOENT));
        }
        let handle = match path.trim_matches('/') {
            "" => Handle::Root,
            "list" => Handle::List(self.ptys.list()),
            "new" => Handle::End(self.ptys.create(ctx.uid, ctx.pid)?, End::Master),
            number => {
                let number = number.parse().map_err(|_| Error::new(ENOENT))?;
                self.ptys.open(number, ctx.uid)?;
                Handle::End(number, End::Terminal)
            }
        };
        if let Handle::End(..) = handle {
            self.happened();
        }
        Ok(self.opened(handle))
    }

    fn dup(&mut self, id: usize, what: &[u8], _ctx: &CallerCtx) -> Result<OpenResult> {
        let Handle::End(number, _) = self.handle(id)? else { return Err(Error::new(EINVAL)) };
        let aspect = match what {
            b"termios" => Aspect::Settings,
            b"winsize" => Aspect::Size,
            b"pgrp" => Aspect::Group,
            b"flush" => Aspect::Flush,
            _ => return Err(Error::new(EINVAL)),
        };
        Ok(self.opened(Handle::Aspect(number, aspect)))
    }

    fn read(
        &mut self,
        id: usize,
        buffer: &mut [u8],
        offset: u64,
        flags: u32,
        ctx: &CallerCtx,
    ) -> Result<usize> {
        match self.handle(id)? {
            Handle::Root => Err(Error::new(EISDIR)),
            Handle::List(text) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
                let length = buffer.len().min(text.len() - start);
                buffer[..length].copy_from_slice(&text.as_bytes()[start..start + length]);
                Ok(length)
            }
            Handle::End(number, End::Master) => {
                let length = self.ptys.read_master(number, buffer)?;
                self.happened();
                Ok(length)
            }
            Handle::End(number, End::Terminal) => {
                let read = self.read_terminal(number, buffer, ctx);
                if flags as usize & O_NONBLOCK != 0 {
                    self.cancelled(ctx.id);
                }
                read
            }
            Handle::Aspect(number, aspect) => self.read_aspect(number, aspect, buffer),
        }
    }

    fn write(
        &mut self,
        id: usize,
        buffer: &[u8],
        _offset: u64,
        _flags: u32,
        ctx: &CallerCtx,
    ) -> Result<usize> {
        let (number, written) = match self.handle(id)? {
            Handle::End(number, End::Master) => {
                (number, self.ptys.write_master(number, buffer, now())?)
            }
            Handle::End(number, End::Terminal) => (number, self.ptys.write(number, buffer)?),
            Handle::Aspect(number, aspect) => {
                return self.write_aspect(number, aspect, buffer, ctx);
            }
            Handle::Root | Handle::List(_) => return Err(Error::new(EINVAL)),
        };
        self.changed(number);
        Ok(written)
    }

    fn fsize(&mut self, id: usize, _ctx: &CallerCtx) -> Result<u64> {
        Ok(match self.handle(id)? {
            Handle::List(text) => text.len() as u64,
            _ => 0,
        })
    }

    fn fcntl(&mut self, id: usize, _cmd: usize, _arg: usize, _ctx: &CallerCtx) -> Result<usize> {
        self.handle(id).map(|_| 0)
    }

    fn fevent(&mut self, id: usize, wanted: EventFlags, _ctx: &CallerCtx) -> Result<EventFlags> {
        let ready = self.readiness(id)?;
        self.watched.retain(|&(number, _)| number != id);
        if !wanted.is_empty() {
            self.watched.push((id, wanted));
        }
        Ok(ready & wanted)
    }

    fn fpath(&mut self, id: usize, buffer: &mut [u8], _ctx: &CallerCtx) -> Result<usize> {
        let rest = match self.handle(id)? {
            Handle::Root => String::new(),
            Handle::List(_) => "list".to_owned(),
            Handle::End(number, End::Master) => format!("master/{number}"),
            Handle::End(number, End::Terminal) | Handle::Aspect(number, _) => number.to_string(),
        };
        Ok(device::write_path("pty", &rest, buffer))
    }

    fn fstat(&mut self, id: usize, stat: &mut Stat, _ctx: &CallerCtx) -> Result<()> {
        let (st_mode, st_uid) = match self.handle(id)? {
            Handle::Root => (MODE_DIR | 0o555, 0),
            Handle::List(_) => (MODE_FILE | 0o444, 0),
            Handle::End(number, _) | Handle::Aspect(number, _) => {
                (MODE_CHR | 0o600, self.ptys.owner(number)?)
            }
        };
        *stat = Stat { st_mode, st_uid, st_nlink: 1, ..Stat::default() };
        Ok(())
    }

    fn on_close(&mut self, id: usize) {
        // The root is registered for as long as the daemon lives.
        if id == 0 {
            return;
        }
        self.watched.retain(|&(number, _)| number != id);
        if let Some(Handle::End(number, end)) = self.handles.try_remove(id) {
            if let Some(group) = self.ptys.close(number, end) {
                signal_group(group as i32, libc::SIGHUP);
                signal_group(group as i32, libc::SIGCONT);
            }
            self.happened();
        }
    }

    fn translate_std_fs_call(
        &mut self,
        ids: &[usize],
        kind: StdFsCallKind,
        payload: &mut [u8],
        metadata: StdFsCallMeta,
        ctx: &CallerCtx,
    ) -> Result<usize> {
        file_call::unpack(self, ids, kind, payload, metadata, ctx)
    }
}
