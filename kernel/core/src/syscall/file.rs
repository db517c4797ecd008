//! Calls on open files.

use super::{Arguments, patience};
use crate::error::*;
use crate::handle::{Description, DescriptionId, Direction};
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::UserSlice;
use crate::scheme::user::{Payload, Request};
use crate::scheme::{KernelSchemes, Opened, Position, SchemeId, directory, new_file, place};
use abi::LOWEST_FREE;
use abi::number::{F_READ_TIMEOUT, F_REPLACE, F_WRITE_TIMEOUT, O_CLOEXEC};
use abi::redox::data::Stat;
use abi::redox::flag::*;
use abi::redox::schemev2::Opcode;
use alloc::string::String;
use core::mem::offset_of;

/// An offset of all ones: use the file's own position, or none.
const NO_OFFSET: u64 = u64::MAX;
/// The longest argument of `dup`, in bytes.
const DUP_MAX: usize = 4096;
/// The fcntl command that duplicates with close-on-exec (libc crate, redox).
const F_DUPFD_CLOEXEC: usize = 1030;

/// `path, length, flags`
pub(super) fn open<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [path, length, flags, ..] = a;
    let path = k.copy_path(caller.space, path, length)?;
    let description = k.open_path(caller, path, flags)?;
    k.install(caller.process, description, LOWEST_FREE, flags)
}

/// `directory, path, length | fcntl flags, flags, wanted`
pub(super) fn open_at<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [directory, path, length, flags, wanted, _] = a;
    let directory = k.description_of(caller, directory)?;
    let path = k.copy_path(caller.space, path, length & !O_FCNTL_MASK)?;
    let flags = flags | length & O_FCNTL_MASK;
    let description = k.open_at(caller, directory, &path, flags)?;
    k.install(caller.process, description, wanted, flags)
}

/// `fd`
pub(super) fn close<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    k.close(caller.process, a[0])
}

/// `fd, buffer, length`
#[inline(always)]
pub(super) fn read<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [fd, buffer, length, ..] = a;
    read_into(k, caller, fd, UserSlice::new(buffer, length), NO_OFFSET)
}

/// `fd, buffer, length`
pub(super) fn write<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [fd, buffer, length, ..] = a;
    write_from(k, caller, fd, UserSlice::new(buffer, length), NO_OFFSET)
}

/// `fd, buffer, length, offset, flags`
pub(super) fn read_at<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [fd, buffer, length, offset, ..] = a;
    read_into(k, caller, fd, UserSlice::new(buffer, length), offset as u64)
}

/// `fd, buffer, length, offset, flags`
pub(super) fn write_at<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [fd, buffer, length, offset, ..] = a;
    write_from(k, caller, fd, UserSlice::new(buffer, length), offset as u64)
}

/// Where a transfer is: at `offset`, or without one at the file's own position, if it has one.
#[inline(always)]
fn position_of(description: &Description, offset: u64) -> Outcome<Position> {
    let offset = match (offset, description.is_positioned) {
        (NO_OFFSET, true) => description.offset,
        (NO_OFFSET, false) => 0,
        (offset, true) => offset,
        (_, false) => return fail(ESPIPE),
    };
    Ok(Position { offset, is_nonblocking: description.is_nonblocking() })
}

/// Reads at `offset`, or at the file's own position, which moves.
#[inline(always)]
fn read_into<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    fd: usize,
    into: Result<UserSlice, Errno>,
    offset: u64,
) -> Outcome {
    let (id, into) = (k.description_of(caller, fd)?, into?);
    let description = &k.descriptions[id.0];
    let at = position_of(description, offset)?;
    if !description.is_readable() {
        return fail(EBADF);
    }
    let (number, moves) = (description.number, description.is_positioned && offset == NO_OFFSET);
    let count = match description.scheme {
        SchemeId::Kernel(place) => {
            KernelSchemes::<M>::get(place).read(k, caller, number, into, at)?
        }
        SchemeId::User(server) => {
            let payload = Payload::Receive(into.part(0, crate::memory::PAYLOAD_MAX));
            let request = transfer_request(Opcode::Read, description, at, payload);
            k.ask(caller, server, request)?.value
        }
    };
    if moves {
        k.descriptions[id.0].offset += count as u64;
    }
    Ok(count)
}

