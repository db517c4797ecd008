//! `packet:` — opening makes a two-way pipe of packets and gives one end; `dup(fd, "peer")` gives the
//! other. What is written in one step is read in one step, whole or cut, and never together with
//! something else.
//!
//! The bytes are in two pipes, as for `pipe:pair`; this file keeps where each packet ends, and the files
//! that travel with it.

use super::pipe::ends::{self, TwoWay, WORD};
use super::pipe::{broken, copy_in, copy_out, create};
use super::{Opened, Position, Scheme, place};
use crate::error::*;
use crate::event::{ENDED, HANGUP};
use crate::handle::DescriptionId;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::UserSlice;
use crate::pipe::{ATOMIC, CAPACITY, Ends};
use crate::task::{Reason, Wait};
use abi::redox::data::Stat;
use abi::redox::flag::{EventFlags, MODE_SOCK};
use abi::socket::{
    CUT, FILES_MAX, LOST_FILES, NO_SIGNAL, NO_WAIT, PEEK, RECEIVE, SEND, SHUT_READ, SHUT_WRITE,
    SHUTDOWN, WHOLE_LENGTH,
};
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Most packets that wait at one end.
const WAITING_MAX: usize = 256;

/// What users of a socket are told it is; to the kernel there is no difference.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// `packet:datagram`
    Datagram,
    /// `packet:sequence`
    Sequence,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Datagram => "datagram",
            Kind::Sequence => "sequence",
        }
    }
}

/// A two-way pipe of packets.
pub struct Packets {
    kind: Kind,
    /// Each side reads its own and writes the other's.
    pipes: [usize; 2],
    /// The packets that wait for each side, oldest first.
    waiting: [VecDeque<Waiting>; 2],
    /// Their names, and whose they are.
    pub(super) ends: Ends,
}

/// A packet that waits.
struct Waiting {
    length: usize,
    files: Vec<DescriptionId>,
}

impl Packets {
    /// The files that travel with packets.
    pub fn files(&self) -> impl Iterator<Item = DescriptionId> + '_ {
        self.waiting.iter().flatten().flat_map(|packet| packet.files.iter().copied())
    }
}

pub(super) struct Packet;

/// The pair and the side that a number means.
fn parts(number: usize) -> (usize, usize) {
    (number / 2, number % 2)
}

/// Counts one more descriptor of a side.
fn open_side<M: Machine>(k: &mut Kernel<M>, pair: usize, side: usize) -> Outcome<Opened> {
    let pipes = k.pipes.packets[pair].pipes;
    k.pipes.table[pipes[side]].readers += 1;
    k.pipes.table[pipes[1 - side]].writers += 1;
    Opened::stream(pair * 2 + side)
}

