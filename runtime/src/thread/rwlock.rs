//! `pthread_rwlock_*`: one word. All zero is a free lock.

use crate::sys::futex;
use core::sync::atomic::{AtomicU32, Ordering::*};
use libc::{c_int, pthread_rwlock_t, pthread_rwlockattr_t};

/// A writer holds it.
const WRITER: u32 = 1 << 31;
/// Somebody sleeps until it is free.
const WAITING: u32 = 1 << 30;
/// How many readers hold it.
const READERS: u32 = WAITING - 1;

/// What `pthread_rwlock_t` holds.
struct RwLock(AtomicU32);

const _: () = assert!(size_of::<RwLock>() == size_of::<pthread_rwlock_t>());

impl RwLock {
    /// # Safety
    ///
    /// `place` points at a lock that outlives `'a`.
    unsafe fn at<'a>(place: *mut pthread_rwlock_t) -> &'a Self {
        // SAFETY: as promised by the caller; the word may be shared.
        unsafe { &*place.cast() }
    }

    /// Takes the lock once; `change` gives the new word, or `None` when it has to wait.
    fn try_take(&self, change: impl Fn(u32) -> Option<u32>) -> Result<(), u32> {
        self.0.fetch_update(Acquire, Relaxed, change).map(drop)
    }

    fn take(&self, change: impl Fn(u32) -> Option<u32>) {
        while let Err(seen) = self.try_take(&change) {
            let marked = seen | WAITING;
            if seen == marked || self.0.compare_exchange(seen, marked, Relaxed, Relaxed).is_ok() {
                // Changed meanwhile, a signal, or no cause: try again.
                let _ = futex::wait(&self.0, marked, None);
            }
        }
    }

    fn release(&self) -> c_int {
        let word = &raw const self.0;
        let release = |word: u32| match word {
            _ if word & WRITER != 0 => Some(0),
            _ if word & READERS > 1 => Some(word - 1),
            _ if word & READERS == 1 => Some(0),
            _ => None,
        };
        match self.0.fetch_update(Release, Relaxed, release) {
            Ok(old) => {
                if old & WAITING != 0 && release(old) == Some(0) {
                    futex::wake(word, i32::MAX as u32);
                }
                0
            }
            Err(_) => libc::EPERM,
        }
    }
}

/// One more reader, unless a writer holds the lock.
fn reading(word: u32) -> Option<u32> {
    (word & WRITER == 0 && word & READERS < READERS).then_some(word + 1)
}

/// The writer, if nobody holds the lock.
fn writing(word: u32) -> Option<u32> {
    (word & (WRITER | READERS) == 0).then_some(word | WRITER)
}

/// Makes a lock.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_init(
    place: *mut pthread_rwlock_t,
    _attributes: *const pthread_rwlockattr_t,
) -> c_int {
    // SAFETY: the caller gave a place.
    unsafe { place.cast::<RwLock>().write(RwLock(AtomicU32::new(0))) };
    0
}

/// Nothing to give back.
#[unsafe(no_mangle)]
extern "C" fn pthread_rwlock_destroy(_place: *mut pthread_rwlock_t) -> c_int {
    0
}

/// Takes a lock for reading.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_rdlock(place: *mut pthread_rwlock_t) -> c_int {
    // SAFETY: the same contract.
    unsafe { RwLock::at(place) }.take(reading);
    0
}

/// Takes a lock for reading if no writer holds it.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_tryrdlock(place: *mut pthread_rwlock_t) -> c_int {
    // SAFETY: the same contract.
    unsafe { RwLock::at(place) }.try_take(reading).map_or(libc::EBUSY, |()| 0)
}

/// Takes a lock for writing.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_wrlock(place: *mut pthread_rwlock_t) -> c_int {
    // SAFETY: the same contract.
    unsafe { RwLock::at(place) }.take(writing);
    0
}

/// Takes a lock for writing if it is free.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_trywrlock(place: *mut pthread_rwlock_t) -> c_int {
    // SAFETY: the same contract.
    unsafe { RwLock::at(place) }.try_take(writing).map_or(libc::EBUSY, |()| 0)
}

/// Gives a lock back.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_unlock(place: *mut pthread_rwlock_t) -> c_int {
    // SAFETY: the same contract.
    unsafe { RwLock::at(place) }.release()
}
