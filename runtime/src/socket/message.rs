//! `send`, `recv`, `sendmsg`, `recvmsg`: bytes with flags, and with files.

use super::address::{self, Name};
use super::datagram::{self, Received};
use super::option;
use crate::errno::Answer;
use crate::sys::{Result, error, file, syscall};
use abi::redox::flag::{F_GETFL, O_NONBLOCK};
use abi::redox::number::{SYS_READ, SYS_WRITE};
use abi::socket::{
    CLOSE_ON_EXEC, CUT, FILES_MAX, LOST_FILES, NO_SIGNAL, NO_WAIT, PEEK, RECEIVE, SEND,
    WHOLE_LENGTH,
};
use alloc::vec::Vec;
use core::ffi::c_void;
use core::slice;
use libc::{c_int, cmsghdr, iovec, msghdr, size_t, ssize_t};

/// Bytes that a message with files, or with flags, takes at most; the rest is left. One more than a
/// packet may have, so that a longer one is refused and not cut.
const MESSAGE_MAX: usize = (64 << 10) + 1;
/// Bytes of a descriptor in a message.
const WORD: usize = size_of::<u64>();
/// Flags of `recvmsg` that are not in the `libc` crate for this target, by their usual number.
const MSG_CMSG_CLOEXEC: c_int = 0x4000_0000;
/// No `SIGPIPE`, by its usual number.
const MSG_NOSIGNAL: c_int = 0x4000;

/// What the kernel is told of C's flags.
pub(super) fn flags(fd: usize, flags: c_int) -> Result<u64> {
    let known = [
        (libc::MSG_DONTWAIT, NO_WAIT),
        (libc::MSG_PEEK, PEEK),
        (MSG_NOSIGNAL, NO_SIGNAL),
        (MSG_CMSG_CLOEXEC, CLOSE_ON_EXEC),
        (libc::MSG_TRUNC, WHOLE_LENGTH),
        // Every packet is a record, so its end is one's end.
        (libc::MSG_EOR, 0),
    ];
    let mut told = 0;
    let mut rest = flags;
    for (flag, own) in known {
        if flags & flag != 0 {
            (told, rest) = (told | own, rest & !flag);
        }
    }
    if rest != 0 {
        return error(libc::EOPNOTSUPP);
    }
    if file::fcntl(fd, F_GETFL, 0)? & O_NONBLOCK != 0 {
        told |= NO_WAIT;
    }
    Ok(told)
}

pub(super) fn room(length: usize) -> Result<Vec<u8>> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(length).or_else(|_| error(libc::ENOMEM))?;
    buffer.resize(length, 0);
    Ok(buffer)
}

/// Sends bytes and files.
fn give(fd: usize, files: &[c_int], parts: &[&[u8]], own: u64) -> Result<usize> {
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    let mut payload = room(files.len() * WORD + bytes.min(MESSAGE_MAX))?;
    let (head, mut rest) = payload.split_at_mut(files.len() * WORD);
    for (place, fd) in head.chunks_exact_mut(WORD).zip(files) {
        place.copy_from_slice(&(file::number(*fd)? as u64).to_ne_bytes());
    }
    for part in parts {
        let count = part.len().min(rest.len());
        let place = rest.split_off_mut(..count).unwrap_or_default();
        place.copy_from_slice(&part[..count]);
    }
    address::tell_socket(fd, &payload, &[SEND, files.len() as u64, own])
}

/// What arrived.
struct Arrived {
    payload: Vec<u8>,
    files: usize,
    /// May be more than there was room for.
    length: usize,
    has_lost_files: bool,
    /// A packet was longer than there was room for.
    is_cut: bool,
    room: usize,
}

impl Arrived {
    fn take(fd: usize, room_for_files: usize, bytes: usize, own: u64) -> Result<Self> {
        let files = room_for_files.min(FILES_MAX);
        let mut payload = room(files * WORD + bytes.min(MESSAGE_MAX))?;
        let answer = address::ask(fd, &mut payload, &[RECEIVE, files as u64, own])?;
        Ok(Self {
            payload,
            files: (answer & !(LOST_FILES | CUT)) >> 32,
            length: answer as u32 as usize,
            has_lost_files: answer & LOST_FILES != 0,
            is_cut: answer & CUT != 0,
            room: files,
        })
    }

    fn files(&self) -> impl Iterator<Item = c_int> + '_ {
        let words = self.payload.chunks_exact(WORD).take(self.files);
        words.map(|word| u64::from_ne_bytes(word.try_into().unwrap_or_default()) as c_int)
    }

    fn bytes(&self) -> &[u8] {
        let room = &self.payload[self.room * WORD..];
        &room[..self.length.min(room.len())]
    }
}

