//! Advisory locks on whole files, which the file's scheme keeps.

use crate::errno::{self, Answer};
use crate::sys::{Result, error, file};
use abi::lock::{EXCLUSIVE, LOCK, NO_WAIT, SHARED, UNLOCK};
use libc::{c_int, off_t};

const _: () = assert!(
    libc::LOCK_SH as u64 == SHARED
        && libc::LOCK_EX as u64 == EXCLUSIVE
        && libc::LOCK_NB as u64 == NO_WAIT
        && libc::LOCK_UN as u64 == UNLOCK
);

fn lock(fd: c_int, operation: c_int) -> Result<usize> {
    let operation = u64::try_from(operation).or_else(|_| error(libc::EINVAL))?;
    file::message(file::number(fd)?, &mut [], &[LOCK, operation])
}

/// Locks a file, or gives the lock back.
#[unsafe(no_mangle)]
extern "C" fn flock(fd: c_int, operation: c_int) -> c_int {
    lock(fd, operation).zero()
}

/// Refused: schemes lock whole files.
#[unsafe(no_mangle)]
extern "C" fn lockf(_fd: c_int, _command: c_int, _length: off_t) -> c_int {
    errno::fail(libc::ENOSYS) as c_int
}
