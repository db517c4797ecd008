//! `pipe:pair` — what sockets do beside reading and writing ([`abi::socket`]): end one direction, have
//! names, pass files on.
//!
//! A file that travels is in nobody's table: its reference is the pipe's. Two pipes that carry each
//! other's ends would keep each other for ever, so an end with files in its pipes does not travel,
//! and what travels carries no files.

use super::{End, broken, copy_in, copy_out};
use crate::error::*;
use crate::handle::{Description, DescriptionId};
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::UserSlice;
use crate::pipe::ATOMIC;
use crate::scheme::place;
use crate::task::{Reason, Wait};
use abi::LOWEST_FREE;
use abi::number::O_CLOEXEC;
use abi::redox::flag::EventFlags;
use abi::socket::*;
use alloc::vec;
use alloc::vec::Vec;

/// Bytes of a descriptor in a message.
const WORD: usize = size_of::<u64>();

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
        NAME => {
            let whose = match word(1) {
                OWN => side,
                PEER => 1 - side,
                _ => return fail(EINVAL),
            };
            let name = k.pipes.pairs[pair].names[whose].clone();
            k.copy_out(caller.space, payload, &name)?;
            Ok(name.len())
        }
        SET_NAME => {
            if payload.length > NAME_MAX {
                return fail(ENAMETOOLONG);
            }
            let mut name = vec![0; payload.length];
            k.copy_in(caller.space, payload, &mut name)?;
            let own = &mut k.pipes.pairs[pair].names[side];
            if !own.is_empty() {
                return fail(EINVAL);
            }
            *own = name;
            Ok(0)
        }
        _ => fail(EOPNOTSUPP),
    }
}

fn shut_down<M: Machine>(k: &mut Kernel<M>, pair: usize, side: usize, how: u64) -> Outcome {
    if how == 0 || how & !(SHUT_READ | SHUT_WRITE) != 0 {
        return fail(EINVAL);
    }
    // Who reads a pipe is the side with its number.
    for (wanted, reader) in [(SHUT_READ, side), (SHUT_WRITE, 1 - side)] {
        if how & wanted == 0 {
            continue;
        }
        let index = k.pipes.pairs[pair].pipes[reader];
        let pipe = &mut k.pipes.table[index];
        pipe.is_shut = true;
        let (readable, writable) = (pipe.readable, pipe.writable);
        k.wake_all(readable);
        k.wake_all(writable);
        k.raise((place::PIPE, End::Both(pair, reader).number()), EventFlags::EVENT_READ);
        k.raise((place::PIPE, End::Both(pair, 1 - reader).number()), EventFlags::EVENT_WRITE);
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
    let files = passable(k, caller, end, payload.part(0, files))?;
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
    for file in &files {
        k.descriptions[file.0].references += 1;
        if let Some(pair) = pair_of(&k.descriptions[file.0]) {
            k.pipes.pairs[pair].travels += 1;
        }
    }
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

/// The files that descriptors in the caller's memory name, if they may travel through `end`.
fn passable<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    end: End,
    from: UserSlice,
) -> Outcome<Vec<DescriptionId>> {
    if from.length == 0 {
        return Ok(Vec::new());
    }
    let mut bytes = vec![0; from.length];
    k.copy_in(caller.space, from, &mut bytes)?;
    let End::Both(through, _) = end else { return fail(EBADF) };
    if k.pipes.pairs[through].travels > 0 {
        return fail(ETOOMANYREFS);
    }
    let mut files = Vec::with_capacity(from.length / WORD);
    for word in bytes.as_chunks::<WORD>().0 {
        let file = k.description_of(caller, u64::from_ne_bytes(*word) as usize)?;
        if let Some(pair) = pair_of(&k.descriptions[file.0]) {
            let carries = k.pipes.pairs[pair].pipes.map(|pipe| k.pipes.table[pipe].has_files());
            if pair == through || carries.contains(&true) {
                return fail(ETOOMANYREFS);
            }
        }
        files.push(file);
    }
    Ok(files)
}

/// The two-way pipe that a file is an end of.
fn pair_of(description: &Description) -> Option<usize> {
    match (description.scheme == place::PIPE, End::from_number(description.number)) {
        (true, End::Both(pair, _)) => Some(pair),
        _ => None,
    }
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
    let on_exec = if flags & CLOSE_ON_EXEC != 0 { O_CLOEXEC } else { 0 };
    let mut numbers = Vec::with_capacity(taken.len() * WORD);
    for file in taken {
        if numbers.len() == room * WORD {
            k.release_description(file);
        } else if let Ok(fd) = k.install(caller.process, file, LOWEST_FREE, on_exec) {
            numbers.extend_from_slice(&(fd as u64).to_ne_bytes());
        }
    }
    let arrived = numbers.len() / WORD;
    k.copy_out(caller.space, places, &numbers)?;
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
    for file in &taken {
        if let Some(pair) = pair_of(&k.descriptions[file.0]) {
            k.pipes.pairs[pair].travels -= 1;
        }
    }
    taken
}

/// Nobody takes the files of the next `count` bytes.
pub(super) fn drop_files<M: Machine>(k: &mut Kernel<M>, index: usize, count: usize) {
    for file in take_files(k, index, count) {
        k.release_description(file);
    }
}