impl<M: Machine> Scheme<M> for Packet {
    fn name(&self) -> &'static str {
        "packet"
    }

    fn open(&self, k: &mut Kernel<M>, caller: Caller, path: &str, _: usize) -> Outcome<Opened> {
        let kinds = [Kind::Datagram, Kind::Sequence];
        let Some(kind) = kinds.into_iter().find(|kind| kind.word() == path) else {
            return fail(ENOENT);
        };
        let pipes = [create(k), create(k)];
        let ends = Ends { ids: [ends::ids_of(k, caller); 2], ..Ends::default() };
        let packets = Packets { kind, pipes, waiting: Default::default(), ends };
        let pair = k.pipes.packets.insert(packets);
        open_side(k, pair, 0)
    }

    fn dup(&self, k: &mut Kernel<M>, _: Caller, number: usize, what: &[u8]) -> Outcome<Opened> {
        let (pair, side) = parts(number);
        if what == b"peer" { open_side(k, pair, 1 - side) } else { fail(EINVAL) }
    }

    fn read(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        into: UserSlice,
        at: Position,
    ) -> Outcome {
        let flags = if at.is_nonblocking { NO_WAIT } else { 0 };
        let count = receive(k, caller, number, into, 0, flags)?;
        Ok(count & !(CUT | LOST_FILES))
    }

    fn write(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        from: UserSlice,
        at: Position,
    ) -> Outcome {
        send(k, caller, number, from, 0, if at.is_nonblocking { NO_WAIT } else { 0 })
    }

    fn call(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        payload: UserSlice,
        words: &[usize],
    ) -> Outcome {
        let word = |index: usize| words.get(index).map_or(0, |word| *word as u64);
        match word(0) {
            SHUTDOWN => shut_down(k, number, word(1)),
            SEND => send(k, caller, number, payload, word(1), word(2)),
            RECEIVE => receive(k, caller, number, payload, word(1), word(2)),
            _ => {
                let (pair, side) = parts(number);
                ends::call(k, caller, (TwoWay::Packets(pair), side), payload, words)
            }
        }
    }

    fn close(&self, k: &mut Kernel<M>, number: usize) {
        let (pair, side) = parts(number);
        let pipes = k.pipes.packets[pair].pipes;
        k.pipes.table[pipes[side]].readers -= 1;
        k.pipes.table[pipes[1 - side]].writers -= 1;
        // Also those who wait at the end that was closed: their descriptor is gone.
        wake(k, pair);
        if k.pipes.table[pipes[side]].readers == 0 {
            let waiting = core::mem::take(&mut k.pipes.packets[pair].waiting[side]);
            for packet in waiting {
                lose(k, packet.files);
            }
        }
        let ends = &k.pipes.table[pipes[0]];
        match (ends.readers, ends.writers) {
            (0, 0) => {
                k.pipes.packets.remove(pair);
                for index in pipes {
                    let pipe = k.pipes.table.remove(index);
                    k.end_queue(pipe.readable);
                    k.end_queue(pipe.writable);
                }
            }
            (0, _) | (_, 0) => {
                let all = EventFlags::EVENT_READ | EventFlags::EVENT_WRITE | ENDED | HANGUP;
                k.raise((place::PACKET, pair * 2 + 1 - side), all);
            }
            _ => {}
        }
    }

    fn ready(&self, k: &mut Kernel<M>, number: usize) -> EventFlags {
        let (pair, side) = parts(number);
        let Packets { pipes, waiting, .. } = &k.pipes.packets[pair];
        let (source, sink) = (&k.pipes.table[pipes[side]], &k.pipes.table[pipes[1 - side]]);
        let has_room = sink.room() >= ATOMIC && waiting[1 - side].len() < WAITING_MAX;
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::EVENT_READ, !waiting[side].is_empty() || source.has_ended());
        flags.set(EventFlags::EVENT_WRITE, has_room || sink.is_broken());
        flags.set(ENDED, source.has_ended());
        flags.set(HANGUP, source.writers == 0 || source.is_shut && sink.is_shut);
        flags
    }

    fn path(&self, k: &mut Kernel<M>, number: usize) -> String {
        k.pipes.packets[parts(number).0].kind.word().to_string()
    }

    fn stat(&self, k: &mut Kernel<M>, number: usize) -> Outcome<Stat> {
        let (pair, side) = parts(number);
        let next = k.pipes.packets[pair].waiting[side].front().map_or(0, |packet| packet.length);
        Ok(Stat { st_mode: MODE_SOCK | 0o600, st_size: next as u64, ..Stat::default() })
    }
}

/// Wakes everybody who waits at a pair.
fn wake<M: Machine>(k: &mut Kernel<M>, pair: usize) {
    for index in k.pipes.packets[pair].pipes {
        let pipe = &k.pipes.table[index];
        let (readable, writable) = (pipe.readable, pipe.writable);
        k.wake_all(readable);
        k.wake_all(writable);
    }
}

/// Files that came with a packet and that nobody takes.
fn lose<M: Machine>(k: &mut Kernel<M>, files: Vec<DescriptionId>) {
    ends::arrive(k, &files);
    files.into_iter().for_each(|file| k.release_description(file));
}

/// The places for descriptors in a message, and its bytes. `EINVAL`.
fn split(payload: UserSlice, files: u64) -> Outcome<(UserSlice, UserSlice)> {
    if files > FILES_MAX as u64 || payload.length < files as usize * WORD {
        return fail(EINVAL);
    }
    let places = payload.part(0, files as usize * WORD);
    Ok((places, payload.part(places.length, payload.length - places.length)))
}

