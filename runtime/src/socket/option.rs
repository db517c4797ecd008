//! Options of sockets: what can be asked, and that nothing can be set.

use crate::errno::Answer;
use crate::sys::{Result, error, file};
use abi::socket::{NAME, OWN};
use core::ffi::c_void;
use libc::{c_int, socklen_t};

fn value(fd: c_int, level: c_int, name: c_int) -> Result<c_int> {
    super::address::ask(file::number(fd)?, &mut [0], &[NAME, OWN])?;
    match (level, name) {
        (libc::SOL_SOCKET, libc::SO_TYPE) => kind(file::number(fd)?),
        (libc::SOL_SOCKET, libc::SO_DOMAIN) => Ok(libc::AF_UNIX),
        // An error is told by the call that runs into it, so none is left over.
        (libc::SOL_SOCKET, libc::SO_ERROR) => Ok(0),
        _ => error(libc::ENOPROTOOPT),
    }
}

/// What kind of socket it is, as its scheme calls it.
fn kind(fd: usize) -> Result<c_int> {
    let mut path = [0; 64];
    let length = file::path(fd, &mut path)?;
    Ok(match path.get(..length).unwrap_or_default() {
        super::DATAGRAMS | super::NAMED_DATAGRAMS => libc::SOCK_DGRAM,
        super::SEQUENCE => libc::SOCK_SEQPACKET,
        _ => libc::SOCK_STREAM,
    })
}

/// Kind, family, and the error that is left over.
#[unsafe(no_mangle)]
unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    place: *mut c_void,
    length: *mut socklen_t,
) -> c_int {
    let told = value(fd, level, name).and_then(|value| {
        // SAFETY: the caller gave so many bytes, and may have given fewer than an `int`.
        unsafe {
            if (length.read() as usize) < size_of::<c_int>() {
                return error(libc::EINVAL);
            }
            place.cast::<c_int>().write_unaligned(value);
            length.write(size_of::<c_int>() as socklen_t);
        }
        Ok(0_isize)
    });
    told.zero()
}

/// Refused: there is nothing to set.
#[unsafe(no_mangle)]
extern "C" fn setsockopt(
    fd: c_int,
    _level: c_int,
    _name: c_int,
    _value: *const c_void,
    _length: socklen_t,
) -> c_int {
    let asked = file::number(fd)
        .and_then(|fd| super::address::ask(fd, &mut [0], &[NAME, OWN]))
        .and_then(|_| error::<usize>(libc::ENOPROTOOPT));
    asked.zero()
}
