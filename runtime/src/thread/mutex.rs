//! `pthread_mutex_*`: a futex with an owner. All zero is a free mutex of the default kind.

use super::attributes::mutex_kind;
use super::record::current_id;
use crate::lock::RawLock;
use crate::time;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;
use libc::{c_int, pthread_mutex_t, pthread_mutexattr_t, timespec};
use logic::time::Time;

const ERRORCHECK: u32 = libc::PTHREAD_MUTEX_ERRORCHECK as u32;
const RECURSIVE: u32 = libc::PTHREAD_MUTEX_RECURSIVE as u32;

/// The kind is in the low byte of the last word; above it a recursive mutex counts how often its
/// owner holds it beyond the first time.
const KIND: u32 = 0xFF;
const ONCE_MORE: u32 = KIND + 1;

/// What `pthread_mutex_t` holds.
#[repr(C)]
pub(super) struct Mutex {
    lock: RawLock,
    /// The owner's thread id; 0 when free.
    owner: AtomicU32,
    kind_and_depth: AtomicU32,
}

const _: () = assert!(size_of::<Mutex>() == size_of::<pthread_mutex_t>());

impl Mutex {
    /// # Safety
    ///
    /// `place` points at a mutex that outlives `'a`.
    pub(super) unsafe fn at<'a>(place: *mut pthread_mutex_t) -> &'a Self {
        // SAFETY: as promised by the caller; all fields may be shared.
        unsafe { &*place.cast() }
    }

    fn kind(&self) -> u32 {
        self.kind_and_depth.load(Relaxed) & KIND
    }

    /// Deals with a mutex that the caller holds already; `None` when it does not.
    fn held_already(&self, trying: bool) -> Option<c_int> {
        if !matches!(self.kind(), ERRORCHECK | RECURSIVE)
            || self.owner.load(Relaxed) != current_id()
        {
            return None;
        }
        if self.kind() == ERRORCHECK {
            return Some(if trying { libc::EBUSY } else { libc::EDEADLK });
        }
        let depth = self.kind_and_depth.load(Relaxed);
        let Some(deeper) = depth.checked_add(ONCE_MORE) else {
            return Some(libc::EAGAIN);
        };
        self.kind_and_depth.store(deeper, Relaxed);
        Some(0)
    }

    /// Takes the mutex, waiting until `deadline` on the monotonic clock if there is one.
    pub(super) fn lock(&self, deadline: Option<Time>) -> c_int {
        if let Some(code) = self.held_already(false) {
            return code;
        }
        if !self.lock.acquire_by(deadline) {
            return libc::ETIMEDOUT;
        }
        self.own();
        0
    }

    fn own(&self) {
        // Only those kinds that ask who holds them pay for the answer.
        if matches!(self.kind(), ERRORCHECK | RECURSIVE) {
            self.owner.store(current_id(), Relaxed);
        }
    }

    fn try_lock(&self) -> c_int {
        if let Some(code) = self.held_already(true) {
            return code;
        }
        if !self.lock.try_acquire() {
            return libc::EBUSY;
        }
        self.own();
        0
    }

    pub(super) fn unlock(&self) -> c_int {
        if matches!(self.kind(), ERRORCHECK | RECURSIVE) {
            if self.owner.load(Relaxed) != current_id() {
                return libc::EPERM;
            }
            let depth = self.kind_and_depth.load(Relaxed);
            if depth >= ONCE_MORE {
                self.kind_and_depth.store(depth - ONCE_MORE, Relaxed);
                return 0;
            }
            self.owner.store(0, Relaxed);
        }
        self.lock.release();
        0
    }
}

/// Makes a mutex.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_init(
    place: *mut pthread_mutex_t,
    attributes: *const pthread_mutexattr_t,
) -> c_int {
    // SAFETY: the caller gave a place, and attributes that were initialised or null.
    unsafe {
        place.cast::<Mutex>().write(Mutex {
            lock: RawLock::new(),
            owner: AtomicU32::new(0),
            kind_and_depth: AtomicU32::new(mutex_kind(attributes)),
        });
    }
    0
}

/// Checks that nobody holds a mutex that goes away.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_destroy(place: *mut pthread_mutex_t) -> c_int {
    // SAFETY: the same contract.
    if unsafe { Mutex::at(place) }.lock.is_free() { 0 } else { libc::EBUSY }
}

/// Takes a mutex.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_lock(place: *mut pthread_mutex_t) -> c_int {
    // SAFETY: the same contract.
    unsafe { Mutex::at(place) }.lock(None)
}

/// Takes a mutex until a moment on the realtime clock.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_timedlock(
    place: *mut pthread_mutex_t,
    moment: *const timespec,
) -> c_int {
    // SAFETY: the caller's time is readable.
    let deadline = time::checked(unsafe { &*moment })
        .and_then(|moment| time::on_monotonic(moment, libc::CLOCK_REALTIME));
    match deadline {
        // SAFETY: the same contract.
        Ok(deadline) => unsafe { Mutex::at(place) }.lock(Some(deadline)),
        Err(error) => error.errno,
    }
}

/// Takes a mutex if it is free.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_trylock(place: *mut pthread_mutex_t) -> c_int {
    // SAFETY: the same contract.
    unsafe { Mutex::at(place) }.try_lock()
}

/// Gives a mutex back.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_unlock(place: *mut pthread_mutex_t) -> c_int {
    // SAFETY: the same contract.
    unsafe { Mutex::at(place) }.unlock()
}
