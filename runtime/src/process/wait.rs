//! Waiting for children.

use crate::errno::Answer;
use crate::pointer;
use crate::sys::{Result, error, syscall};
use abi::number::{WAIT, WLIVING};
use abi::signal::SigInfo;
use abi::wait::{Change, Ended};
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

/// `P_ALL`, `P_PID` and `P_PGID`, which the `libc` crate does not have for this target.
const P_ALL: c_int = 0;
const P_PID: c_int = 1;
const P_PGID: c_int = 2;

/// Why the parent of a child hears of it: `CLD_*`.
const EXITED: i32 = 1;
const KILLED: i32 = 2;
const STOPPED: i32 = 5;
const CONTINUED: i32 = 6;

/// What C is told of a child.
fn details(child: usize, word: c_int) -> SigInfo {
    let (code, status) = match (Change::from_status(word), Ended::from_status(word)) {
        (Some(Change::Stopped(signal)), _) => (STOPPED, signal),
        (Some(Change::Continued), _) => (CONTINUED, libc::SIGCONT as u8),
        (None, Ended::Exited(status)) => (EXITED, status),
        (None, Ended::Signalled(signal)) => (KILLED, signal),
    };
    SigInfo {
        signo: libc::SIGCHLD,
        code,
        pid: child as i32,
        status: i32::from(status),
        ..SigInfo::default()
    }
}

fn wait_id(kind: c_int, id: libc::id_t, options: c_int) -> Result<SigInfo> {
    const WHAT: c_int = libc::WEXITED | libc::WSTOPPED | libc::WCONTINUED;
    if options & WHAT == 0 || options & !(WHAT | libc::WNOHANG | libc::WNOWAIT) != 0 {
        return error(libc::EINVAL);
    }
    // The kernel reports an end unless it is told not to.
    let is_living = if options & libc::WEXITED == 0 { WLIVING as c_int } else { 0 };
    let pid = match kind {
        P_ALL => -1,
        P_PID if id > 0 => id as pid_t,
        P_PGID => -(id as pid_t),
        _ => return error(libc::EINVAL),
    };
    let (child, word) = wait_for(pid, options & !libc::WEXITED | is_living)?;
    Ok(if child == 0 { SigInfo::default() } else { details(child, word) })
}

/// Waits for a child, and tells what became of it in the form that `SIGCHLD` has.
#[unsafe(no_mangle)]
unsafe extern "C" fn waitid(
    kind: c_int,
    id: libc::id_t,
    info: *mut libc::siginfo_t,
    options: c_int,
) -> c_int {
    const { assert!(size_of::<SigInfo>() <= size_of::<libc::siginfo_t>()) };
    let waited = wait_id(kind, id, options).map(|details| {
        // SAFETY: the caller gave a place for the answer, or null.
        unsafe { pointer::store(info.cast(), details) };
        0_isize
    });
    waited.int()
}
