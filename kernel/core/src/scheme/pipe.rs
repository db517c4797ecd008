//! `pipe:` — opening makes a pipe and gives its read end; `dup(fd, "write")` gives a write end.
//! `pipe:pair` — opening makes two crossed pipes and gives one end of both, which reads the one and
//! writes the other; `dup(fd, "other")`, once, gives the other end.
//!
//! A write of up to 4,096 bytes goes in whole or not at all. Reading an empty pipe parks while
//! there is a write end, and is the end of the file when there is none. Writing without a read
//! end is `EPIPE` and `SIGPIPE`.

use super::{Opened, Position, Scheme, place};
use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::UserSlice;
use crate::pipe::{ATOMIC, Pipe as Buffer};
use crate::task::{Reason, Wait};
use abi::redox::data::Stat;
use abi::redox::flag::{EventFlags, MODE_FIFO, MODE_SOCK};
use abi::signal::{SI_KERNEL, SIGPIPE, SigInfo};

pub(super) struct Pipe;

/// What a file of this scheme is. Its number is that of a pipe and, in the low bits, the kind.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Reads this pipe.
    Read(usize),
    /// Writes this pipe.
    Write(usize),
    /// Reads this pipe and writes its twin.
    Both(usize),
}

impl End {
    fn from_number(number: usize) -> Self {
        match (number >> 2, number & 3) {
            (pipe, 0) => End::Read(pipe),
            (pipe, 1) => End::Write(pipe),
            (pipe, _) => End::Both(pipe),
        }
    }

    fn number(self) -> usize {
        match self {
            End::Read(pipe) => pipe << 2,
            End::Write(pipe) => pipe << 2 | 1,
            End::Both(pipe) => pipe << 2 | 2,
        }
    }

    /// The pipe it reads.
    fn reads(self) -> Option<usize> {
        match self {
            End::Read(pipe) | End::Both(pipe) => Some(pipe),
            End::Write(_) => None,
        }
    }

    /// The pipe it writes.
    fn writes<M: Machine>(self, k: &Kernel<M>) -> Option<usize> {
        match self {
            End::Read(_) => None,
            End::Write(pipe) => Some(pipe),
            End::Both(pipe) => k.pipes.table[pipe].twin,
        }
    }
}

/// Tells those who wait for `pipe` to have something to read, or nothing any more.
fn wake_readers<M: Machine>(k: &mut Kernel<M>, pipe: usize) {
    let end = if k.pipes.table[pipe].twin.is_some() { End::Both(pipe) } else { End::Read(pipe) };
    let readable = k.pipes.table[pipe].readable;
    k.wake_all(readable);
    k.raise((place::PIPE, end.number()), EventFlags::EVENT_READ);
}

/// Tells those who wait for `pipe` to have room, or no reader any more.
fn wake_writers<M: Machine>(k: &mut Kernel<M>, pipe: usize) {
    let end = match k.pipes.table[pipe].twin {
        Some(twin) => End::Both(twin),
        None => End::Write(pipe),
    };
    let writable = k.pipes.table[pipe].writable;
    k.wake_all(writable);
    k.raise((place::PIPE, end.number()), EventFlags::EVENT_WRITE);
}

/// Makes a pipe with one read end; returns its number.
fn create<M: Machine>(k: &mut Kernel<M>) -> usize {
    let pipe = Buffer::new(k.waits.create(), k.waits.create());
    k.pipes.table.insert(pipe)
}

/// Makes a pair, whose first end reads the pipe it returns; the other end is not open yet.
fn create_pair<M: Machine>(k: &mut Kernel<M>) -> usize {
    let (one, two) = (create(k), create(k));
    let [first, second] = k.pipes.table.get_disjoint_mut([one, two]).expect("both are new");
    (first.twin, second.twin) = (Some(two), Some(one));
    (second.readers, second.writers) = (0, 1);
    one
}

