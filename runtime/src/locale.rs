//! Locales: there is one, `C` with UTF-8.

use crate::pointer;
use core::ffi::c_char;
use core::ptr::null_mut;
use libc::c_int;

static NAME: [u8; 2] = *b"C\0";

/// Chooses a locale: `C`, `POSIX`, or whatever is the default. Null for any other.
#[unsafe(no_mangle)]
unsafe extern "C" fn setlocale(_category: c_int, name: *const c_char) -> *mut c_char {
    // SAFETY: the caller's string is NUL-terminated or null.
    match unsafe { pointer::optional_string(name) } {
        None | Some(b"" | b"C" | b"POSIX" | b"C.UTF-8") => NAME.as_ptr().cast_mut().cast(),
        Some(_) => null_mut(),
    }
}
