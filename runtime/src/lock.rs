//! The lock that guards this library's own tables.

use crate::sys::futex;
use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering::*};

const FREE: u32 = 0;
const HELD: u32 = 1;
const CONTENDED: u32 = 2;

/// A lock on one word: a swap when nobody waits, a futex when somebody does.
pub(crate) struct RawLock(AtomicU32);

impl RawLock {
    /// A free lock.
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(FREE))
    }

    /// Waits for the lock and takes it.
    pub(crate) fn acquire(&self) {
        if self.0.compare_exchange(FREE, HELD, Acquire, Relaxed).is_ok() {
            return;
        }
        while self.0.swap(CONTENDED, Acquire) != FREE {
            // Waking without cause and signals lead to another try; nothing else can fail.
            let _ = futex::wait(&self.0, CONTENDED, None);
        }
    }

    /// Gives the lock back. Only its holder may.
    pub(crate) fn release(&self) {
        if self.0.swap(FREE, Release) == CONTENDED {
            futex::wake(&raw const self.0, 1);
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
