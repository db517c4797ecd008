//! `fork`, and what has to stand still meanwhile.
//!
//! The child has only the thread that called. So the caller takes every lock of this library
//! first: no other thread can then be in the middle of a change that the child would never see
//! finished. Order: callbacks, namespace, environment, exit, keys, watches, semaphores, heap (everybody else may allocate while
//! holding one of the others, so the heap comes last).

use crate::errno::{self, Answer};
use crate::lock::{Lock, RawLock};
use crate::memory::heap::HEAP;
use crate::redox::namespace;
use crate::sys::syscall;
use crate::thread::keys::KEYS;
use crate::thread::{named, record};
use crate::{environment, epoll, exit};
use abi::number::FORK;
use alloc::vec::Vec;
use core::sync::atomic::Ordering::Relaxed;
use libc::{c_int, pid_t};

/// What a program wants called around `fork`.
#[derive(Clone, Copy)]
struct Callbacks {
    prepare: Option<unsafe extern "C" fn()>,
    parent: Option<unsafe extern "C" fn()>,
    child: Option<unsafe extern "C" fn()>,
}

static CALLBACKS: Lock<Vec<Callbacks>> = Lock::new(Vec::new());

/// The locks held across `fork`, in the order they are taken.
fn locks() -> [&'static RawLock; 7] {
    [
        namespace::NAMESPACE.raw(),
        environment::OWN.raw(),
        exit::CALLBACKS.raw(),
        KEYS.raw(),
        epoll::WATCHES.raw(),
        named::lock(),
        HEAP.raw(),
    ]
}

/// Has functions called around `fork`. Returns an error number.
#[unsafe(no_mangle)]
extern "C" fn pthread_atfork(
    prepare: Option<unsafe extern "C" fn()>,
    parent: Option<unsafe extern "C" fn()>,
    child: Option<unsafe extern "C" fn()>,
) -> c_int {
    let mut callbacks = CALLBACKS.lock();
    if callbacks.try_reserve(1).is_err() {
        return libc::ENOMEM;
    }
    callbacks.push(Callbacks { prepare, parent, child });
    0
}

/// Makes a child that goes on from here with a copy of everything.
#[unsafe(no_mangle)]
extern "C" fn fork() -> pid_t {
    let callbacks = CALLBACKS.lock();
    for prepare in callbacks.iter().rev().filter_map(|entry| entry.prepare) {
        // SAFETY: the program asked for the call.
        unsafe { prepare() };
    }
    for lock in locks() {
        lock.acquire();
    }
    // SAFETY: the child has its own copy of all memory.
    let forked = unsafe { syscall(FORK, []) };
    if let Ok(0) = forked {
        // The thread has another id now.
        record::current().id.store(0, Relaxed);
    }
    for lock in locks().into_iter().rev() {
        lock.release();
    }
    let in_child = matches!(forked, Ok(0));
    for entry in callbacks.iter() {
        if let Some(after) = if in_child { entry.child } else { entry.parent } {
            // SAFETY: the program asked for the call.
            unsafe { after() };
        }
    }
    drop(callbacks);
    forked.int()
}

/// Refused: a child that runs on its parent's stack cannot be made here. Callers fall back to
/// `fork`.
#[unsafe(no_mangle)]
extern "C" fn vfork() -> pid_t {
    errno::fail(libc::ENOSYS) as pid_t
}