/// Writes at `offset`, or at the file's own position, which moves.
#[inline(always)]
fn write_from<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    fd: usize,
    from: Result<UserSlice, Errno>,
    offset: u64,
) -> Outcome {
    let (id, from) = (k.description_of(caller, fd)?, from?);
    let description = &k.descriptions[id.0];
    let at = position_of(description, offset)?;
    if !description.is_writable() {
        return fail(EBADF);
    }
    let (number, moves) = (description.number, description.is_positioned && offset == NO_OFFSET);
    let count = match description.scheme {
        SchemeId::Kernel(place) => {
            KernelSchemes::<M>::get(place).write(k, caller, number, from, at)?
        }
        SchemeId::User(server) => {
            let payload = Payload::Send(from.part(0, crate::memory::PAYLOAD_MAX));
            let request = transfer_request(Opcode::Write, description, at, payload);
            k.ask(caller, server, request)?.value
        }
    };
    if moves {
        k.descriptions[id.0].offset += count as u64;
    }
    Ok(count)
}

/// What a daemon is asked: it is told the position of files that have one, and the flags.
#[inline(always)]
fn transfer_request<'a>(
    opcode: Opcode,
    description: &Description,
    at: Position,
    payload: Payload<'a>,
) -> Request<'a> {
    let offset = if description.is_positioned { at.offset } else { NO_OFFSET };
    let flags = (description.flags & O_FCNTL_MASK) as u64;
    let number = description.number;
    Request { opcode, number, payload, arguments: [0, 0, offset, flags], last: None }
}

/// `fd, what, length, wanted`
pub(super) fn dup<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [fd, what, length, wanted, ..] = a;
    let id = k.description_of(caller, fd)?;
    let id = duplicate(k, caller, id, what, length)?;
    k.install(caller.process, id, wanted, 0)
}

/// `fd, wanted, what, length, flags`
pub(super) fn dup2<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [fd, wanted, what, length, flags, ..] = a;
    let id = k.description_of(caller, fd)?;
    if wanted == fd && length == 0 {
        return Ok(fd);
    }
    if wanted == LOWEST_FREE {
        return fail(EBADF);
    }
    let id = duplicate(k, caller, id, what, length)?;
    k.install(caller.process, id, wanted, flags)
}

/// The same description again, or with an argument whatever the scheme makes of it.
fn duplicate<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    id: DescriptionId,
    what: usize,
    length: usize,
) -> Outcome<DescriptionId> {
    if length == 0 {
        k.descriptions[id.0].references += 1;
        return Ok(id);
    }
    if length > DUP_MAX {
        return fail(E2BIG);
    }
    let what = k.copy_in_vec(caller.space, UserSlice::new(what, length)?)?;
    let Description { scheme, number, flags, .. } = k.descriptions[id.0];
    let path = k.descriptions[id.0].path.clone();
    match scheme {
        place::NAMESPACE if number > 1 => {
            let (scheme, opened, flags, offset) = new_file(number, &what)?;
            if !matches!(scheme, SchemeId::User(server) if k.is_served(server)) {
                return fail(ENODEV);
            }
            let id = k.describe(scheme, opened, flags, path);
            k.descriptions[id.0].offset = offset;
            Ok(id)
        }
        SchemeId::Kernel(place) => {
            let made_by = KernelSchemes::<M>::get(place);
            let opened = made_by.dup(k, caller, number, &what)?;
            let access = made_by.access(opened.number);
            Ok(k.describe(scheme, opened, access | flags & O_NONBLOCK, path))
        }
        SchemeId::User(server) => {
            let request = Request {
                opcode: Opcode::Dup,
                number,
                payload: Payload::Bytes(&what),
                arguments: [0; 4],
                last: None,
            };
            let answer = k.ask(caller, server, request)?;
            let opened = Opened { number: answer.value, is_positioned: answer.is_positioned };
            Ok(match answer.other {
                Some(other) => other,
                None => k.describe(scheme, opened, flags, path),
            })
        }
    }
}

