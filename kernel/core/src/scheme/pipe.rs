//! `pipe:` — opening makes a pipe and gives its read end; `dup(fd, "write")` gives a write end.
//! `pipe:pair` makes a two-way pipe and gives one end; `dup(fd, "peer")` gives the other. What else
//! such a pipe can do, as a socket, is in `socket.rs`.
//!
//! `pipe:fifo` makes a pipe whose ends come and go, and gives what keeps it: `dup(fd, "read")` and
//! `dup(fd, "write")` give ends, `"read-met"` and `"write-met"` only when there is one of the other kind
//! (`ENXIO`), and `"both"` one that reads and writes. When the last end goes, so do the bytes. Daemons make
//! them for the FIFOs among their files.
//!
//! A write of up to 4,096 bytes goes in whole or not at all. Reading an empty pipe parks while
//! there is a write end, and is the end of the file when there is none. Writing without a read
//! end is `EPIPE` and `SIGPIPE`.

pub(super) mod ends;
mod socket;

use super::{Opened, Position, Scheme, place};
use crate::error::*;
use crate::event::{ENDED, HANGUP};
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::UserSlice;
use crate::pipe::{ATOMIC, Ends, Pair, Pipe as Buffer};
use crate::task::{Reason, Wait};
use abi::redox::data::Stat;
use abi::redox::flag::{EventFlags, MODE_FIFO, MODE_SOCK, O_RDONLY, O_RDWR, O_WRONLY};
use abi::signal::{SI_KERNEL, SIGPIPE, SigInfo};

pub(super) struct Pipe;

/// What a number means: ends of pipes count up by twos, ends of two-way pipes do behind this.
const PAIRS: usize = 1 << 32;
/// Behind this come pipes whose ends come and go, and behind those what reads and writes such a pipe.
const FIFOS: usize = 1 << 48;
const THROUGHS: usize = 1 << 49;

/// One end.
#[derive(Clone, Copy)]
enum End {
    Read(usize),
    Write(usize),
    /// A two-way pipe's, by side.
    Both(usize, usize),
    /// None: what keeps a pipe while it has no ends.
    Fifo(usize),
    /// Both of one whose ends come and go.
    Through(usize),
}

impl End {
    fn from_number(number: usize) -> Self {
        match (number.checked_sub(PAIRS), number % 2) {
            (Some(_), _) if number >= THROUGHS => End::Through(number - THROUGHS),
            (Some(fifo), _) if number >= FIFOS => End::Fifo(fifo - (FIFOS - PAIRS)),
            (Some(pair), side) => End::Both(pair / 2, side),
            (None, 0) => End::Read(number / 2),
            (None, _) => End::Write(number / 2),
        }
    }

    fn number(self) -> usize {
        match self {
            End::Read(pipe) => pipe * 2,
            End::Write(pipe) => pipe * 2 + 1,
            End::Both(pair, side) => PAIRS + pair * 2 + side,
            End::Fifo(pipe) => FIFOS + pipe,
            End::Through(pipe) => THROUGHS + pipe,
        }
    }

    /// The pipe it reads from, and the end that writes it.
    fn source<M: Machine>(self, k: &Kernel<M>) -> Option<(usize, End)> {
        match self {
            End::Read(pipe) | End::Through(pipe) => Some((pipe, End::Write(pipe))),
            End::Write(_) | End::Fifo(_) => None,
            End::Both(pair, side) => {
                Some((k.pipes.pairs[pair].pipes[side], End::Both(pair, 1 - side)))
            }
        }
    }

    /// The pipe it writes to, and the end that reads it.
    fn sink<M: Machine>(self, k: &Kernel<M>) -> Option<(usize, End)> {
        match self {
            End::Read(_) | End::Fifo(_) => None,
            End::Write(pipe) | End::Through(pipe) => Some((pipe, End::Read(pipe))),
            End::Both(pair, side) => {
                Some((k.pipes.pairs[pair].pipes[1 - side], End::Both(pair, 1 - side)))
            }
        }
    }

    /// Counts one more descriptor.
    fn open<M: Machine>(self, k: &mut Kernel<M>) -> Outcome<Opened> {
        if let Some((pipe, _)) = self.source(k) {
            k.pipes.table[pipe].readers += 1;
        }
        if let Some((pipe, _)) = self.sink(k) {
            k.pipes.table[pipe].writers += 1;
        }
        Opened::stream(self.number())
    }

    /// The end of a pipe whose ends come and go that a `dup` asks for.
    fn of_fifo<M: Machine>(k: &mut Kernel<M>, index: usize, what: &[u8]) -> Outcome<Self> {
        let pipe = &mut k.pipes.table[index];
        match what {
            b"read-met" if pipe.writers == 0 => fail(ENXIO),
            b"write-met" if pipe.readers == 0 => fail(ENXIO),
            b"read" | b"read-met" => {
                pipe.awaits_writer = pipe.writers == 0;
                Ok(End::Read(index))
            }
            b"write" | b"write-met" => {
                pipe.awaits_writer = false;
                Ok(End::Write(index))
            }
            b"both" => {
                pipe.awaits_writer = false;
                Ok(End::Through(index))
            }
            _ => fail(EINVAL),
        }
    }
}

