//! `pthread_create`, `join`, `detach`, `exit`.
//!
//! A thread runs in a region of its own ([`super::regions`]). When it ends, the kernel stores 0 in its
//! record, which lives in the heap: whoever sees that 0 knows that the thread is gone. Region and
//! record are given back by the joiner. A detached thread frees its record itself, and the kernel
//! takes its region away.

use super::attributes::ThreadAttributes;
use super::control::SIGNAL_STACK;
use super::record::{self, DETACHED, ENDED, FIRST, JOINABLE, Thread};
use super::regions::{self, BELOW, Region};
use super::{control, destructor, keys};
use crate::errno::code;
use crate::memory::cache;
use crate::sys::{Result, error, futex, syscall};
use abi::number::{THREAD_EXIT, THREAD_NEW};
use abi::redox::number::SYS_YIELD;
use alloc::alloc::{Layout, alloc};
use alloc::boxed::Box;
use core::arch::asm;
use core::ffi::c_void;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use libc::{c_int, pthread_attr_t, pthread_t};

type Main = extern "C" fn(*mut c_void) -> *mut c_void;

/// What a new thread has to do; lies at the top of its stack.
struct Start {
    main: Main,
    argument: *mut c_void,
}

fn record(attributes: &ThreadAttributes, region: Region) -> Result<*mut Thread> {
    // SAFETY: the layout has a size.
    let record = unsafe { alloc(Layout::new::<Thread>()) }.cast::<Thread>();
    if record.is_null() {
        return error(libc::EAGAIN);
    }
    let state = if attributes.detached == 0 { JOINABLE } else { DETACHED };
    let stack = (region.start + BELOW, attributes.stack);
    // SAFETY: fresh memory of the right size.
    unsafe { record.write(Thread::new(state, stack, (region.start, region.length))) };
    Ok(record)
}

/// Starts a thread; returns its record and its number.
fn create(attributes: &ThreadAttributes, start: Start) -> Result<(*mut Thread, u32)> {
    let region = regions::take(attributes.stack, size_of::<Start>())?;
    let made = record(attributes, region).and_then(|record| {
        // SAFETY: the region is nobody's and holds the footprint. The kernel starts the thread as a
        // C function is entered: 8 bytes, the place of a return address, above an aligned stack.
        let made = unsafe {
            let (pointer, block) = control::lay(region, record);
            let place = ((block - size_of::<Start>()) & !15) as *mut Start;
            place.write(start);
            let stack = place as usize - size_of::<usize>();
            let entry = enter as *const () as usize;
            syscall(THREAD_NEW, [entry, stack, place as usize, pointer, region.start, SIGNAL_STACK])
        };
        match made {
            // The thread may have ended by now and freed a detached record: it is not touched.
            Ok(id) => Ok((record, id as u32)),
            Err(error) => {
                // SAFETY: no thread knows of the record.
                drop(unsafe { Box::from_raw(record) });
                Err(error)
            }
        }
    });
    if made.is_err() {
        // SAFETY: no thread runs on the region.
        unsafe { regions::give_back((region.start, region.length)) };
    }
    made
}

/// Where a thread begins.
unsafe extern "C" fn enter(start: *const Start, id: u32) -> ! {
    record::current().id.store(id, Relaxed);
    // SAFETY: `create` left it there, for this thread alone.
    let Start { main, argument } = unsafe { start.read() };
    end(main(argument))
}

/// Ends the calling thread.
fn end(result: *mut c_void) -> ! {
    destructor::run();
    keys::run_destructors();
    let thread = record::current();
    // SAFETY: nobody reads the result before `running` is 0.
    unsafe { thread.result.get().write(result) };
    // The first thread's stack came from the kernel and stays; its control goes with the process.
    let is_first = core::ptr::eq(thread, &raw const FIRST);
    let (mut start, mut length) = (0, 0);
    let mut done = thread.running.as_ptr() as usize;
    if thread.state.swap(ENDED, AcqRel) == DETACHED {
        done = 0;
        if !is_first {
            (start, length) = thread.region;
            let record = core::ptr::from_ref(thread).cast_mut();
            // SAFETY: detached, so nobody else knows of the record, and this thread forgets it now.
            drop(unsafe { Box::from_raw(record) });
        }
    }
    // What is kept lies in the region that goes now.
    cache::give_back();
    // SAFETY: nothing of the region is used after this.
    let _ = unsafe { syscall(THREAD_EXIT, [start, length, done]) };
    // SAFETY: `THREAD_EXIT` does not return. Should it, an undefined instruction ends the process.
    unsafe { asm!("ud2", options(noreturn)) }
}

