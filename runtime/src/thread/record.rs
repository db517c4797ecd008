//! A thread as others see it: `pthread_t` points here.

use abi::{STACK_SIZE, STACK_TOP};
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Somebody will join it.
pub(crate) const JOINABLE: u32 = 0;
/// Nobody will; the record goes with the thread.
pub(crate) const DETACHED: u32 = 1;
/// It ended before anybody joined or detached it.
pub(crate) const ENDED: u32 = 2;

/// What outlives a thread until somebody has joined it.
pub(crate) struct Thread {
    /// Its thread id.
    pub(crate) id: AtomicU32,
    /// [`JOINABLE`], [`DETACHED`] or [`ENDED`].
    pub(crate) state: AtomicU32,
    /// 1 until the kernel has taken the thread's stack away and stores 0.
    pub(crate) running: AtomicU32,
    /// Where its stack begins, and how long it is.
    pub(crate) stack: (usize, usize),
    /// The mapping that the stack is in, and how long it is.
    pub(crate) region: (usize, usize),
    /// What its function returned. Written before it ends, read after.
    pub(crate) result: UnsafeCell<*mut c_void>,
}

// SAFETY: the atomics may be shared; `result` is handed over by `running` going to 0.
unsafe impl Sync for Thread {}

impl Thread {
    /// A thread that is about to run.
    pub(crate) const fn new(state: u32, stack: (usize, usize), region: (usize, usize)) -> Self {
        Self {
            id: AtomicU32::new(0),
            state: AtomicU32::new(state),
            running: AtomicU32::new(1),
            stack,
            region,
            result: UnsafeCell::new(null_mut()),
        }
    }
}

/// The first thread's record, which is never freed. Its stack is the kernel's.
pub(crate) static FIRST: Thread =
    Thread::new(JOINABLE, (STACK_TOP - STACK_SIZE, STACK_SIZE), (0, 0));

/// The calling thread's record.
pub(crate) fn current() -> &'static Thread {
    // SAFETY: a thread's record lives at least as long as the thread itself.
    unsafe { &*super::control::current().thread.get() }
}

/// The calling thread's id. Asks the kernel once.
pub(crate) fn current_id() -> u32 {
    let thread = current();
    match thread.id.load(Relaxed) {
        0 => {
            let id = crate::process::ids::thread();
            thread.id.store(id, Relaxed);
            id
        }
        id => id,
    }
}
