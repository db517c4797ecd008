//! Sockets, as far as there are any: connected pairs, which are `pipe:pair`.

use crate::errno::Answer;
use crate::sys::file::{self, File};
use crate::sys::{Result, error, syscall};
use abi::number::O_CLOEXEC;
use abi::redox::flag::{O_NONBLOCK, O_RDWR};
use abi::redox::number::{SYS_READ, SYS_WRITE};
use core::ffi::c_void;
use libc::{c_int, size_t, ssize_t};

/// The flags that may be added to a socket's type.
const FLAGS: c_int = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;

fn pair(family: c_int, kind: c_int, protocol: c_int) -> Result<(File, File)> {
    if family != libc::AF_UNIX {
        return error(libc::ENOSYS);
    }
    if kind & !FLAGS != libc::SOCK_STREAM || protocol != 0 {
        return error(libc::EPROTONOSUPPORT);
    }
    let nonblocking = if kind & libc::SOCK_NONBLOCK != 0 { O_NONBLOCK } else { 0 };
    let close_on_exec = if kind & libc::SOCK_CLOEXEC != 0 { O_CLOEXEC } else { 0 };
    let one = File::open(b"pipe:pair", O_RDWR | nonblocking | close_on_exec)?;
    // The other end inherits `O_NONBLOCK`, but not close-on-exec.
    let other = File::adopt(file::dup(one.fd(), b"other")?);
    if close_on_exec != 0 {
        file::set_close_on_exec(other.fd())?;
    }
    Ok((one, other))
}

/// Makes two sockets that are connected to each other.
#[unsafe(no_mangle)]
unsafe extern "C" fn socketpair(
    family: c_int,
    kind: c_int,
    protocol: c_int,
    places: *mut c_int,
) -> c_int {
    let made = pair(family, kind, protocol).map(|(one, other)| {
        // SAFETY: the caller gave two places.
        unsafe {
            places.write(one.into_fd() as c_int);
            places.add(1).write(other.into_fd() as c_int);
        }
        0_isize
    });
    made.int()
}

/// The descriptor for a transfer without flags, of which none are supported.
fn plain(fd: c_int, flags: c_int) -> Result<usize> {
    if flags != 0 { error(libc::EOPNOTSUPP) } else { file::number(fd) }
}

/// Receives bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn recv(fd: c_int, buffer: *mut c_void, length: size_t, flags: c_int) -> ssize_t {
    // SAFETY: the buffer is the caller's to fill.
    plain(fd, flags)
        .and_then(|fd| unsafe { syscall(SYS_READ, [fd, buffer as usize, length]) })
        .size()
}

/// Sends bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn send(
    fd: c_int,
    buffer: *const c_void,
    length: size_t,
    flags: c_int,
) -> ssize_t {
    let start = buffer as usize;
    // SAFETY: the buffer is only read.
    plain(fd, flags).and_then(|fd| unsafe { syscall(SYS_WRITE, [fd, start, length]) }).size()
}
