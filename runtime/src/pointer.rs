//! From C pointers to Rust values.

use core::ffi::{CStr, c_char};

/// The bytes of a C string, without the NUL.
///
/// # Safety
///
/// `text` points at a NUL-terminated string that outlives `'a` and does not change meanwhile.
pub(crate) unsafe fn string<'a>(text: *const c_char) -> &'a [u8] {
    // SAFETY: as promised by the caller.
    unsafe { CStr::from_ptr(text) }.to_bytes()
}

/// The same for a pointer that may be null.
///
/// # Safety
///
/// As for [`string`], unless null.
pub(crate) unsafe fn optional_string<'a>(text: *const c_char) -> Option<&'a [u8]> {
    // SAFETY: not null, then as promised by the caller.
    (!text.is_null()).then(|| unsafe { string(text) })
}

/// The strings of a null-terminated array of C strings (`argv`, `environ`). Null is an empty one.
///
/// # Safety
///
/// `list` is null or points at such an array; it and its strings outlive `'a` and do not change.
pub(crate) unsafe fn strings<'a>(list: *const *const c_char) -> impl Iterator<Item = &'a [u8]> {
    let mut at = list;
    core::iter::from_fn(move || {
        if at.is_null() {
            return None;
        }
        // SAFETY: `at` is within the array: it never goes beyond the null at its end.
        let text = unsafe { at.read() };
        if text.is_null() {
            return None;
        }
        // SAFETY: one past a string that was not the end.
        at = unsafe { at.add(1) };
        // SAFETY: as promised by the caller.
        Some(unsafe { string(text) })
    })
}

/// Writes through a pointer that may be null.
///
/// # Safety
///
/// `place` is null or may be written.
pub(crate) unsafe fn store<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: as promised by the caller.
        unsafe { place.write(value) };
    }
}

/// Reads through a pointer that may be null.
///
/// # Safety
///
/// `place` is null or holds a valid value.
pub(crate) unsafe fn load<T: Copy>(place: *const T) -> Option<T> {
    // SAFETY: as promised by the caller.
    (!place.is_null()).then(|| unsafe { place.read() })
}
