//! Ending: `exit`, `atexit`, `_exit`, `abort`.

use crate::lock::Lock;
use crate::signal;
use crate::sys::syscall;
use crate::thread::{destructor, keys};
use abi::number::EXIT;
use alloc::vec::Vec;
use core::arch::asm;
use core::ffi::c_void;
use libc::c_int;

/// What to call at exit.
#[derive(Clone, Copy)]
pub(crate) enum Callback {
    Plain(extern "C" fn()),
    With(unsafe extern "C" fn(*mut c_void), *mut c_void),
}

// SAFETY: the program asked for the call on whichever thread exits.
unsafe impl Send for Callback {}

/// The calls, in the order they were asked for.
pub(crate) static CALLBACKS: Lock<Vec<Callback>> = Lock::new(Vec::new());

/// Remembers a call. Returns −1 without memory.
fn remember(callback: Callback) -> c_int {
    let mut callbacks = CALLBACKS.lock();
    if callbacks.try_reserve(1).is_err() {
        return -1;
    }
    callbacks.push(callback);
    0
}

/// Ends the process at once with a status.
pub(crate) fn leave(status: c_int) -> ! {
    // SAFETY: no memory is involved.
    let _ = unsafe { syscall(EXIT, [status as usize & 0xFF]) };
    // SAFETY: `EXIT` does not return. Should it, an undefined instruction ends the process.
    unsafe { asm!("ud2", options(noreturn)) }
}

/// Runs what was asked for at exit, the last one first, and ends the process.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn exit(status: c_int) -> ! {
    destructor::run();
    keys::run_destructors();
    loop {
        let last = CALLBACKS.lock().pop();
        match last {
            Some(Callback::Plain(function)) => function(),
            // SAFETY: the program gave this argument for this function.
            Some(Callback::With(function, argument)) => unsafe { function(argument) },
            None => break,
        }
    }
    run_finalizers();
    leave(status)
}

/// Has `function` called at exit.
#[unsafe(no_mangle)]
extern "C" fn atexit(function: extern "C" fn()) -> c_int {
    remember(Callback::Plain(function))
}

/// Has `function(argument)` called at exit.
#[unsafe(no_mangle)]
extern "C" fn __cxa_atexit(
    function: unsafe extern "C" fn(*mut c_void),
    argument: *mut c_void,
    _image: *mut c_void,
) -> c_int {
    remember(Callback::With(function, argument))
}

/// Ends the process without running anything.
#[unsafe(no_mangle)]
extern "C" fn _exit(status: c_int) -> ! {
    leave(status)
}

/// The C name of [`_exit`].
#[unsafe(no_mangle)]
extern "C" fn _Exit(status: c_int) -> ! {
    leave(status)
}

/// Ends the process with `SIGABRT`, whatever the program thinks of that signal.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn abort() -> ! {
    signal::unblock(libc::SIGABRT);
    signal::send_self(libc::SIGABRT);
    // A handler returned, or the signal is ignored.
    signal::reset(libc::SIGABRT);
    signal::send_self(libc::SIGABRT);
    leave(128 + libc::SIGABRT)
}

unsafe extern "C" {
    static __fini_array_start: extern "C" fn();
    static __fini_array_end: extern "C" fn();
}

fn run_finalizers() {
    let (begin, end) = (&raw const __fini_array_start, &raw const __fini_array_end);
    let count = (end as usize - begin as usize) / size_of::<extern "C" fn()>();
    for index in (0..count).rev() {
        // SAFETY: the linker collects function pointers between these two.
        unsafe { begin.add(index).read()() };
    }
}
