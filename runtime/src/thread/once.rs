//! `pthread_once`. All zero is: not yet.

use crate::sys::futex;
use core::sync::atomic::{AtomicU32, Ordering::*};
use libc::{c_int, pthread_once_t};

const NOT_YET: u32 = 0;
const RUNNING: u32 = 1;
const DONE: u32 = 2;

/// Calls a function the first time; later calls return when it has returned.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_once(place: *mut pthread_once_t, function: extern "C" fn()) -> c_int {
    const { assert!(size_of::<AtomicU32>() == size_of::<pthread_once_t>()) };
    // SAFETY: the caller's word outlives the call and may be shared.
    let state = unsafe { &*place.cast::<AtomicU32>() };
    loop {
        match state.compare_exchange(NOT_YET, RUNNING, Acquire, Acquire) {
            Ok(_) => {
                function();
                state.store(DONE, Release);
                futex::wake(&raw const *state, i32::MAX as u32);
                return 0;
            }
            Err(DONE) => return 0,
            // Changed meanwhile, a signal, or no cause: look again.
            Err(_) => drop(futex::wait(state, RUNNING, None)),
        }
    }
}
