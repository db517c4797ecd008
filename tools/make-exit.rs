//! `$(exit-with N)` for GNU make: ends make itself with status N.
//!
//! Make can only end with 0, 1 or 2 by itself, but `make exec` promises the command's own status.
//! This library is loaded into make by its `load` directive; see "Loading Dynamic Objects" in
//! make's manual. A make that cannot load it says `Error N` and ends with 2, as ever.

use std::ffi::{CStr, c_char, c_int, c_uint};

/// A make function: its name, the number of arguments, the arguments; returns its expansion.
type Function = extern "C" fn(*const c_char, c_uint, *const *const c_char) -> *mut c_char;

unsafe extern "C" {
    fn gmk_add_function(
        name: *const c_char,
        function: Function,
        min_arguments: c_uint,
        max_arguments: c_uint,
        flags: c_uint,
    );
}

/// Make asks every library for this symbol before it loads it.
#[allow(non_upper_case_globals, reason = "the name is make's")]
#[unsafe(no_mangle)]
pub static plugin_is_GPL_compatible: c_int = 0;

/// What the Makefile's `load` names; anything but 0 means loaded.
#[unsafe(no_mangle)]
pub extern "C" fn make_exit_setup() -> c_int {
    // SAFETY: the name is a constant string, and the function has the type that make calls.
    unsafe { gmk_add_function(c"exit-with".as_ptr(), exit_with, 1, 1, 0) };
    1
}

extern "C" fn exit_with(_: *const c_char, _: c_uint, arguments: *const *const c_char) -> *mut c_char {
    // SAFETY: make calls with as many arguments as were declared, one, each a C string.
    let status = unsafe { CStr::from_ptr(*arguments) };
    let status = status.to_str().ok().and_then(|text| text.trim().parse().ok());
    std::process::exit(status.unwrap_or(125))
}
