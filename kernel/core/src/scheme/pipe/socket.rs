//! `pipe:pair` — what sockets do beside reading and writing ([`abi::socket`]): end one direction, pass files
//! on with bytes, and what is the same for packets ([`super::ends`]).

use super::ends::{self, TwoWay, WORD};
use super::{End, broken, copy_in, copy_out};
use crate::error::*;
use crate::event::{ENDED, HANGUP};
use crate::handle::DescriptionId;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::UserSlice;
use crate::pipe::ATOMIC;
use crate::scheme::place;
use crate::task::{Reason, Wait};
use abi::redox::flag::EventFlags;
use abi::socket::*;
use alloc::vec::Vec;

/// Does what a message to the end `side` of a pair asks for.
pub(super) fn call<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    (pair, side): (usize, usize),
    payload: UserSlice,
    words: &[usize],
) -> Outcome {
    let word = |index: usize| words.get(index).map_or(0, |word| *word as u64);
    match word(0) {
        SHUTDOWN => shut_down(k, pair, side, word(1)),
        SEND => send(k, caller, End::Both(pair, side), payload, word(1), word(2)),
        RECEIVE => receive(k, caller, End::Both(pair, side), payload, word(1), word(2)),
        _ => ends::call(k, caller, (TwoWay::Pair(pair), side), payload, words),
    }
}

fn shut_down<M: Machine>(k: &mut Kernel<M>, pair: usize, side: usize, how: u64) -> Outcome {
    if how == 0 || how & !(SHUT_READ | SHUT_WRITE) != 0 {
        return fail(EINVAL);
    }
    // Who reads a pipe is the side with its number.
    let pipes = k.pipes.pairs[pair].pipes;
    for (wanted, reader) in [(SHUT_READ, side), (SHUT_WRITE, 1 - side)] {
        if how & wanted == 0 {
            continue;
        }
        let pipe = &mut k.pipes.table[pipes[reader]];
        pipe.is_shut = true;
        let (readable, writable) = (pipe.readable, pipe.writable);
        k.wake_all(readable);
        k.wake_all(writable);
        k.raise((place::PIPE, End::Both(pair, reader).number()), EventFlags::EVENT_READ | ENDED);
        k.raise((place::PIPE, End::Both(pair, 1 - reader).number()), EventFlags::EVENT_WRITE);
    }
    if pipes.iter().all(|index| k.pipes.table[*index].is_shut) {
        for side in 0..2 {
            k.raise((place::PIPE, End::Both(pair, side).number()), HANGUP);
        }
    }
    Ok(0)
}

fn send<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    end: End,
    payload: UserSlice,
    count: u64,
    flags: u64,
) -> Outcome {
    let (index, reader) = end.sink(k).ok_or(Errno(EBADF))?;
    if count > FILES_MAX as u64 {
        return fail(EINVAL);
    }
    let files = count as usize * WORD;
    if payload.length < files || count > 0 && payload.length == files {
        return fail(EINVAL);
    }
    let bytes = payload.part(files, payload.length - files);
    let End::Both(through, _) = end else { return fail(EBADF) };
    let files = ends::passable(k, caller, TwoWay::Pair(through), payload.part(0, files))?;
    let pipe = &k.pipes.table[index];
    if pipe.is_broken() {
        return if flags & NO_SIGNAL != 0 { fail(EPIPE) } else { broken(k, caller) };
    }
    let least = if bytes.length <= ATOMIC { bytes.length } else { 1 };
    if pipe.room() < least || !files.is_empty() && !pipe.has_room_for_files() {
        return match flags & NO_WAIT != 0 {
            true => fail(EAGAIN),
            false => Err(Stop::Park(Wait::on(Reason::Writable, pipe.writable))),
        };
    }
    let count = bytes.length.min(pipe.room());
    copy_in(k, caller, index, bytes, count)?;
    ends::depart(k, &files);
    let pipe = &mut k.pipes.table[index];
    if !files.is_empty() {
        pipe.pass(files);
    }
    pipe.produce(count);
    let readable = pipe.readable;
    k.wake_all(readable);
    k.raise((place::PIPE, reader.number()), EventFlags::EVENT_READ);
    Ok(count)
}

fn receive<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    end: End,
    payload: UserSlice,
    room: u64,
    flags: u64,
) -> Outcome {
    let (index, writer) = end.source(k).ok_or(Errno(EBADF))?;
    if room > FILES_MAX as u64 || payload.length < room as usize * WORD {
        return fail(EINVAL);
    }
    let room = room as usize;
    let places = payload.part(0, room * WORD);
    let bytes = payload.part(places.length, payload.length - places.length);
    let pipe = &k.pipes.table[index];
    if pipe.length == 0 && bytes.length > 0 {
        return match (pipe.has_ended(), flags & NO_WAIT != 0) {
            (true, _) => Ok(0),
            (_, true) => fail(EAGAIN),
            (_, false) => Err(Stop::Park(Wait::on(Reason::Readable, pipe.readable))),
        };
    }
    let (files, limit) = pipe.next_files();
    let count = limit.min(bytes.length);
    copy_out(k, caller, index, bytes, count)?;
    if flags & PEEK != 0 || count == 0 {
        return Ok(count);
    }
    // Once their pages are there, the numbers can be written without fail.
    for place in 0..files.min(room) {
        k.writable_at(caller.space, places.part(place * WORD, WORD))?;
    }
    let taken = take_files(k, index, count);
    let arrived = ends::deliver(k, caller, places, taken, flags)?;
    let pipe = &mut k.pipes.table[index];
    pipe.consume(count);
    let writable = pipe.writable;
    k.wake_all(writable);
    k.raise((place::PIPE, writer.number()), EventFlags::EVENT_WRITE);
    let lost = if arrived < files { LOST_FILES } else { 0 };
    Ok(count | arrived << 32 | lost)
}

/// The files of the next `count` bytes, which do not travel any more.
fn take_files<M: Machine>(k: &mut Kernel<M>, index: usize, count: usize) -> Vec<DescriptionId> {
    let taken = k.pipes.table[index].take_files(count);
    ends::arrive(k, &taken);
    taken
}

/// Nobody takes the files of the next `count` bytes.
pub(super) fn drop_files<M: Machine>(k: &mut Kernel<M>, index: usize, count: usize) {
    for file in take_files(k, index, count) {
        k.release_description(file);
    }
}