pub(super) fn create<M: Machine>(k: &mut Kernel<M>) -> usize {
    let pipe = Buffer::new(k.waits.create(), k.waits.create());
    k.pipes.table.insert(pipe)
}

impl<M: Machine> Scheme<M> for Pipe {
    fn name(&self) -> &'static str {
        "pipe"
    }

    fn open(&self, k: &mut Kernel<M>, caller: Caller, path: &str, _: usize) -> Outcome<Opened> {
        match path {
            "" => End::Read(create(k)).open(k),
            "fifo" => {
                let pipe = create(k);
                (k.pipes.table[pipe].is_fifo, k.pipes.table[pipe].is_kept) = (true, true);
                End::Fifo(pipe).open(k)
            }
            "pair" => {
                let pipes = [create(k), create(k)];
                let ids = [ends::ids_of(k, caller); 2];
                let pair = Pair { pipes, ends: Ends { ids, ..Ends::default() } };
                End::Both(k.pipes.pairs.insert(pair), 0).open(k)
            }
            _ => fail(ENOENT),
        }
    }

    fn dup(&self, k: &mut Kernel<M>, _: Caller, number: usize, what: &[u8]) -> Outcome<Opened> {
        match (End::from_number(number), what) {
            (End::Read(pipe), b"write") if !k.pipes.table[pipe].is_fifo => End::Write(pipe).open(k),
            (End::Both(pair, side), b"peer") => End::Both(pair, 1 - side).open(k),
            (End::Fifo(pipe), what) => End::of_fifo(k, pipe, what)?.open(k),
            _ => fail(EINVAL),
        }
    }

    fn access(&self, number: usize) -> usize {
        match End::from_number(number) {
            End::Read(_) => O_RDONLY,
            End::Write(_) => O_WRONLY,
            End::Both(..) | End::Fifo(_) | End::Through(_) => O_RDWR,
        }
    }

    fn read(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        into: UserSlice,
        at: Position,
    ) -> Outcome {
        let (index, writer) = End::from_number(number).source(k).ok_or(Errno(EBADF))?;
        let pipe = &k.pipes.table[index];
        if pipe.length == 0 && into.length > 0 {
            return match (pipe.has_ended(), at.is_nonblocking) {
                (true, _) => Ok(0),
                (_, true) => fail(EAGAIN),
                (_, false) => Err(Stop::Park(Wait::on(Reason::Readable, pipe.readable))),
            };
        }
        let count = pipe.length.min(into.length);
        copy_out(k, caller, index, into, count)?;
        if k.pipes.table[index].has_files() {
            socket::drop_files(k, index, count);
        }
        let pipe = &mut k.pipes.table[index];
        pipe.consume(count);
        let writable = pipe.writable;
        k.wake_all(writable);
        tell(k, index, writer, EventFlags::EVENT_WRITE);
        Ok(count)
    }

    fn write(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        from: UserSlice,
        at: Position,
    ) -> Outcome {
        let (index, reader) = End::from_number(number).sink(k).ok_or(Errno(EBADF))?;
        let pipe = &mut k.pipes.table[index];
        if pipe.is_broken() {
            return broken(k, caller);
        }
        if from.length == 0 {
            return Ok(0);
        }
        let least = if from.length <= ATOMIC { from.length } else { 1 };
        if pipe.room() < least {
            return match at.is_nonblocking {
                true => fail(EAGAIN),
                false => Err(Stop::Park(Wait::on(Reason::Writable, pipe.writable))),
            };
        }
        let count = from.length.min(pipe.room());
        copy_in(k, caller, index, from, count)?;
        let pipe = &mut k.pipes.table[index];
        pipe.produce(count);
        let readable = pipe.readable;
        k.wake_all(readable);
        tell(k, index, reader, EventFlags::EVENT_READ);
        Ok(count)
    }

    fn call(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        payload: UserSlice,
        words: &[usize],
    ) -> Outcome {
        match End::from_number(number) {
            End::Both(pair, side) => socket::call(k, caller, (pair, side), payload, words),
            _ => fail(EOPNOTSUPP),
        }
    }

    fn close(&self, k: &mut Kernel<M>, number: usize) {
        let end = End::from_number(number);
        let (source, sink) = (end.source(k), end.sink(k));
        if let Some((pipe, writer)) = source {
            k.pipes.table[pipe].readers -= 1;
            closed(k, pipe, end, writer);
        }
        if let Some((pipe, reader)) = sink {
            k.pipes.table[pipe].writers -= 1;
            closed(k, pipe, reader, end);
        }
        match end {
            // Each end is in both pipes, so they go together.
            End::Both(pair, side) if !k.pipes.table.contains(k.pipes.pairs[pair].pipes[side]) => {
                k.pipes.pairs.remove(pair);
            }
            End::Fifo(pipe) => {
                k.pipes.table[pipe].is_kept = false;
                remove_unused(k, pipe);
            }
            _ => {}
        }
    }

    fn ready(&self, k: &mut Kernel<M>, number: usize) -> EventFlags {
        let end = End::from_number(number);
        let mut flags = EventFlags::empty();
        if let Some((pipe, _)) = end.source(k) {
            let pipe = &k.pipes.table[pipe];
            let has_ended = pipe.has_ended() && !pipe.awaits_writer;
            flags.set(EventFlags::EVENT_READ, pipe.length > 0 || has_ended);
            flags.set(ENDED, has_ended);
            flags.set(HANGUP, pipe.writers == 0 && !pipe.awaits_writer);
        }
        if let Some((pipe, _)) = end.sink(k) {
            let pipe = &k.pipes.table[pipe];
            flags.set(EventFlags::EVENT_WRITE, pipe.room() >= ATOMIC || pipe.is_broken());
            let is_shut = pipe.is_broken() && flags.contains(ENDED);
            flags.set(HANGUP, flags.contains(HANGUP) || pipe.readers == 0 || is_shut);
        }
        flags
    }

    fn stat(&self, k: &mut Kernel<M>, number: usize) -> Outcome<Stat> {
        let end = End::from_number(number);
        if let End::Fifo(pipe) = end {
            let pipe = &k.pipes.table[pipe];
            let (links, waiting) = (1 + (pipe.readers + pipe.writers) as u32, pipe.length as u64);
            let mode = MODE_FIFO | 0o600;
            return Ok(Stat {
                st_mode: mode,
                st_nlink: links,
                st_size: waiting,
                ..Stat::default()
            });
        }
        let pipe = end.source(k).or_else(|| end.sink(k));
        let waiting = pipe.map_or(0, |(pipe, _)| k.pipes.table[pipe].length as u64);
        let kind = if matches!(end, End::Both(..)) { MODE_SOCK } else { MODE_FIFO };
        Ok(Stat { st_mode: kind | 0o600, st_size: waiting, ..Stat::default() })
    }
}

