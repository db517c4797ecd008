//! `sem_*`: a number in memory, which several processes may share. Those with names are in
//! [`super::named`].

use crate::errno::{self, Answer};
use crate::sys::{Result, error, futex};
use crate::time;
use core::sync::atomic::{AtomicU32, Ordering::*};
use libc::{c_int, c_uint, clockid_t, sem_t, timespec};
use logic::time::Time;

/// The highest value.
pub(super) const VALUE_MAX: u32 = i32::MAX as u32;

const _: () = assert!(size_of::<AtomicU32>() <= size_of::<sem_t>());

unsafe fn at<'a>(place: *mut sem_t) -> &'a AtomicU32 {
    // SAFETY: the caller's semaphore outlives the call and may be shared.
    unsafe { &*place.cast() }
}

fn take(value: &AtomicU32) -> bool {
    value.fetch_update(Acquire, Relaxed, |value| value.checked_sub(1)).is_ok()
}

/// Takes one, waiting for it, at most until a moment on the monotonic clock.
fn wait(value: &AtomicU32, deadline: Option<Time>) -> Result<usize> {
    while !take(value) {
        match futex::wait(value, 0, deadline) {
            Err(failure) if matches!(failure.errno, libc::EINTR | libc::ETIMEDOUT) => {
                return Err(failure);
            }
            _ => {}
        }
    }
    Ok(0)
}

/// Makes a semaphore. It is shared by all who have its memory.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_init(place: *mut sem_t, _shared: c_int, value: c_uint) -> c_int {
    if value > VALUE_MAX {
        return errno::fail(libc::EINVAL) as c_int;
    }
    // SAFETY: the caller gave a place.
    unsafe { place.cast::<AtomicU32>().write(AtomicU32::new(value)) };
    0
}

/// Nothing to give back.
#[unsafe(no_mangle)]
extern "C" fn sem_destroy(_place: *mut sem_t) -> c_int {
    0
}

/// Adds one and wakes a waiter.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_post(place: *mut sem_t) -> c_int {
    // SAFETY: the same contract.
    let value = unsafe { at(place) };
    let word = &raw const *value;
    if value.fetch_update(Release, Relaxed, |value| (value < VALUE_MAX).then(|| value + 1)).is_err()
    {
        return errno::fail(libc::EOVERFLOW) as c_int;
    }
    futex::wake(word, 1);
    0
}

/// Takes one if there is one.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_trywait(place: *mut sem_t) -> c_int {
    // SAFETY: the same contract.
    if take(unsafe { at(place) }) { 0 } else { errno::fail(libc::EAGAIN) as c_int }
}

/// Takes one, waiting for it.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_wait(place: *mut sem_t) -> c_int {
    // SAFETY: the same contract.
    wait(unsafe { at(place) }, None).zero()
}

/// Takes one, waiting for it at most until a moment on the realtime clock.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_timedwait(place: *mut sem_t, moment: *const timespec) -> c_int {
    // SAFETY: the same contract.
    unsafe { sem_clockwait(place, libc::CLOCK_REALTIME, moment) }
}

/// Takes one, waiting for it at most until a moment on a clock.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_clockwait(
    place: *mut sem_t,
    clock: clockid_t,
    moment: *const timespec,
) -> c_int {
    // SAFETY: the same contract.
    let value = unsafe { at(place) };
    let waited = || {
        if !matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_MONOTONIC) {
            return error(libc::EINVAL);
        }
        if take(value) {
            return Ok(0);
        }
        // SAFETY: the caller's time is readable.
        let moment = time::checked(unsafe { &*moment })?;
        wait(value, Some(time::on_monotonic(moment, clock)?))
    };
    waited().zero()
}

/// The value.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_getvalue(place: *mut sem_t, answer: *mut c_int) -> c_int {
    // SAFETY: the same contract, and the caller gave a place for the answer.
    unsafe { answer.write(at(place).load(Relaxed) as c_int) };
    0
}
