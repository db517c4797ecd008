//! `pipe:` — opening makes a pipe and gives its read end; `dup(fd, "write")` gives a write end.
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
use abi::redox::flag::{EventFlags, MODE_FIFO};
use abi::signal::{SI_KERNEL, SIGPIPE, SigInfo};

pub(super) struct Pipe;

/// Even numbers are read ends, odd ones write ends.
fn split(number: usize) -> (usize, bool) {
    (number / 2, number % 2 == 1)
}

impl<M: Machine> Scheme<M> for Pipe {
    fn name(&self) -> &'static str {
        "pipe"
    }

    fn open(&self, k: &mut Kernel<M>, _: Caller, path: &str, _: usize) -> Outcome<Opened> {
        if !path.is_empty() {
            return fail(ENOENT);
        }
        let pipe = Buffer::new(k.waits.create(), k.waits.create());
        Opened::stream(k.pipes.table.insert(pipe) * 2)
    }

    fn dup(&self, k: &mut Kernel<M>, _: Caller, number: usize, what: &[u8]) -> Outcome<Opened> {
        let (pipe, writes) = split(number);
        match what {
            b"write" if !writes => {
                k.pipes.table[pipe].writers += 1;
                Opened::stream(pipe * 2 + 1)
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
        let (index, writes) = split(number);
        if writes {
            return fail(EBADF);
        }
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
        let pipe = &mut k.pipes.table[index];
        pipe.consume(count);
        let writable = pipe.writable;
        k.wake_all(writable);
        k.raise((place::PIPE, index * 2 + 1), EventFlags::EVENT_WRITE);
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
        let (index, writes) = split(number);
        if !writes {
            return fail(EBADF);
        }
        let pipe = &mut k.pipes.table[index];
        if pipe.readers == 0 {
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
        pipe.reserve(count);
        let mut done = 0;
        while done < count {
            let (bytes, room) = k.readable_at(caller.space, from.part(done, count - done))?;
            let piece = k.pipes.table[index].free(done, room);
            k.machine.read(bytes, piece);
            done += piece.len();
        }
        let pipe = &mut k.pipes.table[index];
        pipe.produce(count);
        let readable = pipe.readable;
        k.wake_all(readable);
        k.raise((place::PIPE, index * 2), EventFlags::EVENT_READ);
        Ok(count)
    }

    fn close(&self, k: &mut Kernel<M>, number: usize) {
        let (index, writes) = split(number);
        let pipe = &mut k.pipes.table[index];
        let ends = if writes { &mut pipe.writers } else { &mut pipe.readers };
        *ends -= 1;
        let (readers, writers) = (pipe.readers, pipe.writers);
        let (readable, writable) = (pipe.readable, pipe.writable);
        if writers == 0 {
            k.wake_all(readable);
            k.raise((place::PIPE, index * 2), EventFlags::EVENT_READ);
        }
        if readers == 0 {
            k.wake_all(writable);
            k.raise((place::PIPE, index * 2 + 1), EventFlags::EVENT_WRITE);
        }
        if readers == 0 && writers == 0 {
            k.pipes.table.remove(index);
            k.waits.destroy(readable);
            k.waits.destroy(writable);
        }
    }

    fn ready(&self, k: &mut Kernel<M>, number: usize) -> EventFlags {
        let (index, writes) = split(number);
        let pipe = &k.pipes.table[index];
        let mut flags = EventFlags::empty();
        if writes {
            flags.set(EventFlags::EVENT_WRITE, pipe.room() >= ATOMIC || pipe.readers == 0);
        } else {
            flags.set(EventFlags::EVENT_READ, pipe.length > 0 || pipe.writers == 0);
        }
        flags
    }

    fn stat(&self, k: &mut Kernel<M>, number: usize) -> Outcome<Stat> {
        let waiting = k.pipes.table[split(number).0].length as u64;
        Ok(Stat { st_mode: MODE_FIFO | 0o600, st_size: waiting, ..Stat::default() })
    }
}

fn broken<M: Machine>(k: &mut Kernel<M>, caller: Caller) -> Outcome {
    let info = SigInfo { signo: SIGPIPE as i32, code: SI_KERNEL, ..SigInfo::default() };
    k.signal_task(caller.task, info);
    fail(EPIPE)
}
