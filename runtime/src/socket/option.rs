//! Options of sockets: what a socket is, how long its calls wait, and some that have no effect here.

use super::address::ask;
use crate::errno::Answer;
use crate::sys::{Result, error, file};
use abi::number::{F_READ_TIMEOUT, F_WRITE_TIMEOUT, ONLY_ASK};
use abi::socket::{DATAGRAM_MAX, LISTENS, NAME, OWN, PEER_IDS};
use core::ffi::c_void;
use libc::{c_int, socklen_t, suseconds_t, time_t, timeval, ucred};

const NANOSECONDS: u64 = 1_000_000_000;

/// The `fcntl` command behind an option that is a timeout.
fn timeout(name: c_int) -> Option<usize> {
    match name {
        libc::SO_RCVTIMEO => Some(F_READ_TIMEOUT),
        libc::SO_SNDTIMEO => Some(F_WRITE_TIMEOUT),
        _ => None,
    }
}

/// Says nothing about what is no socket.
fn socket(fd: c_int, level: c_int) -> Result<usize> {
    let fd = file::number(fd)?;
    ask(fd, &mut [0], &[NAME, OWN])?;
    if level == libc::SOL_SOCKET { Ok(fd) } else { error(libc::ENOPROTOOPT) }
}

/// An option that is a number.
fn value(fd: usize, name: c_int) -> Result<c_int> {
    match name {
        libc::SO_TYPE => kind(fd),
        libc::SO_DOMAIN => Ok(libc::AF_UNIX),
        // An error is told by the call that runs into it, so none is left over.
        libc::SO_ERROR | libc::SO_PROTOCOL => Ok(0),
        // Only sockets that are not connected know the question.
        libc::SO_ACCEPTCONN => Ok(ask(fd, &mut [], &[LISTENS]).unwrap_or_default() as c_int),
        libc::SO_SNDBUF | libc::SO_RCVBUF => Ok(DATAGRAM_MAX as c_int),
        libc::SO_REUSEADDR | libc::SO_KEEPALIVE | libc::SO_BROADCAST => Ok(0),
        _ => error(libc::ENOPROTOOPT),
    }
}

/// What kind of socket it is, as its scheme calls it.
pub(super) fn kind(fd: usize) -> Result<c_int> {
    let mut path = [0; 64];
    let length = file::path(fd, &mut path)?;
    Ok(match path.get(..length).unwrap_or_default() {
        super::DATAGRAMS | super::NAMED_DATAGRAMS => libc::SOCK_DGRAM,
        super::SEQUENCE | super::NAMED_SEQUENCE => libc::SOCK_SEQPACKET,
        _ => libc::SOCK_STREAM,
    })
}

/// Writes an answer, cut to the room there is, and how long it is.
///
/// # Safety
///
/// `length` holds how many bytes there are at `place`, and both may be written.
unsafe fn answer<T>(value: T, place: *mut c_void, length: *mut socklen_t) {
    // SAFETY: as promised by the caller.
    unsafe {
        let count = (length.read() as usize).min(size_of::<T>());
        let bytes = (&raw const value).cast::<u8>();
        bytes.copy_to_nonoverlapping(place.cast(), count);
        length.write(count as socklen_t);
    }
}

/// Tells an option.
#[unsafe(no_mangle)]
unsafe extern "C" fn getsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    place: *mut c_void,
    length: *mut socklen_t,
) -> c_int {
    let told = socket(fd, level).and_then(|fd| {
        // SAFETY: the caller gave so many bytes.
        unsafe {
            if name == libc::SO_PEERCRED {
                let mut ids = [0; 3 * size_of::<u32>()];
                ask(fd, &mut ids, &[PEER_IDS])?;
                let word = |at: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|byte| ids[at + byte]));
                let (pid, uid, gid) = (word(0) as c_int, word(4) as c_int, word(8) as c_int);
                answer(ucred { pid, uid, gid }, place, length);
            } else if let Some(command) = timeout(name) {
                let timeout = file::fcntl(fd, command, ONLY_ASK)? as u64;
                let microseconds = timeout % NANOSECONDS / 1000;
                let (tv_sec, tv_usec) = (timeout / NANOSECONDS, microseconds as suseconds_t);
                answer(timeval { tv_sec: tv_sec as time_t, tv_usec }, place, length);
            } else {
                if (length.read() as usize) < size_of::<c_int>() {
                    return error(libc::EINVAL);
                }
                answer(value(fd, name)?, place, length);
            }
        }
        Ok(0_isize)
    });
    told.zero()
}

/// A timeout as the kernel has it: 0 is none, and as good as none when it is too long to count.
fn nanoseconds(time: timeval) -> Result<usize> {
    let microseconds = i64::from(time.tv_usec);
    if !(0..1_000_000).contains(&microseconds) {
        return error(libc::EDOM);
    }
    // One that has passed already, as on Linux: the call does not wait.
    let Ok(seconds) = u64::try_from(time.tv_sec) else { return Ok(1) };
    let whole = seconds.checked_mul(NANOSECONDS);
    Ok(whole.and_then(|whole| whole.checked_add(microseconds as u64 * 1000)).unwrap_or(0) as usize)
}

/// Sets an option.
#[unsafe(no_mangle)]
unsafe extern "C" fn setsockopt(
    fd: c_int,
    level: c_int,
    name: c_int,
    value: *const c_void,
    length: socklen_t,
) -> c_int {
    let set = socket(fd, level).and_then(|fd| match (timeout(name), name) {
        (Some(_), _) if (length as usize) < size_of::<timeval>() => error(libc::EINVAL),
        (Some(command), _) => {
            // SAFETY: the caller gave so many bytes.
            let time = unsafe { value.cast::<timeval>().read_unaligned() };
            file::fcntl(fd, command, nanoseconds(time)?)
        }
        (None, libc::SO_SNDBUF | libc::SO_RCVBUF) => Ok(0),
        (None, libc::SO_REUSEADDR | libc::SO_KEEPALIVE | libc::SO_BROADCAST) => Ok(0),
        (None, _) => error(libc::ENOPROTOOPT),
    });
    set.zero()
}