/// Reads from a socket; without flags the same as `read`. With `MSG_WAITALL` until the buffer is full.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn recv(
    fd: c_int,
    buffer: *mut c_void,
    length: size_t,
    wanted: c_int,
) -> ssize_t {
    let received = || {
        let fd = file::number(fd)?;
        let may_go_on = wanted & libc::MSG_WAITALL != 0
            && wanted & (libc::MSG_PEEK | libc::MSG_DONTWAIT) == 0
            && option::kind(fd)? == libc::SOCK_STREAM;
        // SAFETY: the caller gave `length` bytes to fill.
        let once = |done: usize| unsafe {
            recv_once(fd, buffer.byte_add(done), length - done, wanted & !libc::MSG_WAITALL)
        };
        let mut done = once(0)?;
        let mut last = done;
        while may_go_on && last > 0 && done < length {
            // What has arrived is not lost with an error: the next call runs into it.
            last = once(done).unwrap_or(0);
            done += last;
        }
        Ok(done)
    };
    received().size()
}

/// # Safety
///
/// `buffer` has `length` bytes to fill.
unsafe fn recv_once(fd: usize, buffer: *mut c_void, length: usize, wanted: c_int) -> Result<usize> {
    if wanted == 0 {
        // SAFETY: as promised by the caller.
        return unsafe { syscall(SYS_READ, [fd, buffer as usize, length]) };
    }
    let arrived = Arrived::take(fd, 0, length, flags(fd, wanted)?)?;
    let bytes = arrived.bytes();
    // SAFETY: as above; these are no more than there is room for.
    unsafe { bytes.as_ptr().copy_to_nonoverlapping(buffer.cast(), bytes.len()) };
    Ok(arrived.length)
}

/// Writes to a socket; without flags the same as `write`.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn send(
    fd: c_int,
    buffer: *const c_void,
    length: size_t,
    wanted: c_int,
) -> ssize_t {
    let sent = || {
        let fd = file::number(fd)?;
        if wanted == 0 || length == 0 {
            // Packets of no bytes are sent so, too.
            // SAFETY: the caller gave `length` bytes to read.
            return unsafe { syscall(SYS_WRITE, [fd, buffer as usize, length]) };
        }
        // SAFETY: as above.
        let bytes = unsafe { slice::from_raw_parts(buffer.cast::<u8>(), length) };
        give(fd, &[], &[bytes], flags(fd, wanted)?)
    };
    sent().size()
}

/// The buffers of a message.
///
/// # Safety
///
/// The message's list of buffers is well-formed.
unsafe fn buffers<'a>(message: *const msghdr) -> &'a [iovec] {
    // SAFETY: as promised by the caller.
    unsafe {
        match (*message).msg_iovlen {
            0 => &[],
            count => slice::from_raw_parts((*message).msg_iov, count),
        }
    }
}

const HEAD: usize = size_of::<cmsghdr>().next_multiple_of(align_of::<usize>());

/// The files that a message passes on.
///
/// # Safety
///
/// The message's control data is well-formed.
unsafe fn files(message: *const msghdr) -> Result<Vec<c_int>> {
    let mut files = Vec::new();
    // SAFETY: as promised by the caller: entries follow each other, each as long as it says.
    unsafe {
        let (start, length) = ((*message).msg_control.cast::<u8>(), (*message).msg_controllen);
        let mut at = 0;
        while !start.is_null() && at + HEAD <= length {
            let entry = start.add(at).cast::<cmsghdr>();
            let size = (*entry).cmsg_len;
            if size < HEAD || size > length - at {
                return error(libc::EINVAL);
            }
            if ((*entry).cmsg_level, (*entry).cmsg_type) != (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                return error(libc::EINVAL);
            }
            let first = start.add(at + HEAD).cast::<c_int>();
            let count = (size - HEAD) / size_of::<c_int>();
            files.try_reserve(count).or_else(|_| error(libc::ENOMEM))?;
            files.extend((0..count).map(|index| first.add(index).read_unaligned()));
            at += size.next_multiple_of(align_of::<usize>());
        }
    }
    if files.len() > FILES_MAX { error(libc::EINVAL) } else { Ok(files) }
}

