//! Advisory locks on files: no scheme keeps any yet.

use crate::errno;
use libc::{c_int, off_t};

/// Refused: a lock that does not lock would lose somebody's data.
#[unsafe(no_mangle)]
extern "C" fn flock(_fd: c_int, _operation: c_int) -> c_int {
    errno::fail(libc::ENOSYS) as c_int
}

/// Refused, as [`flock`].
#[unsafe(no_mangle)]
extern "C" fn lockf(_fd: c_int, _command: c_int, _length: off_t) -> c_int {
    errno::fail(libc::ENOSYS) as c_int
}
