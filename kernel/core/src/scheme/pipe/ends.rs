//! What `pipe:pair` and `packet:` have beside what they carry ([`abi::socket`]): the names of their ends,
//! whose these are, and files that travel.
//!
//! A file that travels is in nobody's table: its reference is the pipe's. Two pipes that carry each
//! other's ends would keep each other for ever, so an end with files in its pipes does not travel,
//! and what travels carries no files.

use super::End;
use crate::error::*;
use crate::handle::{Description, DescriptionId};
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::UserSlice;
use crate::pipe::Ends;
use crate::scheme::place;
use abi::LOWEST_FREE;
use abi::number::O_CLOEXEC;
use abi::socket::*;
use alloc::vec;
use alloc::vec::Vec;

/// Bytes of a descriptor in a message.
pub(in crate::scheme) const WORD: usize = size_of::<u64>();

/// A two-way pipe.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::scheme) enum TwoWay {
    /// Of bytes.
    Pair(usize),
    /// Of packets.
    Packets(usize),
}

impl TwoWay {
    /// The one that a file is an end of.
    fn of(description: &Description) -> Option<Self> {
        match (description.scheme, End::from_number(description.number)) {
            (place::PIPE, End::Both(pair, _)) => Some(TwoWay::Pair(pair)),
            (place::PACKET, _) => Some(TwoWay::Packets(description.number / 2)),
            _ => None,
        }
    }

    fn ends<M: Machine>(self, k: &mut Kernel<M>) -> &mut Ends {
        match self {
            TwoWay::Pair(pair) => &mut k.pipes.pairs[pair].ends,
            TwoWay::Packets(pair) => &mut k.pipes.packets[pair].ends,
        }
    }

    /// Whether files travel through it.
    fn carries<M: Machine>(self, k: &Kernel<M>) -> bool {
        match self {
            TwoWay::Pair(pair) => {
                let pipes = k.pipes.pairs[pair].pipes;
                pipes.into_iter().any(|pipe| k.pipes.table[pipe].has_files())
            }
            TwoWay::Packets(pair) => k.pipes.packets[pair].files().next().is_some(),
        }
    }
}

/// Process, user and group of the caller.
pub(in crate::scheme) fn ids_of<M: Machine>(k: &Kernel<M>, caller: Caller) -> [u32; 3] {
    let process = &k.processes[caller.process.0];
    [process.pid, process.ids.euid, process.ids.egid]
}

/// Does what a message about the end `side` asks for.
pub(in crate::scheme) fn call<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    (pipe, side): (TwoWay, usize),
    payload: UserSlice,
    words: &[usize],
) -> Outcome {
    let word = |index: usize| words.get(index).map_or(0, |word| *word as u64);
    let whose = || match word(1) {
        OWN => Ok(side),
        PEER => Ok(1 - side),
        _ => Err(Errno(EINVAL)),
    };
    match word(0) {
        NAME => {
            let name = pipe.ends(k).names[whose()?].clone();
            k.copy_out(caller.space, payload, &name)?;
            Ok(name.len())
        }
        SET_NAME => {
            if payload.length > NAME_MAX {
                return fail(ENAMETOOLONG);
            }
            let mut name = vec![0; payload.length];
            k.copy_in(caller.space, payload, &mut name)?;
            let own = &mut pipe.ends(k).names[side];
            if !own.is_empty() {
                return fail(EINVAL);
            }
            *own = name;
            Ok(0)
        }
        PEER_IDS => {
            let ids = pipe.ends(k).ids[1 - side].map(u32::to_ne_bytes);
            k.copy_out(caller.space, payload, ids.as_flattened())?;
            Ok(0)
        }
        SET_IDS => {
            let whose = whose()?;
            if k.processes[caller.process.0].ids.euid != 0 {
                return fail(EPERM);
            }
            let mut ids = [[0; size_of::<u32>()]; 3];
            if payload.length != ids.as_flattened().len() {
                return fail(EINVAL);
            }
            k.copy_in(caller.space, payload, ids.as_flattened_mut())?;
            pipe.ends(k).ids[whose] = ids.map(u32::from_ne_bytes);
            Ok(0)
        }
        _ => fail(EOPNOTSUPP),
    }
}

/// The files that descriptors in the caller's memory name, if they may travel through a pipe.
pub(in crate::scheme) fn passable<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    through: TwoWay,
    from: UserSlice,
) -> Outcome<Vec<DescriptionId>> {
    if from.length == 0 {
        return Ok(Vec::new());
    }
    let mut bytes = vec![0; from.length];
    k.copy_in(caller.space, from, &mut bytes)?;
    if through.ends(k).travels > 0 {
        return fail(ETOOMANYREFS);
    }
    let mut files = Vec::with_capacity(from.length / WORD);
    for word in bytes.as_chunks::<WORD>().0 {
        let file = k.description_of(caller, u64::from_ne_bytes(*word) as usize)?;
        let pipe = TwoWay::of(&k.descriptions[file.0]);
        if pipe.is_some_and(|pipe| pipe == through || pipe.carries(k)) {
            return fail(ETOOMANYREFS);
        }
        files.push(file);
    }
    Ok(files)
}

/// Files begin to travel.
pub(in crate::scheme) fn depart<M: Machine>(k: &mut Kernel<M>, files: &[DescriptionId]) {
    for file in files {
        k.descriptions[file.0].references += 1;
        if let Some(pipe) = TwoWay::of(&k.descriptions[file.0]) {
            pipe.ends(k).travels += 1;
        }
    }
}

/// Files do not travel any more.
pub(in crate::scheme) fn arrive<M: Machine>(k: &mut Kernel<M>, files: &[DescriptionId]) {
    for file in files {
        if let Some(pipe) = TwoWay::of(&k.descriptions[file.0]) {
            pipe.ends(k).travels -= 1;
        }
    }
}

/// Gives files that have arrived to the caller, whose places for their numbers can be written. Those
/// that there is no place for are closed. Returns how many there was one for.
pub(in crate::scheme) fn deliver<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    places: UserSlice,
    files: Vec<DescriptionId>,
    flags: u64,
) -> Outcome {
    let on_exec = if flags & CLOSE_ON_EXEC != 0 { O_CLOEXEC } else { 0 };
    let mut numbers = Vec::with_capacity(files.len() * WORD);
    for file in files {
        if numbers.len() == places.length {
            k.release_description(file);
        } else if let Ok(fd) = k.install(caller.process, file, LOWEST_FREE, on_exec) {
            numbers.extend_from_slice(&(fd as u64).to_ne_bytes());
        }
    }
    k.copy_out(caller.space, places, &numbers)?;
    Ok(numbers.len() / WORD)
}
