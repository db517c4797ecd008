//! `proc:PID/profile` — writing a rate begins, reading gives samples; see [`crate::profile`].

use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::UserSlice;
use crate::profile::{PROFILES_MAX, Profile, SAMPLE_WORDS};
use crate::scheme::Opened;
use crate::scheme::text::{Subject, parse_number};
use crate::task::ProcessId;
use abi::watch::SAMPLE_RATE_MAX;
use alloc::vec::Vec;

const WORD: usize = size_of::<usize>();

/// Opens one that is off. `EBUSY` when there are enough.
pub(super) fn open<M: Machine>(k: &mut Kernel<M>, process: ProcessId) -> Outcome<Opened> {
    if k.profiles.len() >= PROFILES_MAX {
        return fail(EBUSY);
    }
    let key = k.process_key(process);
    let profile = Profile::new(key, k.cpus.iter().count());
    let number = k.profiles.insert(profile);
    Opened::stream(k.texts.open(Subject::Profile(number)))
}

/// Whole samples, as many as there are and have room; nothing when there are none. `EINVAL` when
/// the longest one would have no room.
pub(super) fn read<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    number: usize,
    into: UserSlice,
) -> Outcome {
    if into.length < SAMPLE_WORDS * WORD {
        return fail(EINVAL);
    }
    let words = k.profiles[number].ready(into.length / WORD);
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    k.copy_out(caller.space, into.part(0, bytes.len()), &bytes)?;
    k.profiles[number].forget(words.len());
    Ok(bytes.len())
}

/// Samples a second; 0 for none. `EINVAL` for what is no such number.
pub(super) fn write<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    number: usize,
    from: UserSlice,
) -> Outcome {
    let text = k.copy_in_command(caller, from)?;
    let rate = parse_number(text.trim()).filter(|rate| *rate <= SAMPLE_RATE_MAX);
    k.set_profile(number, rate.ok_or(Errno(EINVAL))?);
    Ok(from.length)
}
