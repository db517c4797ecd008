//! `pthread_attr_t` and the attributes of locks: small structures in the caller's memory.

use super::record::{self, Thread};
use crate::pointer;
use abi::PAGE_SIZE;
use core::ffi::c_void;
use core::sync::atomic::Ordering::Relaxed;
use libc::{
    c_int, clockid_t, pthread_attr_t, pthread_condattr_t, pthread_mutexattr_t,
    pthread_rwlockattr_t, pthread_t, size_t,
};

/// Stack of a thread when nothing else is asked for. Pages that are never touched cost nothing.
const STACK: usize = 2 << 20;

/// The least stack that a thread gets. Fewer bytes may be asked for, but not fewer than
/// `PTHREAD_STACK_MIN`.
const STACK_MIN: usize = 4 * PAGE_SIZE;

/// How a new thread is to be.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct ThreadAttributes {
    pub(crate) stack: usize,
    pub(crate) detached: c_int,
    /// Where the stack of a thread that was asked for is.
    pub(crate) address: usize,
}

const _: () = assert!(size_of::<ThreadAttributes>() <= size_of::<pthread_attr_t>());

/// `PTHREAD_CREATE_DETACHED`.
const DETACHED: c_int = 1;

impl ThreadAttributes {
    const DEFAULT: Self = Self { stack: STACK, detached: 0, address: 0 };

    /// # Safety
    ///
    /// `place` is null or was set by `pthread_attr_init`.
    pub(crate) unsafe fn read(place: *const pthread_attr_t) -> Self {
        let default = Self::DEFAULT;
        // SAFETY: as promised by the caller.
        unsafe { pointer::load(place.cast()) }.unwrap_or(default)
    }
}

/// Sets a thread's attributes to the default.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_attr_init(place: *mut pthread_attr_t) -> c_int {
    // SAFETY: the caller gave a place; the structure fits.
    unsafe { place.cast::<ThreadAttributes>().write(ThreadAttributes::DEFAULT) };
    0
}

/// Nothing to give back.
#[unsafe(no_mangle)]
extern "C" fn pthread_attr_destroy(_place: *mut pthread_attr_t) -> c_int {
    0
}

/// Sets the size of the stack.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_attr_setstacksize(place: *mut pthread_attr_t, size: size_t) -> c_int {
    if size < libc::PTHREAD_STACK_MIN || size > isize::MAX as usize {
        return libc::EINVAL;
    }
    let stack = size.next_multiple_of(PAGE_SIZE).max(STACK_MIN);
    // SAFETY: the caller's attributes were initialised.
    unsafe { (*place.cast::<ThreadAttributes>()).stack = stack };
    0
}

/// The size of the stack.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_attr_getstacksize(
    place: *const pthread_attr_t,
    size: *mut size_t,
) -> c_int {
    // SAFETY: the caller's attributes were initialised, and there is a place for the answer.
    unsafe { size.write((*place.cast::<ThreadAttributes>()).stack) };
    0
}

/// The attributes of a thread that runs.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_getattr_np(thread: pthread_t, place: *mut pthread_attr_t) -> c_int {
    // SAFETY: the caller's thread has not been joined, and there is a place for the answer.
    unsafe {
        let thread = &*thread.cast::<Thread>();
        let (address, stack) = thread.stack;
        let detached = c_int::from(thread.state.load(Relaxed) == record::DETACHED);
        place.cast::<ThreadAttributes>().write(ThreadAttributes { stack, detached, address });
    }
    0
}

/// Where the stack is, and how long: of attributes that [`pthread_getattr_np`] gave.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_attr_getstack(
    place: *const pthread_attr_t,
    address: *mut *mut c_void,
    size: *mut size_t,
) -> c_int {
    // SAFETY: the caller's attributes were initialised, and there are places for the answers.
    unsafe {
        let attributes = place.cast::<ThreadAttributes>().read();
        address.write(attributes.address as *mut c_void);
        size.write(attributes.stack);
    }
    0
}

/// Sets whether somebody will join the thread.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_attr_setdetachstate(
    place: *mut pthread_attr_t,
    state: c_int,
) -> c_int {
    if !(0..=DETACHED).contains(&state) {
        return libc::EINVAL;
    }
    // SAFETY: the caller's attributes were initialised.
    unsafe { (*place.cast::<ThreadAttributes>()).detached = state };
    0
}

/// Refused: every stack has a guard page, and no more.
#[unsafe(no_mangle)]
extern "C" fn pthread_attr_setguardsize(_place: *mut pthread_attr_t, size: size_t) -> c_int {
    if size <= PAGE_SIZE { 0 } else { libc::ENOSYS }
}

/// Refused: the runtime makes the stacks.
#[unsafe(no_mangle)]
extern "C" fn pthread_attr_setstack(_: *mut pthread_attr_t, _: *mut c_void, _: size_t) -> c_int {
    libc::ENOSYS
}

/// Sets a mutex's attributes to the default.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutexattr_init(place: *mut pthread_mutexattr_t) -> c_int {
    // SAFETY: the caller gave a place.
    unsafe { place.write_bytes(0, 1) };
    0
}

/// Nothing to give back.
#[unsafe(no_mangle)]
extern "C" fn pthread_mutexattr_destroy(_place: *mut pthread_mutexattr_t) -> c_int {
    0
}

/// `PTHREAD_PROCESS_PRIVATE`, `PTHREAD_PROCESS_SHARED`; the libc crate has no names for them.
const PRIVATE: c_int = 0;
const SHARED: c_int = 1;