impl<M: Machine> Scheme<M> for Pipe {
    fn name(&self) -> &'static str {
        "pipe"
    }

    fn open(&self, k: &mut Kernel<M>, _: Caller, path: &str, _: usize) -> Outcome<Opened> {
        match path {
            "" => Opened::stream(End::Read(create(k)).number()),
            "pair" => Opened::stream(End::Both(create_pair(k)).number()),
            _ => fail(ENOENT),
        }
    }

    fn dup(&self, k: &mut Kernel<M>, _: Caller, number: usize, what: &[u8]) -> Outcome<Opened> {
        let end = End::from_number(number);
        match (end, what, end.writes(k)) {
            (End::Read(pipe), b"write", _) => {
                k.pipes.table[pipe].writers += 1;
                Opened::stream(End::Write(pipe).number())
            }
            (End::Both(pipe), b"other", Some(twin)) if k.pipes.table[twin].readers == 0 => {
                k.pipes.table[twin].readers = 1;
                k.pipes.table[pipe].writers = 1;
                Opened::stream(End::Both(twin).number())
            }
            _ => fail(EINVAL),
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
        let Some(index) = End::from_number(number).reads() else { return fail(EBADF) };
        let pipe = &k.pipes.table[index];
        if pipe.length == 0 && into.length > 0 {
            return match (pipe.writers, at.is_nonblocking) {
                (0, _) => Ok(0),
                (_, true) => fail(EAGAIN),
                (_, false) => Err(Stop::Park(Wait::on(Reason::Readable, pipe.readable))),
            };
        }
        let count = pipe.length.min(into.length);
        let mut done = 0;
        while done < count {
            let (to, room) = k.writable_at(caller.space, into.part(done, count - done))?;
            let piece = k.pipes.table[index].filled(done, room);
            k.machine.write(to, piece);
            done += piece.len();
        }
        k.pipes.table[index].consume(count);
        wake_writers(k, index);
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
        let Some(index) = End::from_number(number).writes(k) else { return fail(EBADF) };
        let pipe = &mut k.pipes.table[index];
        if pipe.readers == 0 {
            return broken(k, caller);
        }
        let least = if from.length <= ATOMIC { from.length } else { 1 };
        if pipe.room() < least {
            return match at.is_nonblocking {
                true => fail(EAGAIN),
                false => Err(Stop::Park(Wait::on(Reason::Writable, pipe.writable))),
            };
        }
        let count = from.length.min(pipe.room());
        pipe.reserve(count);
        let mut done = 0;
        while done < count {
            let (bytes, room) = k.readable_at(caller.space, from.part(done, count - done))?;
            let piece = k.pipes.table[index].free(done, room);
            k.machine.read(bytes, piece);
            done += piece.len();
        }
        k.pipes.table[index].produce(count);
        wake_readers(k, index);
        Ok(count)
    }

    fn close(&self, k: &mut Kernel<M>, number: usize) {
        let end = End::from_number(number);
        let (reads, writes) = (end.reads(), end.writes(k));
        if let Some(pipe) = reads {
            k.pipes.table[pipe].readers -= 1;
            if k.pipes.table[pipe].readers == 0 {
                wake_writers(k, pipe);
            }
        }
        if let Some(pipe) = writes {
            k.pipes.table[pipe].writers -= 1;
            if k.pipes.table[pipe].writers == 0 {
                wake_readers(k, pipe);
            }
        }
        for pipe in reads.into_iter().chain(writes) {
            if k.pipes.table[pipe].readers == 0 && k.pipes.table[pipe].writers == 0 {
                let gone = k.pipes.table.remove(pipe);
                k.waits.destroy(gone.readable);
                k.waits.destroy(gone.writable);
            }
        }
    }

    fn ready(&self, k: &mut Kernel<M>, number: usize) -> EventFlags {
        let end = End::from_number(number);
        let mut flags = EventFlags::empty();
        if let Some(pipe) = end.reads().map(|index| &k.pipes.table[index]) {
            flags.set(EventFlags::EVENT_READ, pipe.length > 0 || pipe.writers == 0);
        }
        if let Some(pipe) = end.writes(k).map(|index| &k.pipes.table[index]) {
            flags.set(EventFlags::EVENT_WRITE, pipe.room() >= ATOMIC || pipe.readers == 0);
        }
        flags
    }

    fn stat(&self, k: &mut Kernel<M>, number: usize) -> Outcome<Stat> {
        let end = End::from_number(number);
        let read = end.reads().or(end.writes(k)).map(|index| &k.pipes.table[index]);
        let waiting = read.map_or(0, |pipe| pipe.length as u64);
        let kind = if matches!(end, End::Both(_)) { MODE_SOCK } else { MODE_FIFO };
        Ok(Stat { st_mode: kind | 0o600, st_size: waiting, ..Stat::default() })
    }
}

fn broken<M: Machine>(k: &mut Kernel<M>, caller: Caller) -> Outcome {
    let info = SigInfo { signo: SIGPIPE as i32, code: SI_KERNEL, ..SigInfo::default() };
    k.signal_task(caller.task, info);
    fail(EPIPE)
}
