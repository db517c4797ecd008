//! Waiting for children.

use crate::errno::{self, Answer};
use crate::pointer;
use crate::sys::{Result, syscall};
use abi::number::WAIT;
use libc::{c_int, pid_t};

/// Waits for a child. Returns its pid, 0 under `WNOHANG`, and its status word.
pub(crate) fn wait_for(pid: pid_t, options: c_int) -> Result<(usize, c_int)> {
    let mut status: c_int = 0;
    let arguments = [pid as isize as usize, &raw mut status as usize, options as usize];
    // SAFETY: the kernel fills the status.
    let child = unsafe { syscall(WAIT, arguments) }?;
    Ok((child, status))
}

/// Waits for a child that `pid` describes.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn waitpid(pid: pid_t, status: *mut c_int, options: c_int) -> pid_t {
    let answer = wait_for(pid, options).map(|(child, word)| {
        if child != 0 {
            // SAFETY: the caller gave a place for the answer, or null.
            unsafe { pointer::store(status, word) };
        }
        child
    });
    answer.int()
}

/// Waits for any child.
#[unsafe(no_mangle)]
unsafe extern "C" fn wait(status: *mut c_int) -> pid_t {
    // SAFETY: the same contract.
    unsafe { waitpid(-1, status, 0) }
}

/// Refused: `WAIT` knows no way to leave the child waitable.
#[unsafe(no_mangle)]
extern "C" fn waitid(
    _kind: c_int,
    _id: libc::id_t,
    _info: *mut libc::siginfo_t,
    _: c_int,
) -> c_int {
    errno::fail(libc::ENOSYS) as c_int
}