/// Takes note of whether several processes will use something. It makes no difference: threads that share
/// memory share what they wait on in it.
///
/// # Safety
///
/// The byte belongs to attributes that were initialised.
unsafe fn share(byte: *mut u8, shared: c_int) -> c_int {
    match shared {
        PRIVATE | SHARED => {
            // SAFETY: as promised by the caller.
            unsafe { byte.write(shared as u8) };
            0
        }
        _ => libc::EINVAL,
    }
}

/// What [`share`] took note of.
///
/// # Safety
///
/// As for [`share`], and there is a place for the answer.
unsafe fn is_shared(byte: *const u8, answer: *mut c_int) -> c_int {
    // SAFETY: as promised by the caller.
    unsafe { answer.write(byte.read().into()) };
    0
}

/// The byte of an attribute for sharing: behind the kind, or the clock.
const SHARING: usize = size_of::<c_int>();

/// Takes note of whether several processes will use a mutex.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutexattr_setpshared(
    place: *mut pthread_mutexattr_t,
    shared: c_int,
) -> c_int {
    // SAFETY: the caller's attributes were initialised.
    unsafe { share(place.byte_add(SHARING).cast(), shared) }
}

/// Whether several processes will use a mutex.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutexattr_getpshared(
    place: *const pthread_mutexattr_t,
    answer: *mut c_int,
) -> c_int {
    // SAFETY: the same contract, and there is a place for the answer.
    unsafe { is_shared(place.byte_add(SHARING).cast(), answer) }
}

/// Takes note of whether several processes will use a condition.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_condattr_setpshared(
    place: *mut pthread_condattr_t,
    shared: c_int,
) -> c_int {
    // SAFETY: the caller's attributes were initialised.
    unsafe { share(place.byte_add(SHARING).cast(), shared) }
}

/// Whether several processes will use a condition.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_condattr_getpshared(
    place: *const pthread_condattr_t,
    answer: *mut c_int,
) -> c_int {
    // SAFETY: the same contract, and there is a place for the answer.
    unsafe { is_shared(place.byte_add(SHARING).cast(), answer) }
}

/// Takes note of whether several processes will use a read-write lock.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlockattr_setpshared(
    place: *mut pthread_rwlockattr_t,
    shared: c_int,
) -> c_int {
    // SAFETY: the caller's attributes were initialised.
    unsafe { share(place.cast(), shared) }
}

/// Whether several processes will use a read-write lock.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlockattr_getpshared(
    place: *const pthread_rwlockattr_t,
    answer: *mut c_int,
) -> c_int {
    // SAFETY: the same contract, and there is a place for the answer.
    unsafe { is_shared(place.cast(), answer) }
}

/// Sets a mutex's kind.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutexattr_settype(
    place: *mut pthread_mutexattr_t,
    kind: c_int,
) -> c_int {
    if !(libc::PTHREAD_MUTEX_DEFAULT..=libc::PTHREAD_MUTEX_RECURSIVE).contains(&kind) {
        return libc::EINVAL;
    }
    // SAFETY: the caller's attributes were initialised; the first word is the kind.
    unsafe { place.cast::<c_int>().write(kind) };
    0
}

/// A mutex's kind.
///
/// # Safety
///
/// `place` is null or was set by `pthread_mutexattr_init`.
pub(crate) unsafe fn mutex_kind(place: *const pthread_mutexattr_t) -> u32 {
    // SAFETY: as promised by the caller; the first word is the kind.
    unsafe { pointer::load(place.cast::<u32>()) }.unwrap_or(0)
}

/// Sets a condition's attributes to the default: the realtime clock.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_condattr_init(place: *mut pthread_condattr_t) -> c_int {
    // SAFETY: the caller gave a place; the first word is the clock.
    unsafe {
        place.write_bytes(0, 1);
        place.cast::<clockid_t>().write(libc::CLOCK_REALTIME);
    }
    0
}

/// Nothing to give back.
#[unsafe(no_mangle)]
extern "C" fn pthread_condattr_destroy(_place: *mut pthread_condattr_t) -> c_int {
    0
}

/// Sets the clock that timed waits go by.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_condattr_setclock(
    place: *mut pthread_condattr_t,
    clock: clockid_t,
) -> c_int {
    if clock != libc::CLOCK_REALTIME && clock != libc::CLOCK_MONOTONIC {
        return libc::EINVAL;
    }
    // SAFETY: the caller's attributes were initialised; the first word is the clock.
    unsafe { place.cast::<clockid_t>().write(clock) };
    0
}

/// The clock that timed waits go by.
///
/// # Safety
///
/// `place` is null or was set by `pthread_condattr_init`.
pub(crate) unsafe fn condition_clock(place: *const pthread_condattr_t) -> clockid_t {
    // SAFETY: as promised by the caller; the first word is the clock.
    unsafe { pointer::load(place.cast()) }.unwrap_or(libc::CLOCK_REALTIME)
}

/// Sets a read-write lock's attributes to the default.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlockattr_init(place: *mut pthread_rwlockattr_t) -> c_int {
    // SAFETY: the caller gave a place.
    unsafe { place.write_bytes(0, 1) };
    0
}

/// Nothing to give back.
#[unsafe(no_mangle)]
extern "C" fn pthread_rwlockattr_destroy(_place: *mut pthread_rwlockattr_t) -> c_int {
    0
}
