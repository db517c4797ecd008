//! Threads that call the functions of timers (`SIGEV_THREAD`), one for each such timer.
//!
//! The timer's signal goes to its thread alone, which takes it and calls the function with the value that
//! came along. Both signals are the library's own: below those that programs take for themselves.

use crate::signal::{change_mask, send_to_thread};
use crate::sys::{Result, syscall};
use crate::thread::create::create_detached;
use abi::number::SIGTIMEDWAIT;
use abi::signal::{REALTIME_MIN, SigInfo};
use core::ffi::c_void;
use core::mem::transmute;
use core::ptr::null_mut;
use libc::{c_int, pthread_attr_t, sigset_t, sigval};

/// What a timer calls.
pub(super) type Function = extern "C" fn(sigval);

/// The thread is to end. The lower of the two, so that it is taken first.
const END: c_int = REALTIME_MIN as c_int;
/// The timer has rung.
pub(super) const RING: c_int = END + 1;

/// Starts the thread of a timer; returns its number.
///
/// # Safety
///
/// The attributes are null or were initialised.
pub(super) unsafe fn start(function: Function, attributes: *const pthread_attr_t) -> Result<u32> {
    let (all, mut before): (sigset_t, sigset_t) = (sigset_t::MAX, 0);
    // The thread begins with the mask of who makes it.
    // SAFETY: the sets are ours; the argument is what the thread wants.
    unsafe {
        change_mask(libc::SIG_SETMASK, &raw const all, &raw mut before)?;
        let made = create_detached(attributes, serve, function as *mut c_void);
        change_mask(libc::SIG_SETMASK, &raw const before, null_mut())?;
        made
    }
}

/// Has a thread end, once the function it may be in has returned.
pub(super) fn dismiss(thread: u32) {
    // It may be gone: its function can end it.
    let _ = send_to_thread(thread as usize, END);
}

extern "C" fn serve(function: *mut c_void) -> *mut c_void {
    // SAFETY: `start` made a pointer of the function.
    let function: Function = unsafe { transmute(function) };
    let set: sigset_t = 1 << (END - 1) | 1 << (RING - 1);
    loop {
        let mut info = SigInfo::default();
        let arguments = [&raw const set as usize, &raw mut info as usize, 0];
        // SAFETY: the kernel reads the set and fills the structure.
        match unsafe { syscall(SIGTIMEDWAIT, arguments) } {
            Ok(signal) if signal as c_int == RING => {
                function(sigval { sival_ptr: info.value as *mut c_void });
            }
            Ok(_) => return null_mut(),
            // A signal that the function has let in.
            Err(_) => {}
        }
    }
}
