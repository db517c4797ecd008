//! The lock that guards this library's own tables.

use crate::sys::futex;
use core::cell::UnsafeCell;
use core::hint::spin_loop;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering::*};
use logic::time::Time;

const FREE: u32 = 0;
const HELD: u32 = 1;
const CONTENDED: u32 = 2;

/// How often a waiter looks again before it sleeps. Most locks are held for less than the two calls
/// of a sleep and a wake take.
const SPINS: usize = 100;

/// A lock on one word: a swap when nobody waits, a futex when somebody does. All zero is a free one.
#[repr(transparent)]
pub(crate) struct RawLock(AtomicU32);

impl RawLock {
    /// A free lock.
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(FREE))
    }

    /// Takes the lock if it is free.
    pub(crate) fn try_acquire(&self) -> bool {
        self.0.compare_exchange(FREE, HELD, Acquire, Relaxed).is_ok()
    }

    /// Waits for the lock and takes it.
    pub(crate) fn acquire(&self) {
        let taken = self.acquire_by(None);
        debug_assert!(taken);
    }

    /// Waits for the lock and takes it, unless the monotonic clock reaches `deadline` first.
    pub(crate) fn acquire_by(&self, deadline: Option<Time>) -> bool {
        if self.try_acquire() {
            return true;
        }
        self.spin();
        while self.0.swap(CONTENDED, Acquire) != FREE {
            // Any other end of the wait (changed meanwhile, a signal, no cause) is a reason to try
            // again.
            let slept = futex::wait(&self.0, CONTENDED, deadline);
            if slept.is_err_and(|error| error.errno == libc::ETIMEDOUT) {
                return false;
            }
        }
        true
    }

    /// Looks for a while whether the holder gives the lock back. Not when others sleep already:
    /// they came first.
    fn spin(&self) {
        for _ in 0..SPINS {
            if self.0.load(Relaxed) != HELD {
                return;
            }
            spin_loop();
        }
    }

    /// Whether nobody holds it.
    pub(crate) fn is_free(&self) -> bool {
        self.0.load(Relaxed) == FREE
    }

    /// Gives the lock back. Only its holder may.
    pub(crate) fn release(&self) {
        // After the swap another thread may take the lock, release it and free its memory, so only
        // its address is used from here.
        let word = &raw const self.0;
        if self.0.swap(FREE, Release) == CONTENDED {
            futex::wake(word, 1);
        }
    }
}

/// A value behind a [`RawLock`].
pub(crate) struct Lock<T> {
    raw: RawLock,
    value: UnsafeCell<T>,
}

// SAFETY: the value is only reached by the holder of the lock, one thread at a time.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// A free lock around `value`.
    pub(crate) const fn new(value: T) -> Self {
        Self { raw: RawLock::new(), value: UnsafeCell::new(value) }
    }

    /// Waits for the lock.
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        self.raw.acquire();
        Guard(self)
    }

    /// The bare lock: `fork` holds it across the call, so that the child finds the value whole.
    pub(crate) fn raw(&self) -> &RawLock {
        &self.raw
    }
}

/// Holding the lock.
pub(crate) struct Guard<'a, T>(&'a Lock<T>);

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock, and is borrowed mutably.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.0.raw.release();
    }
}