/// Sends several buffers, and passes files on (`SCM_RIGHTS`).
#[unsafe(no_mangle)]
unsafe extern "C" fn sendmsg(fd: c_int, message: *const msghdr, wanted: c_int) -> ssize_t {
    let sent = || {
        let fd = file::number(fd)?;
        // SAFETY: the caller's message is well-formed.
        let (files, buffers) = unsafe { (files(message)?, buffers(message)) };
        let mut parts = Vec::new();
        parts.try_reserve(buffers.len()).or_else(|_| error(libc::ENOMEM))?;
        parts.extend(buffers.iter().filter(|buffer| buffer.iov_len > 0).map(|buffer| {
            // SAFETY: as above.
            unsafe { slice::from_raw_parts(buffer.iov_base.cast::<u8>(), buffer.iov_len) }
        }));
        // SAFETY: as above.
        let (address, length) = unsafe { ((*message).msg_name, (*message).msg_namelen) };
        let has_address = !address.is_null() && length > 0;
        // These go through a daemon, where no files travel.
        if !files.is_empty() && (has_address || datagram::is_one(fd)) {
            return error(libc::EOPNOTSUPP);
        }
        if !has_address {
            return give(fd, &files, &parts, flags(fd, wanted)?);
        }
        // SAFETY: as above.
        let name = unsafe { Name::read(address.cast(), length) }?;
        datagram::send_to(fd, &name, &parts, flags(fd, wanted)?)
    };
    sent().size()
}

/// Spreads bytes over buffers.
///
/// # Safety
///
/// The buffers may be written.
unsafe fn spread(mut bytes: &[u8], buffers: &[iovec]) {
    for buffer in buffers {
        let count = bytes.len().min(buffer.iov_len);
        // SAFETY: so many bytes may be filled.
        unsafe { bytes.as_ptr().copy_to_nonoverlapping(buffer.iov_base.cast(), count) };
        bytes = &bytes[count..];
    }
}

/// Receives a packet with its sender's address.
///
/// # Safety
///
/// The message is well-formed and has room for a name.
unsafe fn receive_named(fd: usize, message: *mut msghdr, own: u64) -> Result<usize> {
    // SAFETY: as promised by the caller.
    unsafe {
        let buffers = buffers(message);
        let length = buffers.iter().map(|buffer| buffer.iov_len).sum();
        let received = Received::take(fd, length, own)?;
        spread(received.bytes(), buffers);
        received.tell((*message).msg_name.cast(), &raw mut (*message).msg_namelen);
        (*message).msg_flags = if received.is_cut { libc::MSG_TRUNC } else { 0 };
        (*message).msg_controllen = 0;
        Ok(received.length())
    }
}

/// Receives into several buffers, with the files that came along.
#[unsafe(no_mangle)]
unsafe extern "C" fn recvmsg(fd: c_int, message: *mut msghdr, wanted: c_int) -> ssize_t {
    let received = || {
        let fd = file::number(fd)?;
        let own = flags(fd, wanted)?;
        // SAFETY: the caller's message is well-formed.
        if unsafe { !(*message).msg_name.is_null() && (*message).msg_namelen > 0 } {
            // SAFETY: as above.
            match unsafe { receive_named(fd, message, own) } {
                // Its packets, or bytes, have no names.
                Err(error) if error.errno == libc::EOPNOTSUPP => {}
                received => return received,
            }
        }
        // SAFETY: as above.
        let buffers = unsafe { buffers(message) };
        // SAFETY: as above.
        let (control, room) = unsafe { ((*message).msg_control, (*message).msg_controllen) };
        let room = if control.is_null() { 0 } else { room.saturating_sub(HEAD) };
        let length = buffers.iter().map(|buffer| buffer.iov_len).sum();
        let room = room / size_of::<c_int>();
        let arrived = Arrived::take(fd, room, length, own)?;
        // SAFETY: as above.
        unsafe { spread(arrived.bytes(), buffers) };
        // SAFETY: the caller's message may be written, and `room` files fit its control data.
        unsafe {
            (*message).msg_namelen = 0;
            (*message).msg_flags = if arrived.has_lost_files { libc::MSG_CTRUNC } else { 0 }
                | if arrived.is_cut { libc::MSG_TRUNC } else { 0 };
            (*message).msg_controllen = 0;
            if arrived.files > 0 {
                let size = HEAD + arrived.files * size_of::<c_int>();
                let entry = control.cast::<cmsghdr>();
                (*entry).cmsg_len = size;
                (*entry).cmsg_level = libc::SOL_SOCKET;
                (*entry).cmsg_type = libc::SCM_RIGHTS;
                let first = control.cast::<u8>().add(HEAD).cast::<c_int>();
                for (index, file) in arrived.files().enumerate() {
                    first.add(index).write_unaligned(file);
                }
                (*message).msg_controllen = size;
            }
        }
        Ok(arrived.length)
    };
    received().size()
}
