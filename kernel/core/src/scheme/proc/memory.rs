//! `proc:PID/mem` — a process's memory; the position in the file is the address.
//!
//! Pages that are not there yet are brought, as a touch would. Writing to memory that the program
//! itself may only read gives it a copy of its own. What is written through a file opened with
//! `O_EXCL` is taken back when the file is closed, however that comes: breakpoints do not outlive
//! their debugger.

use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::{Page, PhysicalAddress, SpaceId, UserSlice};
use crate::trace::Patch;
use abi::PAGE_SIZE;
use abi::trace::VECTOR_MAX;
use alloc::vec;

/// Most bytes of one transfer: the kernel's lock is held meanwhile.
const TRANSFER_MAX: usize = 1 << 20;
/// Most bytes of one write that is taken back, and most of such writes.
const PATCH_BYTES: usize = 16;
const PATCHES_MAX: usize = 1024;
/// Bytes of an address and a length.
const PAIR: usize = 2 * size_of::<usize>();

/// The space behind an open file. `ESRCH` when the process has ended.
fn space_of<M: Machine>(k: &Kernel<M>, memory: usize) -> Outcome<SpaceId> {
    let process = k.process_of(k.traces.memories[memory].process)?;
    k.processes[process.0].space.ok_or(Stop::Error(Errno(ESRCH)))
}

/// Reads from `address` on, up to the first byte that is not there.
pub(super) fn read<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    memory: usize,
    into: UserSlice,
    address: usize,
) -> Outcome {
    let space = space_of(k, memory)?;
    carry_home(k, caller, space, address, into.part(0, TRANSFER_MAX))
}

/// Copies between two programs. `EFAULT` when not even one byte could be read.
fn carry_home<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    space: SpaceId,
    address: usize,
    into: UserSlice,
) -> Outcome {
    let mut done = 0;
    while done < into.length {
        let (to, room) = k.writable_at(caller.space, into.part(done, into.length - done))?;
        let piece = UserSlice::new(address.wrapping_add(done), room).map_err(Stop::from);
        let (from, there) = match piece.and_then(|piece| k.readable_at(space, piece)) {
            Ok(found) => found,
            Err(Stop::Error(Errno(EFAULT))) if done > 0 => return Ok(done),
            Err(stop) => return Err(stop),
        };
        let count = room.min(there);
        copy(k, from, to, count);
        done += count;
    }
    Ok(done)
}

/// Copies inside a frame each, which may be the same one.
fn copy<M: Machine>(k: &mut Kernel<M>, from: PhysicalAddress, to: PhysicalAddress, count: usize) {
    if from.0.abs_diff(to.0) >= count as u64 {
        k.machine.copy(from, to, count);
    } else {
        let mut bytes = vec![0; count];
        k.machine.read(from, &mut bytes);
        k.machine.write(to, &bytes);
    }
}

/// Reads many places; see [`abi::trace::READ_VECTOR`].
pub(super) fn read_many<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    memory: usize,
    payload: UserSlice,
    count: usize,
) -> Outcome {
    let space = space_of(k, memory)?;
    if count > VECTOR_MAX || payload.length < count * PAIR || payload.length > TRANSFER_MAX {
        return fail(EINVAL);
    }
    let mut room_at = count * PAIR;
    let mut all = 0;
    for place in 0..count {
        let pair = payload.part(place * PAIR, PAIR);
        let [address, length] = k.copy_in_words(caller.space, pair.address)?;
        if length > payload.length - room_at {
            return fail(EINVAL);
        }
        let into = payload.part(room_at, length);
        let done = match carry_home(k, caller, space, address, into) {
            Err(Stop::Error(Errno(EFAULT))) => 0,
            done => done?,
        };
        k.copy_out_exact(caller.space, pair.address + PAIR / 2, &done.to_ne_bytes())?;
        room_at += length;
        all += done;
    }
    Ok(all)
}

