//! Packets to and from sockets with names: `sendto`, `recvfrom`, and what `sendmsg` and `recvmsg` do
//! with an address.

use super::address::{self, Name};
use super::message::{flags, recv, room, send};
use super::{AF_UNSPEC, Way};
use crate::errno::Answer;
use crate::sys::{Result, error, file};
use abi::socket::{CONNECT, CUT, DATAGRAM_MAX, NAME, NAME_MAX, OWN, RECEIVE_FROM, SEND_TO};
use alloc::vec::Vec;
use core::ffi::c_void;
use core::slice;
use libc::{c_int, size_t, sockaddr, socklen_t, ssize_t};

/// Whether a file is a socket for packets that is, or may be, named.
pub(super) fn is_one(fd: usize) -> bool {
    let mut path = [0; 64];
    let length = file::path(fd, &mut path).unwrap_or_default();
    path.get(..length) == Some(super::NAMED_DATAGRAMS)
}

/// Has packets go to a socket, or, without one, nowhere in particular.
pub(super) fn connect(fd: usize, name: Option<&Name>) -> Result<usize> {
    match name {
        None => file::message(fd, &mut [], &[CONNECT]),
        Some(name) => {
            let mut way = Way::to(name)?;
            file::message(fd, way.bytes_mut(), &[CONNECT])
        }
    }
}

/// Sends a packet to the socket with a name.
pub(super) fn send_to(fd: usize, name: &Name, parts: &[&[u8]], own: u64) -> Result<usize> {
    if !is_one(fd) {
        // What is no socket says so; streams and pairs have one peer, and no other.
        address::ask(fd, &mut [0], &[NAME, OWN])?;
        return error(libc::EISCONN);
    }
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    if length > DATAGRAM_MAX {
        return error(libc::EMSGSIZE);
    }
    let way = Way::to(name)?;
    let mut payload = room(way.bytes().len() + length)?;
    let mut rest = &mut payload[..];
    for part in [way.bytes()].iter().chain(parts) {
        let place = rest.split_off_mut(..part.len()).unwrap_or_default();
        place.copy_from_slice(part);
    }
    file::tell(fd, &payload, &[SEND_TO, way.bytes().len() as u64, own])
}

/// A packet, and who sent it.
pub(super) struct Received {
    payload: Vec<u8>,
    name: usize,
    /// May be more than there was room for.
    length: usize,
    pub(super) is_cut: bool,
}

impl Received {
    /// Receives from a socket whose packets have senders. `EOPNOTSUPP` for others.
    pub(super) fn take(fd: usize, length: usize, own: u64) -> Result<Self> {
        let mut payload = room(NAME_MAX + length.min(DATAGRAM_MAX))?;
        let answer = file::message(fd, &mut payload, &[RECEIVE_FROM, own])?;
        let name = ((answer & !CUT) >> 32).min(NAME_MAX);
        let length = answer as u32 as usize;
        Ok(Self { payload, name, length, is_cut: answer & CUT != 0 })
    }

    /// How many bytes arrived, or with `MSG_TRUNC` how many were sent.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    pub(super) fn bytes(&self) -> &[u8] {
        let room = &self.payload[NAME_MAX..];
        &room[..self.length.min(room.len())]
    }

    /// Writes the sender's address.
    ///
    /// # Safety
    ///
    /// `length` holds how many bytes there are at `address`, and both may be written.
    pub(super) unsafe fn tell(&self, address: *mut sockaddr, length: *mut socklen_t) {
        // SAFETY: the same contract.
        unsafe {
            match self.name {
                0 => length.write(0),
                name => address::write(&self.payload[..name], address, length),
            }
        }
    }
}

/// [`send`], to an address. A connected stream takes no other.
#[unsafe(no_mangle)]
unsafe extern "C" fn sendto(
    fd: c_int,
    buffer: *const c_void,
    length: size_t,
    wanted: c_int,
    to: *const sockaddr,
    length_of_address: socklen_t,
) -> ssize_t {
    if to.is_null() {
        // SAFETY: the same contract.
        return unsafe { send(fd, buffer, length, wanted) };
    }
    let sent = || {
        let fd = file::number(fd)?;
        let bytes = match length {
            0 => &[],
            // SAFETY: the caller gave `length` bytes to read.
            _ => unsafe { slice::from_raw_parts(buffer.cast::<u8>(), length) },
        };
        // SAFETY: the caller gave so many bytes of address.
        let name = unsafe { Name::read(to, length_of_address) }?;
        send_to(fd, &name, &[bytes], flags(fd, wanted)?)
    };
    sent().size()
}

/// [`recv`], with the sender's address, which only packets between sockets with names have.
#[unsafe(no_mangle)]
unsafe extern "C" fn recvfrom(
    fd: c_int,
    buffer: *mut c_void,
    length: size_t,
    wanted: c_int,
    from: *mut sockaddr,
    length_of_address: *mut socklen_t,
) -> ssize_t {
    if from.is_null() || length_of_address.is_null() {
        // SAFETY: the same contract.
        return unsafe { recv(fd, buffer, length, wanted) };
    }
    let received = file::number(fd).and_then(|fd| {
        let own = flags(fd, wanted)?;
        Received::take(fd, length, own)
    });
    // SAFETY: the caller gave `length` bytes to fill, and a place for the address.
    unsafe {
        match received {
            Err(error) if error.errno == libc::EOPNOTSUPP => {
                length_of_address.write(0);
                recv(fd, buffer, length, wanted)
            }
            received => {
                let told = received.map(|received| {
                    let bytes = received.bytes();
                    bytes.as_ptr().copy_to_nonoverlapping(buffer.cast(), bytes.len());
                    received.tell(from, length_of_address);
                    received.length()
                });
                told.size()
            }
        }
    }
}

/// Whether an address undoes a connection.
///
/// # Safety
///
/// `address` has `length` bytes to read, or is null.
pub(super) unsafe fn is_none(address: *const sockaddr, length: socklen_t) -> bool {
    let has_family = !address.is_null() && length as usize >= size_of::<libc::sa_family_t>();
    // SAFETY: so much is there.
    has_family && c_int::from(unsafe { (*address).sa_family }) == AF_UNSPEC
}
