//! `errno`, and the texts of errors.

use crate::sys::{Error, Result};
use crate::thread::control;
use abi::redox::error::STR_ERROR;
use core::cell::Cell;
use libc::{c_char, c_int, size_t, ssize_t};

/// Sets this thread's `errno`.
pub(crate) fn set(code: c_int) {
    control::current().errno.set(code);
}

/// This thread's `errno`.
pub(crate) fn get() -> c_int {
    control::current().errno.get()
}

/// How C functions tell success from failure: −1 and `errno`.
pub(crate) trait Answer: Sized {
    /// The value as an `int`.
    fn int(self) -> c_int;
    /// The value as a count of bytes.
    fn size(self) -> ssize_t;
    /// 0, whatever the value was.
    fn zero(self) -> c_int;
}

impl<T: TryInto<isize>> Answer for Result<T> {
    fn int(self) -> c_int {
        self.size() as c_int
    }

    fn size(self) -> ssize_t {
        let value =
            self.and_then(|value| value.try_into().map_err(|_| Error::new(libc::EOVERFLOW)));
        value.unwrap_or_else(|error| fail(error.errno))
    }

    fn zero(self) -> c_int {
        self.map_or_else(|error| fail(error.errno) as c_int, |_| 0)
    }
}

/// Sets `errno` and returns −1.
pub(crate) fn fail(code: c_int) -> ssize_t {
    set(code);
    -1
}

/// For functions that return an error number instead of setting `errno`, as `pthread_*` do.
pub(crate) fn code(result: Result<()>) -> c_int {
    result.map_or_else(|error| error.errno, |()| 0)
}

/// Where `errno` is. The name that `std` uses.
#[unsafe(no_mangle)]
extern "C" fn __errno() -> *mut c_int {
    Cell::as_ptr(&control::current().errno)
}

/// Where `errno` is. The name that the `libc` crate's users know.
#[unsafe(no_mangle)]
extern "C" fn __errno_location() -> *mut c_int {
    __errno()
}

/// The text of an error.
pub(crate) fn text(code: c_int) -> Option<&'static str> {
    STR_ERROR.get(usize::try_from(code).ok()?).copied()
}

/// Writes the text of an error into `buffer`, cut and NUL-terminated. Returns an error number.
#[unsafe(no_mangle)]
unsafe extern "C" fn strerror_r(code: c_int, buffer: *mut c_char, length: size_t) -> c_int {
    let known = text(code);
    if length == 0 {
        return libc::ERANGE;
    }
    let text = known.unwrap_or("Unknown error");
    let count = text.len().min(length - 1);
    // SAFETY: the caller gave `length` bytes, and `count` and the NUL fit.
    unsafe {
        buffer.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), count);
        buffer.add(count).write(0);
    }
    match known {
        None => libc::EINVAL,
        Some(_) if count < text.len() => libc::ERANGE,
        Some(_) => 0,
    }
}

/// `strerror_r` as POSIX wants it; `std` and others ask for it by this name on some systems.
#[unsafe(no_mangle)]
unsafe extern "C" fn __xpg_strerror_r(code: c_int, buffer: *mut c_char, length: size_t) -> c_int {
    // SAFETY: the same contract.
    unsafe { strerror_r(code, buffer, length) }
}

/// The text of an error, in memory of this thread that the next call overwrites.
#[unsafe(no_mangle)]
extern "C" fn strerror(code: c_int) -> *mut c_char {
    let buffer = control::current().error_text.as_ptr();
    // SAFETY: the buffer is this thread's own and as long as told.
    unsafe { strerror_r(code, buffer.cast(), control::ERROR_TEXT) };
    buffer.cast()
}

/// Writes `text: error` to standard error.
#[unsafe(no_mangle)]
unsafe extern "C" fn perror(text: *const c_char) {
    use core::fmt::Write;
    let error = self::text(get()).unwrap_or("Unknown error");
    // SAFETY: the caller's string is NUL-terminated or null.
    let text = unsafe { crate::pointer::optional_string(text) }.unwrap_or_default();
    let text = core::str::from_utf8(text).unwrap_or_default();
    let separator = if text.is_empty() { "" } else { ": " };
    // When standard error is closed there is nowhere to say so.
    let _ = writeln!(crate::sys::file::Output(2), "{text}{separator}{error}");
}
