//! `pthread_cond_*`: a futex that counts signals. All zero is a condition on the realtime clock.

use super::attributes::condition_clock;
use super::mutex::Mutex;
use crate::sys::futex;
use crate::time;
use core::sync::atomic::{AtomicU32, Ordering::*};
use libc::{c_int, clockid_t, pthread_cond_t, pthread_condattr_t, pthread_mutex_t, timespec};
use logic::time::Time;

/// What `pthread_cond_t` holds.
#[repr(C)]
struct Condition {
    /// How many signals there were. A waiter sleeps until it changes.
    signals: AtomicU32,
    /// The clock of timed waits; 0, as in a static initialiser, means the realtime clock.
    clock: AtomicU32,
}

const _: () = assert!(size_of::<Condition>() == size_of::<pthread_cond_t>());

impl Condition {
    /// # Safety
    ///
    /// `place` points at a condition that outlives `'a`.
    unsafe fn at<'a>(place: *mut pthread_cond_t) -> &'a Self {
        // SAFETY: as promised by the caller; all fields may be shared.
        unsafe { &*place.cast() }
    }

    fn clock(&self) -> clockid_t {
        match self.clock.load(Relaxed) {
            0 => libc::CLOCK_REALTIME,
            clock => clock as clockid_t,
        }
    }

    /// Gives the mutex back, sleeps, and takes the mutex again. May wake without cause.
    fn wait(&self, mutex: &Mutex, deadline: Option<Time>) -> c_int {
        // Read while the mutex is held: a signal that comes after the unlock changes the number,
        // and the sleep does not begin.
        let seen = self.signals.load(Relaxed);
        match mutex.unlock() {
            0 => {}
            code => return code,
        }
        let slept = futex::wait(&self.signals, seen, deadline);
        let code = match mutex.lock(None) {
            0 => 0,
            code => return code,
        };
        match slept.map_err(|error| error.errno) {
            Err(libc::ETIMEDOUT) => libc::ETIMEDOUT,
            _ => code,
        }
    }

    fn signal(&self, count: u32) {
        self.signals.fetch_add(1, Relaxed);
        futex::wake(&raw const self.signals, count);
    }
}

/// Makes a condition.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_init(
    place: *mut pthread_cond_t,
    attributes: *const pthread_condattr_t,
) -> c_int {
    // SAFETY: the caller gave a place, and attributes that were initialised or null.
    unsafe {
        let clock = condition_clock(attributes);
        place
            .cast::<Condition>()
            .write(Condition { signals: AtomicU32::new(0), clock: AtomicU32::new(clock as u32) });
    }
    0
}

/// Nothing to give back.
#[unsafe(no_mangle)]
extern "C" fn pthread_cond_destroy(_place: *mut pthread_cond_t) -> c_int {
    0
}

/// Waits for a signal.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_wait(
    place: *mut pthread_cond_t,
    mutex: *mut pthread_mutex_t,
) -> c_int {
    // SAFETY: the same contract.
    unsafe { Condition::at(place).wait(Mutex::at(mutex), None) }
}

/// Waits for a signal until a moment on the condition's clock.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_timedwait(
    place: *mut pthread_cond_t,
    mutex: *mut pthread_mutex_t,
    moment: *const timespec,
) -> c_int {
    // SAFETY: the same contract; the caller's time is readable.
    unsafe {
        let condition = Condition::at(place);
        let deadline = time::checked(&*moment)
            .and_then(|moment| time::on_monotonic(moment, condition.clock()));
        match deadline {
            Ok(deadline) => condition.wait(Mutex::at(mutex), Some(deadline)),
            Err(error) => error.errno,
        }
    }
}

/// Wakes one waiter.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_signal(place: *mut pthread_cond_t) -> c_int {
    // SAFETY: the same contract.
    unsafe { Condition::at(place) }.signal(1);
    0
}

/// Wakes all waiters.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_broadcast(place: *mut pthread_cond_t) -> c_int {
    // SAFETY: the same contract.
    unsafe { Condition::at(place) }.signal(i32::MAX as u32);
    0
}