/// Writes from `address` on, up to the first byte that cannot be written.
pub(super) fn write<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    memory: usize,
    from: UserSlice,
    address: usize,
) -> Outcome {
    let space = space_of(k, memory)?;
    if k.traces.memories[memory].is_borrowed {
        return borrow(k, caller, memory, space, from, address);
    }
    let from = from.part(0, TRANSFER_MAX);
    let mut bytes = vec![0; from.length.min(PAGE_SIZE)];
    let mut done = 0;
    while done < from.length {
        let inside = address.wrapping_add(done) % PAGE_SIZE;
        let part = from.part(done, PAGE_SIZE - inside);
        let piece = &mut bytes[..part.length];
        k.copy_in(caller.space, part, piece)?;
        match change(k, space, address.wrapping_add(done), piece) {
            Ok(()) => done += part.length,
            Err(Stop::Error(_)) if done > 0 => return Ok(done),
            Err(stop) => return Err(stop),
        }
    }
    Ok(done)
}

/// Writes bytes that lie in one page.
fn change<M: Machine>(
    k: &mut Kernel<M>,
    space: SpaceId,
    address: usize,
    bytes: &[u8],
) -> Outcome<()> {
    UserSlice::new(address, bytes.len())?;
    let frame = k.own_page(space, Page::containing(address))?;
    k.machine.write(frame.at(address % PAGE_SIZE), bytes);
    Ok(())
}

/// Writes bytes that are taken back in the end. Writing what was there before takes them back now.
fn borrow<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    memory: usize,
    space: SpaceId,
    from: UserSlice,
    address: usize,
) -> Outcome {
    if from.length == 0 || from.length > PATCH_BYTES {
        return fail(EINVAL);
    }
    let new = k.copy_in_vec(caller.space, from)?;
    let old = k.copy_in_vec(space, UserSlice::new(address, new.len())?)?;
    let patches = &k.traces.memories[memory].patches;
    let undone = patches.iter().rposition(|patch| patch.address == address && patch.old == new);
    if undone.is_none() && patches.len() >= PATCHES_MAX {
        return fail(ENOSPC);
    }
    change_all(k, space, address, &new)?;
    let patches = &mut k.traces.memories[memory].patches;
    match undone {
        Some(place) => drop(patches.remove(place)),
        None => patches.push(Patch { address, old, new }),
    }
    Ok(from.length)
}

/// Writes a few bytes, which may lie in two pages: both or none.
fn change_all<M: Machine>(
    k: &mut Kernel<M>,
    space: SpaceId,
    address: usize,
    bytes: &[u8],
) -> Outcome<()> {
    let first = bytes.len().min(PAGE_SIZE - address % PAGE_SIZE);
    let (here, there) = bytes.split_at(first);
    if !there.is_empty() {
        let page = Page::containing(address + first);
        k.own_page(space, page)?;
    }
    change(k, space, address, here)?;
    if there.is_empty() { Ok(()) } else { change(k, space, address + first, there) }
}

/// The last descriptor is gone: takes back what was borrowed and is still as it was written.
pub(super) fn close<M: Machine>(k: &mut Kernel<M>, memory: usize) {
    let space = space_of(k, memory);
    let file = k.traces.memories.remove(memory);
    let Ok(space) = space else { return };
    for patch in file.patches.into_iter().rev() {
        let Ok(slice) = UserSlice::new(patch.address, patch.new.len()) else { continue };
        let is_there = k.copy_in_vec(space, slice).is_ok_and(|have| have == patch.new);
        // A page that is gone, or that there is no memory for, has nothing to take back.
        if is_there && change_all(k, space, patch.address, &patch.old).is_err() {
            let pid = file.process.pid;
            k.log(
                crate::log::Level::Warn,
                "trace",
                format_args!("a breakpoint stays in process {pid} at {:#x}", patch.address),
            );
        }
    }
    k.forget_refusal();
}