/// Tells those who watch an end of a pipe, and those who watch both.
#[inline(always)]
fn tell<M: Machine>(k: &mut Kernel<M>, index: usize, end: End, flags: EventFlags) {
    k.raise((place::PIPE, end.number()), flags);
    if k.pipes.table[index].is_fifo {
        k.raise((place::PIPE, End::Through(index).number()), flags);
    }
}

/// After one end of a pipe has gone: the other side learns it, or the pipe goes too.
fn closed<M: Machine>(k: &mut Kernel<M>, index: usize, reader: End, writer: End) {
    let pipe = &k.pipes.table[index];
    let (readers, writers) = (pipe.readers, pipe.writers);
    let (readable, writable) = (pipe.readable, pipe.writable);
    // Also those who wait at the end that was closed: their descriptor is gone.
    k.wake_all(readable);
    k.wake_all(writable);
    if writers == 0 {
        tell(k, index, reader, EventFlags::EVENT_READ | ENDED | HANGUP);
    }
    if readers == 0 {
        tell(k, index, writer, EventFlags::EVENT_WRITE | HANGUP);
    }
    if readers == 0 && k.pipes.table[index].has_files() {
        socket::drop_files(k, index, usize::MAX);
    }
    remove_unused(k, index);
}

/// Removes a pipe without ends, or empties one that is kept for the next.
fn remove_unused<M: Machine>(k: &mut Kernel<M>, index: usize) {
    let pipe = &mut k.pipes.table[index];
    if pipe.readers > 0 || pipe.writers > 0 {
        return;
    }
    if pipe.is_kept {
        pipe.clear();
        return;
    }
    let (readable, writable) = (pipe.readable, pipe.writable);
    k.pipes.table.remove(index);
    k.end_queue(readable);
    k.end_queue(writable);
}

/// Copies the next `count` bytes of a pipe to the caller, and leaves them in.
#[inline(always)]
pub(super) fn copy_out<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    index: usize,
    into: UserSlice,
    count: usize,
) -> Outcome<()> {
    let mut done = 0;
    while done < count {
        let (to, room) = k.writable_at(caller.space, into.part(done, count - done))?;
        let piece = k.pipes.table[index].filled(done, room);
        k.machine.write(to, piece);
        done += piece.len();
    }
    Ok(())
}

/// Copies `count` of the caller's bytes behind those of a pipe that has room; they are not in yet.
#[inline(always)]
pub(super) fn copy_in<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    index: usize,
    from: UserSlice,
    count: usize,
) -> Outcome<()> {
    k.pipes.table[index].reserve(count);
    let mut done = 0;
    while done < count {
        let (bytes, room) = k.readable_at(caller.space, from.part(done, count - done))?;
        let piece = k.pipes.table[index].free(done, room);
        k.machine.read(bytes, piece);
        done += piece.len();
    }
    Ok(())
}

pub(super) fn broken<M: Machine>(k: &mut Kernel<M>, caller: Caller) -> Outcome {
    let info = SigInfo { signo: SIGPIPE as i32, code: SI_KERNEL, ..SigInfo::default() };
    k.signal_task(caller.task, info);
    fail(EPIPE)
}
