//! C strings and bytes. `memcpy` and its like come from `compiler-builtins`.

use crate::pointer;
use core::cmp::Ordering;
use core::ffi::{CStr, c_char, c_void};
use core::ptr::null_mut;
use libc::{c_int, size_t};

unsafe extern "C" {
    fn malloc(size: size_t) -> *mut c_void;
}

/// How many bytes come before the NUL, at most `limit`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn strnlen(text: *const c_char, limit: size_t) -> size_t {
    // SAFETY: the caller's text has a NUL or `limit` bytes.
    (0..limit).find(|&at| unsafe { text.add(at).read() } == 0).unwrap_or(limit)
}

/// Compares two texts, at most `limit` bytes of them.
#[unsafe(no_mangle)]
unsafe extern "C" fn strncmp(left: *const c_char, right: *const c_char, limit: size_t) -> c_int {
    for at in 0..limit {
        // SAFETY: neither text has ended, or the loop would have.
        let (left, right) = unsafe { (left.add(at).read() as u8, right.add(at).read() as u8) };
        if left != right || left == 0 {
            return c_int::from(left) - c_int::from(right);
        }
    }
    0
}

/// Compares two texts.
#[unsafe(no_mangle)]
unsafe extern "C" fn strcmp(left: *const c_char, right: *const c_char) -> c_int {
    // SAFETY: the same contract.
    unsafe { strncmp(left, right, size_t::MAX) }
}

/// Compares two texts as the locale orders them: by bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn strcoll(left: *const c_char, right: *const c_char) -> c_int {
    // SAFETY: the same contract.
    unsafe { strcmp(left, right) }
}

/// Compares two texts; ASCII letters count as the same in both cases.
#[unsafe(no_mangle)]
unsafe extern "C" fn strcasecmp(left: *const c_char, right: *const c_char) -> c_int {
    // SAFETY: the caller's strings are NUL-terminated.
    let (left, right) = unsafe { (pointer::string(left), pointer::string(right)) };
    let lower = |text: &'static [u8]| text.iter().map(u8::to_ascii_lowercase);
    match lower(left).cmp(lower(right)) {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }
}

/// The first `byte` in a text, its NUL included.
#[unsafe(no_mangle)]
unsafe extern "C" fn strchr(text: *const c_char, byte: c_int) -> *mut c_char {
    // SAFETY: the caller's string is NUL-terminated.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes_with_nul();
    let found = bytes.iter().position(|&found| found == byte as u8);
    found.map_or(null_mut(), |at| text.wrapping_add(at).cast_mut())
}

/// The last `byte` in a text, its NUL included.
#[unsafe(no_mangle)]
unsafe extern "C" fn strrchr(text: *const c_char, byte: c_int) -> *mut c_char {
    // SAFETY: the caller's string is NUL-terminated.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes_with_nul();
    let found = bytes.iter().rposition(|&found| found == byte as u8);
    found.map_or(null_mut(), |at| text.wrapping_add(at).cast_mut())
}

/// The first `byte` among `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memchr(start: *const c_void, byte: c_int, length: size_t) -> *mut c_void {
    // SAFETY: the byte lies before the end or ends the search; C lets `length` be too large then.
    let found = (0..length).find(|&at| unsafe { start.cast::<u8>().add(at).read() } == byte as u8);
    found.map_or(null_mut(), |at| start.wrapping_byte_add(at).cast_mut())
}

/// The last `byte` among `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn memrchr(start: *const c_void, byte: c_int, length: size_t) -> *mut c_void {
    // SAFETY: the caller gave `length` bytes.
    let found =
        (0..length).rev().find(|&at| unsafe { start.cast::<u8>().add(at).read() } == byte as u8);
    found.map_or(null_mut(), |at| start.wrapping_byte_add(at).cast_mut())
}

/// Copies a text with its NUL.
#[unsafe(no_mangle)]
unsafe extern "C" fn strcpy(to: *mut c_char, from: *const c_char) -> *mut c_char {
    // SAFETY: the caller's string is NUL-terminated, and `to` has room for it.
    unsafe {
        let bytes = CStr::from_ptr(from).to_bytes_with_nul();
        to.copy_from_nonoverlapping(bytes.as_ptr().cast(), bytes.len());
    }
    to
}

/// Copies at most `limit` bytes of a text and fills the rest with NULs.
#[unsafe(no_mangle)]
unsafe extern "C" fn strncpy(to: *mut c_char, from: *const c_char, limit: size_t) -> *mut c_char {
    // SAFETY: the caller's text has a NUL or `limit` bytes, and `to` has `limit`.
    unsafe {
        let length = strnlen(from, limit);
        to.copy_from_nonoverlapping(from, length);
        to.add(length).write_bytes(0, limit - length);
    }
    to
}

/// Copies as much of a text as fits and ends it; returns how long the whole is.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlcpy(to: *mut c_char, from: *const c_char, room: size_t) -> size_t {
    // SAFETY: the caller's string is NUL-terminated, and `to` has `room` bytes.
    unsafe {
        let bytes = pointer::string(from);
        if room > 0 {
            let length = bytes.len().min(room - 1);
            to.copy_from_nonoverlapping(bytes.as_ptr().cast(), length);
            to.add(length).write(0);
        }
        bytes.len()
    }
}

/// A copy of a text in fresh memory, at most `limit` bytes of it.
#[unsafe(no_mangle)]
unsafe extern "C" fn strndup(text: *const c_char, limit: size_t) -> *mut c_char {
    // SAFETY: the caller's text has a NUL or `limit` bytes; the copy has room for all of them.
    unsafe {
        let length = strnlen(text, limit);
        let copy = malloc(length + 1).cast::<c_char>();
        if !copy.is_null() {
            copy.copy_from_nonoverlapping(text, length);
            copy.add(length).write(0);
        }
        copy
    }
}

/// A copy of a text in fresh memory.
#[unsafe(no_mangle)]
unsafe extern "C" fn strdup(text: *const c_char) -> *mut c_char {
    // SAFETY: the same contract.
    unsafe { strndup(text, size_t::MAX - 1) }
}

/// Zeroes memory in a way that the compiler may not leave out.
#[unsafe(no_mangle)]
unsafe extern "C" fn explicit_bzero(start: *mut c_void, length: size_t) {
    for at in 0..length {
        // SAFETY: the caller gave `length` bytes.
        unsafe { start.cast::<u8>().add(at).write_volatile(0) };
    }
}

/// An ASCII letter in upper case; anything else as it is.
#[unsafe(no_mangle)]
extern "C" fn toupper(letter: c_int) -> c_int {
    u8::try_from(letter).map_or(letter, |letter| letter.to_ascii_uppercase().into())
}

/// An ASCII letter in lower case; anything else as it is.
#[unsafe(no_mangle)]
extern "C" fn tolower(letter: c_int) -> c_int {
    u8::try_from(letter).map_or(letter, |letter| letter.to_ascii_lowercase().into())
}