/// `fd, offset, whence`
pub(super) fn seek<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [fd, offset, whence, ..] = a;
    let id = k.description_of(caller, fd)?;
    if !k.descriptions[id.0].is_positioned {
        return fail(ESPIPE);
    }
    let base = match whence {
        SEEK_SET => 0,
        SEEK_CUR => k.descriptions[id.0].offset,
        SEEK_END => size_of_file(k, caller, id)?,
        _ => return fail(EINVAL),
    };
    let target = base.checked_add_signed(offset as i64).ok_or(Errno(EINVAL))?;
    if target > i64::MAX as u64 {
        return fail(EOVERFLOW);
    }
    k.descriptions[id.0].offset = target;
    Ok(target as usize)
}

fn size_of_file<M: Machine>(k: &mut Kernel<M>, caller: Caller, id: DescriptionId) -> Outcome<u64> {
    let Description { scheme, number, .. } = k.descriptions[id.0];
    match scheme {
        SchemeId::Kernel(place) => KernelSchemes::<M>::get(place).size(k, number),
        SchemeId::User(server) => {
            let request = plain(Opcode::Fsize, number, [0; 4]);
            k.ask(caller, server, request).map(|answer| answer.value as u64)
        }
    }
}

/// A request without payload.
pub(super) fn plain<'a>(opcode: Opcode, number: usize, arguments: [u64; 4]) -> Request<'a> {
    Request { opcode, number, payload: Payload::None, arguments, last: None }
}

/// `fd, command, argument`
pub(super) fn control<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [fd, command, argument, ..] = a;
    let slot = k.processes[caller.process.0].files.get(fd)?;
    let description = &mut k.descriptions[slot.description.0];
    match command {
        F_DUPFD | F_DUPFD_CLOEXEC if argument >= abi::FD_MAX => fail(EINVAL),
        F_DUPFD | F_DUPFD_CLOEXEC => {
            let place = k.processes[caller.process.0].files.find_free(argument)?;
            k.descriptions[slot.description.0].references += 1;
            let flags = if command == F_DUPFD { 0 } else { O_CLOEXEC };
            k.install(caller.process, slot.description, place, flags)
        }
        F_GETFD => Ok(if slot.is_close_on_exec { O_CLOEXEC } else { 0 }),
        F_SETFD => {
            let value = argument & O_CLOEXEC != 0;
            k.processes[caller.process.0].files.set_close_on_exec(fd, value)?;
            Ok(0)
        }
        F_GETFL => Ok(description.flags),
        F_SETFL => {
            description.flags = description.flags & !O_FCNTL_MASK | argument & O_FCNTL_MASK;
            Ok(0)
        }
        F_READ_TIMEOUT => Ok(patience::set(k, slot.description, Direction::Read, argument)),
        F_WRITE_TIMEOUT => Ok(patience::set(k, slot.description, Direction::Write, argument)),
        F_REPLACE => {
            let other = k.description_of(caller, argument)?;
            k.replace(caller.process, slot.description, other);
            Ok(0)
        }
        _ => fail(EINVAL),
    }
}

/// `fd, stat, length`
pub(super) fn stat<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [fd, into, length, ..] = a;
    let id = k.description_of(caller, fd)?;
    if length != size_of::<Stat>() {
        return fail(EINVAL);
    }
    stat_file(k, caller, id, UserSlice::new(into, length)?)
}

/// A `Stat` with its padding cleared: programs must not see what was on the kernel's stack.
fn stat_bytes(stat: &Stat) -> [u8; size_of::<Stat>()] {
    let mut bytes = [0; size_of::<Stat>()];
    macro_rules! put {
        ($($field:ident)*) => {$(
            let value = stat.$field.to_ne_bytes();
            let at = offset_of!(Stat, $field);
            bytes[at..at + value.len()].copy_from_slice(&value);
        )*};
    }
    put!(st_dev st_ino st_mode st_nlink st_uid st_gid st_size st_blksize st_blocks);
    put!(st_mtime st_mtime_nsec st_atime st_atime_nsec st_ctime st_ctime_nsec);
    bytes
}

