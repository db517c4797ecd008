//! Names of sockets, and how C passes them.

use crate::errno::Answer;
use crate::sys::{Error, Result, error, file};
use abi::socket::{NAME, NAME_MAX, OWN, PEER};
use libc::{c_int, sockaddr, sockaddr_un, socklen_t};

/// Bytes of an address before the path.
const HEAD: usize = core::mem::offset_of!(sockaddr_un, sun_path);

/// What a socket is bound to: a path without its NUL, or a NUL and more.
pub(super) struct Name {
    bytes: [u8; NAME_MAX],
    length: usize,
}

impl Name {
    /// The name in an address of `AF_UNIX`.
    ///
    /// # Safety
    ///
    /// `address` has `length` bytes to read.
    pub(super) unsafe fn read(address: *const sockaddr, length: socklen_t) -> Result<Self> {
        let length = length as usize;
        if address.is_null() || length < size_of::<libc::sa_family_t>() {
            return error(libc::EINVAL);
        }
        // SAFETY: so much is there.
        if c_int::from(unsafe { (*address).sa_family }) != libc::AF_UNIX {
            return error(libc::EAFNOSUPPORT);
        }
        if length <= HEAD || length > size_of::<sockaddr_un>() {
            return error(libc::EINVAL);
        }
        let mut name = Self { bytes: [0; NAME_MAX], length: length - HEAD };
        // SAFETY: as promised by the caller; the name fits, as `length` was looked at.
        unsafe {
            let path = address.cast::<u8>().add(HEAD);
            path.copy_to_nonoverlapping(name.bytes.as_mut_ptr(), name.length);
        }
        if name.bytes[0] != 0 {
            let end = name.bytes[..name.length].iter().position(|byte| *byte == 0);
            name.length = end.unwrap_or(name.length);
        }
        Ok(name)
    }

    /// All of it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The path, if it is one.
    pub(super) fn path(&self) -> Option<&[u8]> {
        (self.bytes[0] != 0).then(|| self.bytes())
    }
}

/// Writes an address, cut to the room there is, and how long it is.
///
/// # Safety
///
/// `length` holds how many bytes there are at `address`, and both may be written.
pub(super) unsafe fn write(name: &[u8], address: *mut sockaddr, length: *mut socklen_t) {
    let mut whole = [0; HEAD + NAME_MAX + 1];
    whole[..size_of::<libc::sa_family_t>()]
        .copy_from_slice(&(libc::AF_UNIX as libc::sa_family_t).to_ne_bytes());
    whole[HEAD..HEAD + name.len()].copy_from_slice(name);
    let is_path = name.first().is_some_and(|byte| *byte != 0);
    // A path counts with its NUL.
    let wanted = HEAD + name.len() + usize::from(is_path);
    // SAFETY: as promised by the caller.
    unsafe {
        let room = length.read() as usize;
        whole.as_ptr().copy_to_nonoverlapping(address.cast(), wanted.min(room));
        length.write(wanted as socklen_t);
    }
}

/// A message to a socket; whoever knows no such messages is none.
pub(super) fn ask(fd: usize, payload: &mut [u8], metadata: &[u64]) -> Result<usize> {
    file::message(fd, payload, metadata).map_err(told_none)
}

/// A message to a socket that gives nothing back.
pub(super) fn tell_socket(fd: usize, payload: &[u8], metadata: &[u64]) -> Result<usize> {
    file::tell(fd, payload, metadata).map_err(told_none)
}

/// Whoever knows no such messages is no socket.
fn told_none(error: Error) -> Error {
    match error.errno {
        libc::EOPNOTSUPP => Error::new(libc::ENOTSOCK),
        _ => error,
    }
}

/// Whether a socket has a peer.
pub(super) fn is_connected(fd: usize) -> bool {
    file::message(fd, &mut [0], &[NAME, PEER]).is_ok()
}

unsafe fn tell(fd: c_int, whose: u64, address: *mut sockaddr, length: *mut socklen_t) -> c_int {
    let mut name = [0; NAME_MAX];
    let told = file::number(fd).and_then(|fd| ask(fd, &mut name, &[NAME, whose]));
    let told = told.map(|length_of_name| {
        let name = &name[..length_of_name.min(NAME_MAX)];
        // SAFETY: the caller's contract is the same.
        unsafe { write(name, address, length) };
    });
    told.map(|()| 0_isize).zero()
}

/// The name of a socket.
#[unsafe(no_mangle)]
unsafe extern "C" fn getsockname(
    fd: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> c_int {
    // SAFETY: the same contract.
    unsafe { tell(fd, OWN, address, length) }
}

/// The name of the socket at the other end.
#[unsafe(no_mangle)]
unsafe extern "C" fn getpeername(
    fd: c_int,
    address: *mut sockaddr,
    length: *mut socklen_t,
) -> c_int {
    // SAFETY: the same contract.
    unsafe { tell(fd, PEER, address, length) }
}
