//! Sockets: so far only pairs within a process and its children, over `pipe:pair`.

use crate::errno::{self, Answer};
use crate::sys::file::{self, File};
use crate::sys::{Result, error, syscall};
use abi::number::O_CLOEXEC;
use abi::redox::flag::{O_NONBLOCK, O_RDWR};
use abi::redox::number::{SYS_READ, SYS_WRITE};
use core::ffi::c_void;
use libc::{c_int, size_t, ssize_t};

fn create(family: c_int, kind: c_int, protocol: c_int) -> Result<(File, File)> {
    let flags = kind & (libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK);
    if family != libc::AF_UNIX {
        return error(libc::EAFNOSUPPORT);
    }
    if kind & !flags != libc::SOCK_STREAM || protocol != 0 {
        return error(libc::EPROTONOSUPPORT);
    }
    let status = if flags & libc::SOCK_NONBLOCK != 0 { O_NONBLOCK } else { 0 };
    let on_exec = if flags & libc::SOCK_CLOEXEC != 0 { O_CLOEXEC } else { 0 };
    let one = File::open(b"pipe:pair", O_RDWR | status | on_exec)?;
    // The other end inherits the status flags, but not close-on-exec.
    let other = File::adopt(file::dup(one.fd(), b"peer")?);
    if on_exec != 0 {
        file::set_close_on_exec(other.fd())?;
    }
    Ok((one, other))
}

/// Makes two connected sockets. Only streams of `AF_UNIX`.
#[unsafe(no_mangle)]
unsafe extern "C" fn socketpair(
    family: c_int,
    kind: c_int,
    protocol: c_int,
    places: *mut c_int,
) -> c_int {
    let made = create(family, kind, protocol).map(|(one, other)| {
        // SAFETY: the caller gave two places.
        unsafe {
            places.write(one.into_fd() as c_int);
            places.add(1).write(other.into_fd() as c_int);
        }
        0_isize
    });
    made.int()
}

/// Moves bytes once. No flag has a meaning here yet, so none is taken.
///
/// # Safety
///
/// The buffer fits the call: readable for a write, the caller's to fill for a read.
unsafe fn transfer(call: usize, fd: c_int, buffer: usize, length: size_t, flags: c_int) -> ssize_t {
    if flags != 0 {
        return errno::fail(libc::EOPNOTSUPP);
    }
    // SAFETY: as promised by the caller.
    let moved = file::number(fd).and_then(|fd| unsafe { syscall(call, [fd, buffer, length]) });
    moved.size()
}

/// Reads from a socket; without flags the same as `read`.
#[unsafe(no_mangle)]
unsafe extern "C" fn recv(fd: c_int, buffer: *mut c_void, length: size_t, flags: c_int) -> ssize_t {
    // SAFETY: the caller gave `length` bytes to fill.
    unsafe { transfer(SYS_READ, fd, buffer as usize, length, flags) }
}

/// Writes to a socket; without flags the same as `write`.
#[unsafe(no_mangle)]
unsafe extern "C" fn send(
    fd: c_int,
    buffer: *const c_void,
    length: size_t,
    flags: c_int,
) -> ssize_t {
    // SAFETY: the caller gave `length` bytes to read.
    unsafe { transfer(SYS_WRITE, fd, buffer as usize, length, flags) }
}
