//! `sem_*` without names: a number in the caller's memory.

use crate::errno;
use crate::sys::futex;
use core::sync::atomic::{AtomicU32, Ordering::*};
use libc::{c_int, c_uint, sem_t};

/// The highest value.
const VALUE_MAX: u32 = i32::MAX as u32;

const _: () = assert!(size_of::<AtomicU32>() <= size_of::<sem_t>());

unsafe fn at<'a>(place: *mut sem_t) -> &'a AtomicU32 {
    // SAFETY: the caller's semaphore outlives the call and may be shared.
    unsafe { &*place.cast() }
}

fn take(value: &AtomicU32) -> bool {
    value.fetch_update(Acquire, Relaxed, |value| value.checked_sub(1)).is_ok()
}

/// Makes a semaphore.
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
    let value = unsafe { at(place) };
    while !take(value) {
        if let Err(error) = futex::wait(value, 0, None)
            && error.errno == libc::EINTR
        {
            return errno::fail(libc::EINTR) as c_int;
        }
    }
    0
}

/// The value.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_getvalue(place: *mut sem_t, answer: *mut c_int) -> c_int {
    // SAFETY: the same contract, and the caller gave a place for the answer.
    unsafe { answer.write(at(place).load(Relaxed) as c_int) };
    0
}
