//! Sleeping until a word in memory changes.

use super::{Error, Result, error, syscall};
use crate::time;
use abi::redox::data::TimeSpec;
use abi::redox::flag::{FUTEX_WAIT, FUTEX_WAKE};
use abi::redox::number::SYS_FUTEX;
use core::sync::atomic::AtomicU32;
use logic::time::Time;

/// Sleeps while `word` holds `expected`, at most until `deadline` on the monotonic clock. May wake
/// without cause.
///
/// # Errors
///
/// `EAGAIN` the word holds something else, `ETIMEDOUT`, `EINTR`.
pub(crate) fn wait(word: &AtomicU32, expected: u32, deadline: Option<Time>) -> Result<()> {
    // The kernel takes how long, not until when.
    let left = match deadline {
        Some(deadline) => match deadline.since(time::read(libc::CLOCK_MONOTONIC)?) {
            Some(left) => Some(left),
            None => return error(libc::ETIMEDOUT),
        },
        None => None,
    };
    let timeout = left.map(|left| TimeSpec {
        tv_sec: left.seconds,
        tv_nsec: i32::try_from(left.nanoseconds).unwrap_or(i32::MAX),
    });
    let timeout = timeout.as_ref().map_or(0, |timeout| &raw const *timeout as usize);
    let arguments = [word.as_ptr() as usize, FUTEX_WAIT, expected as usize, timeout];
    // SAFETY: the kernel reads the word and the timeout, and writes neither.
    unsafe { syscall(SYS_FUTEX, arguments) }.map(drop)
}

/// Wakes at most `count` sleepers. The word is never looked at, so it may be gone already.
pub(crate) fn wake(word: *const AtomicU32, count: u32) {
    // SAFETY: a wake does not touch the word.
    let woken = unsafe { syscall(SYS_FUTEX, [word as usize, FUTEX_WAKE, count as usize]) };
    debug_assert!(!matches!(woken, Err(Error { errno: libc::EINVAL })));
}
