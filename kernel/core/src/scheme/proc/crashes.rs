//! `proc:crashes` — for the one who writes crashed processes down; see [`crate::crash`].

use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::UserSlice;
use crate::scheme::Opened;
use crate::scheme::text::Subject;
use crate::task::{Reason, Wait};
use abi::redox::flag::EventFlags;
use abi::watch::CRASH_WORDS;
use alloc::vec::Vec;

const SIZE: usize = CRASH_WORDS * size_of::<usize>();

/// Makes the caller the collector. `EPERM` unless it is root, `EBUSY` when there is one.
pub(super) fn open<M: Machine>(k: &mut Kernel<M>, caller: Caller) -> Outcome<Opened> {
    if k.processes[caller.process.0].ids.euid != 0 {
        return fail(EPERM);
    }
    if k.crashes.collector.is_some() {
        return fail(EBUSY);
    }
    let file = k.texts.open(Subject::Crashes);
    k.crashes.collector = Some(file);
    Opened::stream(file)
}

/// The next crash. Waits for one.
pub(super) fn read<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    into: UserSlice,
    is_nonblocking: bool,
) -> Outcome {
    if into.length < SIZE {
        return fail(EINVAL);
    }
    let Some(words) = k.crashes.news.front() else {
        return match is_nonblocking {
            true => fail(EAGAIN),
            false => Err(Stop::Park(Wait::on(Reason::Readable, k.crashes.changed))),
        };
    };
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    k.copy_out(caller.space, into.part(0, SIZE), &bytes)?;
    k.crashes.news.pop_front();
    Ok(SIZE)
}

/// Something to read.
pub(super) fn ready<M: Machine>(k: &Kernel<M>) -> EventFlags {
    match k.crashes.news.is_empty() {
        true => EventFlags::empty(),
        false => EventFlags::EVENT_READ,
    }
}
