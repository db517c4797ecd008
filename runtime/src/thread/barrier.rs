//! `pthread_barrier_*`: threads wait until enough of them have come.

use crate::sys::futex;
use core::sync::atomic::{AtomicU32, Ordering::*};
use libc::{c_int, c_uint, pthread_barrier_t, pthread_barrierattr_t};

/// What one of the waiting threads is told, and no other.
const SERIAL: c_int = -1;

/// What `pthread_barrier_t` holds.
#[repr(C)]
struct Barrier {
    /// How many have to come.
    wanted: AtomicU32,
    /// How many are there.
    come: AtomicU32,
    /// How often the barrier opened.
    round: AtomicU32,
}

const _: () = assert!(size_of::<Barrier>() <= size_of::<pthread_barrier_t>());

/// Makes a barrier for `count` threads.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_barrier_init(
    place: *mut pthread_barrier_t,
    _attributes: *const pthread_barrierattr_t,
    count: c_uint,
) -> c_int {
    if count == 0 {
        return libc::EINVAL;
    }
    let wanted = AtomicU32::new(count);
    // SAFETY: the caller gave a place.
    unsafe {
        place.cast::<Barrier>().write(Barrier {
            wanted,
            come: AtomicU32::new(0),
            round: AtomicU32::new(0),
        });
    }
    0
}

/// Nothing to give back.
#[unsafe(no_mangle)]
extern "C" fn pthread_barrier_destroy(_place: *mut pthread_barrier_t) -> c_int {
    0
}

/// Waits until all have come.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_barrier_wait(place: *mut pthread_barrier_t) -> c_int {
    // SAFETY: the caller's barrier outlives the call and may be shared.
    let barrier = unsafe { &*place.cast::<Barrier>() };
    let round = barrier.round.load(Acquire);
    if barrier.come.fetch_add(1, AcqRel) + 1 == barrier.wanted.load(Relaxed) {
        barrier.come.store(0, Relaxed);
        barrier.round.fetch_add(1, Release);
        futex::wake(&raw const barrier.round, i32::MAX as u32);
        return SERIAL;
    }
    while barrier.round.load(Acquire) == round {
        // Changed meanwhile, a signal, or no cause: look again.
        let _ = futex::wait(&barrier.round, round, None);
    }
    0
}
