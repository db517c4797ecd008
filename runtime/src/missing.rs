//! What is not there yet, and says so: loading at run time, and others.
//!
//! Each function sets `errno` to `ENOSYS` and fails. A program that can do without goes on; one that
//! cannot tells why.

use crate::errno;
use core::ffi::{c_char, c_void};
use core::ptr::{null, null_mut};
use libc::c_int;

/// Defines functions that fail. Their arguments are not looked at, so none are declared: a C
/// function may be called with more arguments than it takes.
macro_rules! missing {
    ($($name:ident)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "`: not there yet.")]
            #[unsafe(no_mangle)]
            extern "C" fn $name() -> isize {
                errno::fail(libc::ENOSYS)
            }
        )*
    };
}

missing! {
    chroot mlock munlock mlockall munlockall
    sched_setaffinity
}

/// Loading a library: programs are whole.
#[unsafe(no_mangle)]
extern "C" fn dlopen(_name: *const c_char, _flags: c_int) -> *mut c_void {
    errno::set(libc::ENOSYS);
    null_mut()
}

/// Looking up a symbol at run time: programs are whole, so there is none to find.
#[unsafe(no_mangle)]
extern "C" fn dlsym(_library: *mut c_void, _name: *const c_char) -> *mut c_void {
    errno::set(libc::ENOSYS);
    null_mut()
}

/// Closing a library, of which none can be open.
#[unsafe(no_mangle)]
extern "C" fn dlclose(_library: *mut c_void) -> c_int {
    errno::fail(libc::ENOSYS) as c_int
}

/// Why loading failed.
#[unsafe(no_mangle)]
extern "C" fn dlerror() -> *const c_char {
    c"dynamic loading is not supported".as_ptr()
}

/// Which library an address is in: not known. 0 means none.
#[unsafe(no_mangle)]
extern "C" fn dladdr(_address: *const c_void, _place: *mut c_void) -> c_int {
    0
}

/// The network card names: none.
#[unsafe(no_mangle)]
extern "C" fn if_nameindex() -> *const c_void {
    errno::set(libc::ENOSYS);
    null()
}