pub(super) fn stat_file<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    id: DescriptionId,
    into: UserSlice,
) -> Outcome {
    let Description { scheme, number, .. } = k.descriptions[id.0];
    match scheme {
        SchemeId::Kernel(place) => {
            let stat = stat_in_kernel(k, place, number)?;
            k.copy_out(caller.space, into, &stat_bytes(&stat))?;
            Ok(0)
        }
        SchemeId::User(server) => {
            let request = Request {
                opcode: Opcode::Fstat,
                number,
                payload: Payload::Exchange(into),
                arguments: [0; 4],
                last: None,
            };
            k.ask(caller, server, request).map(|answer| answer.value)
        }
    }
}

/// What a scheme of the kernel tells of a file, and what is the same for all that are made up
/// when somebody asks: one name, as old as the answer.
fn stat_in_kernel<M: Machine>(k: &mut Kernel<M>, place: u8, number: usize) -> Outcome<Stat> {
    let scheme = KernelSchemes::<M>::get(place);
    let mut stat = scheme.stat(k, number)?;
    stat.st_dev = u64::from(place) + 1;
    stat.st_nlink = stat.st_nlink.max(1);
    if stat.st_ino == 0 {
        let path = scheme.path(k, number);
        // Of files that have no path of their own every opening is another file.
        let is_anonymous = path.is_empty() && stat.st_mode & MODE_TYPE != MODE_DIR;
        stat.st_ino = if is_anonymous { number as u64 + 1 } else { directory::inode_of(&path) };
    }
    if stat.st_mtime == 0 {
        let now = k.clock(CLOCK_REALTIME)? / 1_000_000_000;
        (stat.st_mtime, stat.st_atime, stat.st_ctime) = (now, now, now);
        stat.st_blksize = abi::PAGE_SIZE as u32;
    }
    Ok(stat)
}

/// `fd`
pub(super) fn sync<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let id = k.description_of(caller, a[0])?;
    sync_description(k, caller, id)
}

/// Waits until a file is safe on its medium.
pub(super) fn sync_description<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    id: DescriptionId,
) -> Outcome {
    let Description { scheme, number, .. } = k.descriptions[id.0];
    match scheme {
        SchemeId::Kernel(_) => Ok(0),
        SchemeId::User(server) => {
            k.ask(caller, server, plain(Opcode::Fsync, number, [0; 4])).map(|a| a.value)
        }
    }
}

/// `fd, buffer, length`: the file's full path.
pub(super) fn path<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [fd, buffer, length, ..] = a;
    let id = k.description_of(caller, fd)?;
    let into = UserSlice::new(buffer, length)?;
    let Description { scheme, number, .. } = k.descriptions[id.0];
    match scheme {
        SchemeId::Kernel(_) => {
            let path: String = k.path_of(id);
            k.copy_out(caller.space, into, path.as_bytes())?;
            Ok(path.len().min(length))
        }
        SchemeId::User(server) => {
            let request = Request {
                opcode: Opcode::Fpath,
                number,
                payload: Payload::Receive(into.part(0, abi::PATH_MAX)),
                arguments: [0; 4],
                last: None,
            };
            k.ask(caller, server, request).map(|answer| answer.value)
        }
    }
}

/// `fd, flags`: what the file is ready for now.
pub(super) fn event<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let id = k.description_of(caller, a[0])?;
    ready_flags(k, caller, id, a[1]).map(|flags| flags.bits())
}

/// Asks a file's scheme what the file is ready for, and tells it what is wanted.
pub(crate) fn ready_flags<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    id: DescriptionId,
    wanted: usize,
) -> Outcome<EventFlags> {
    let Description { scheme, number, .. } = k.descriptions[id.0];
    match scheme {
        SchemeId::Kernel(place) => Ok(KernelSchemes::<M>::get(place).ready(k, number)),
        SchemeId::User(server) => {
            // Daemons know the flags that Redox has.
            let wanted = EventFlags::from_bits_truncate(wanted).bits();
            let request = plain(Opcode::Fevent, number, [wanted as u64, 0, 0, 0]);
            let answer = k.ask(caller, server, request)?;
            Ok(EventFlags::from_bits_truncate(answer.value))
        }
    }
}