/// Puts a packet in, whole, with files.
fn send<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    number: usize,
    payload: UserSlice,
    files: u64,
    flags: u64,
) -> Outcome {
    let (pair, side) = parts(number);
    let (places, from) = split(payload, files)?;
    let files = ends::passable(k, caller, TwoWay::Packets(pair), places)?;
    let index = k.pipes.packets[pair].pipes[1 - side];
    let pipe = &k.pipes.table[index];
    if pipe.is_broken() {
        return if flags & NO_SIGNAL != 0 { fail(EPIPE) } else { broken(k, caller) };
    }
    if from.length > CAPACITY {
        return fail(EMSGSIZE);
    }
    let is_full = k.pipes.packets[pair].waiting[1 - side].len() >= WAITING_MAX;
    if pipe.room() < from.length || is_full {
        return match flags & NO_WAIT != 0 {
            true => fail(EAGAIN),
            false => Err(Stop::Park(Wait::on(Reason::Writable, pipe.writable))),
        };
    }
    copy_in(k, caller, index, from, from.length)?;
    ends::depart(k, &files);
    let pipe = &mut k.pipes.table[index];
    pipe.produce(from.length);
    let readable = pipe.readable;
    let packet = Waiting { length: from.length, files };
    k.pipes.packets[pair].waiting[1 - side].push_back(packet);
    k.wake_all(readable);
    k.raise((place::PACKET, pair * 2 + 1 - side), EventFlags::EVENT_READ);
    Ok(from.length)
}

/// Takes the oldest packet out, and the files that came with it. What there is no room for is lost, and
/// told by [`CUT`] and [`LOST_FILES`].
fn receive<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    number: usize,
    payload: UserSlice,
    room: u64,
    flags: u64,
) -> Outcome {
    let (pair, side) = parts(number);
    let (places, into) = split(payload, room)?;
    let index = k.pipes.packets[pair].pipes[side];
    let pipe = &k.pipes.table[index];
    let Some(packet) = k.pipes.packets[pair].waiting[side].front() else {
        return match (pipe.has_ended(), flags & NO_WAIT != 0) {
            (true, _) => Ok(0),
            (_, true) => fail(EAGAIN),
            (_, false) => Err(Stop::Park(Wait::on(Reason::Readable, pipe.readable))),
        };
    };
    let (length, files) = (packet.length, packet.files.len());
    let count = length.min(into.length);
    copy_out(k, caller, index, into, count)?;
    let told = if flags & WHOLE_LENGTH != 0 { length } else { count };
    let told = if count < length { told | CUT } else { told };
    if flags & PEEK != 0 {
        return Ok(told);
    }
    // Once their pages are there, the numbers can be written without fail.
    for place in 0..files.min(room as usize) {
        k.writable_at(caller.space, places.part(place * WORD, WORD))?;
    }
    let packet = k.pipes.packets[pair].waiting[side].pop_front();
    let taken = packet.map_or(Vec::new(), |packet| packet.files);
    ends::arrive(k, &taken);
    let arrived = ends::deliver(k, caller, places, taken, flags)?;
    let pipe = &mut k.pipes.table[index];
    pipe.consume(length);
    let writable = pipe.writable;
    k.wake_all(writable);
    k.raise((place::PACKET, pair * 2 + 1 - side), EventFlags::EVENT_WRITE);
    let lost = if arrived < files { LOST_FILES } else { 0 };
    Ok(told | arrived << 32 | lost)
}

fn shut_down<M: Machine>(k: &mut Kernel<M>, number: usize, how: u64) -> Outcome {
    if how == 0 || how & !(SHUT_READ | SHUT_WRITE) != 0 {
        return fail(EINVAL);
    }
    let (pair, side) = parts(number);
    for (wanted, reader) in [(SHUT_READ, side), (SHUT_WRITE, 1 - side)] {
        if how & wanted != 0 {
            let index = k.pipes.packets[pair].pipes[reader];
            k.pipes.table[index].is_shut = true;
        }
    }
    wake(k, pair);
    let shut = k.pipes.packets[pair].pipes.map(|index| k.pipes.table[index].is_shut);
    for side in 0..2 {
        let mut flags = EventFlags::EVENT_READ | EventFlags::EVENT_WRITE;
        flags.set(ENDED, shut[side]);
        flags.set(HANGUP, shut == [true, true]);
        k.raise((place::PACKET, pair * 2 + side), flags);
    }
    Ok(0)
}