/// Waits until a thread is gone, and gives back its region and its record.
unsafe fn reap(thread: *mut Thread) -> *mut c_void {
    // SAFETY: the caller has the right to the record, and gives it up.
    unsafe {
        while (*thread).running.load(Acquire) != 0 {
            // Changed meanwhile, a signal, or no cause: look again.
            let _ = futex::wait(&(*thread).running, 1, None);
        }
        let result = (*thread).result.get().read();
        if !core::ptr::eq(thread, &raw const FIRST) {
            regions::give_back((*thread).region);
            drop(Box::from_raw(thread));
        }
        result
    }
}

/// Starts a thread. Returns an error number.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    place: *mut pthread_t,
    attributes: *const pthread_attr_t,
    main: Main,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: the caller's attributes were initialised, or are null.
    let attributes = unsafe { ThreadAttributes::read(attributes) };
    let made = create(&attributes, Start { main, argument });
    // SAFETY: the caller gave a place for the answer.
    code(made.map(|(thread, _)| unsafe { place.write(thread.cast()) }))
}

/// Starts a thread that nobody will join, and returns its number.
///
/// # Safety
///
/// The attributes are null or were initialised. The argument is what `main` wants.
pub(crate) unsafe fn create_detached(
    attributes: *const pthread_attr_t,
    main: Main,
    argument: *mut c_void,
) -> Result<u32> {
    // SAFETY: as promised by the caller.
    let attributes = unsafe { ThreadAttributes::read(attributes) };
    let attributes = ThreadAttributes { detached: 1, ..attributes };
    create(&attributes, Start { main, argument }).map(|(_, id)| id)
}

/// Waits for a thread's end and takes its result. Returns an error number.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_join(thread: pthread_t, result: *mut *mut c_void) -> c_int {
    let thread = thread.cast::<Thread>();
    if core::ptr::eq(thread, record::current()) {
        return libc::EDEADLK;
    }
    // SAFETY: the caller's thread is neither joined nor detached.
    unsafe {
        if (*thread).state.load(Acquire) == DETACHED {
            return libc::EINVAL;
        }
        let value = reap(thread);
        crate::pointer::store(result, value);
    }
    0
}

/// Says that nobody will join a thread. Returns an error number.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_detach(thread: pthread_t) -> c_int {
    let thread = thread.cast::<Thread>();
    // SAFETY: the caller's thread is neither joined nor detached.
    unsafe {
        match (*thread).state.compare_exchange(JOINABLE, DETACHED, AcqRel, Acquire) {
            Ok(_) => 0,
            // It has ended, or is about to: what is left to do is the joiner's work.
            Err(ENDED) => {
                reap(thread);
                0
            }
            Err(_) => libc::EINVAL,
        }
    }
}

/// Ends the calling thread with a result.
#[unsafe(no_mangle)]
extern "C" fn pthread_exit(result: *mut c_void) -> ! {
    end(result)
}

/// The calling thread.
#[unsafe(no_mangle)]
extern "C" fn pthread_self() -> pthread_t {
    core::ptr::from_ref(record::current()).cast_mut().cast()
}

/// Whether two threads are the same.
#[unsafe(no_mangle)]
extern "C" fn pthread_equal(left: pthread_t, right: pthread_t) -> c_int {
    c_int::from(left == right)
}

/// Refused: a thread cannot be ended from outside without leaving its locks behind.
#[unsafe(no_mangle)]
extern "C" fn pthread_cancel(_thread: pthread_t) -> c_int {
    libc::ENOSYS
}

/// Lets others run.
#[unsafe(no_mangle)]
extern "C" fn sched_yield() -> c_int {
    // SAFETY: no memory is involved.
    let yielded = unsafe { syscall(SYS_YIELD, []) };
    crate::errno::Answer::zero(yielded)
}
