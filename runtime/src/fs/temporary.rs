//! Files and directories with names of their own: `mkstemp`, `mkdtemp`.

use crate::errno::{self, Answer};
use crate::pointer;
use crate::random;
use crate::sys::{Result, error};
use core::ffi::c_char;
use core::ptr::null_mut;
use libc::{c_int, mode_t};

/// What the last letters of a template must be.
const PLACEHOLDER: &[u8] = b"XXXXXX";

/// What they are replaced by.
const LETTERS: &[u8; 62] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// How many names are tried.
const TRIES: usize = 100;

unsafe extern "C" {
    fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int;
    fn mkdir(path: *const c_char, mode: mode_t) -> c_int;
}

/// Fills in the template and calls `create` until the name is new.
unsafe fn create(
    template: *mut c_char,
    suffix: c_int,
    mut create: impl FnMut() -> c_int,
) -> Result<usize> {
    // SAFETY: the caller's template is NUL-terminated.
    let length = unsafe { pointer::string(template) }.len();
    let suffix = usize::try_from(suffix).or_else(|_| error(libc::EINVAL))?;
    let Some(start) = length.checked_sub(suffix + PLACEHOLDER.len()) else {
        return error(libc::EINVAL);
    };
    // SAFETY: these letters lie within the template, and the caller lets us write there.
    let place = unsafe {
        core::slice::from_raw_parts_mut(template.cast::<u8>().add(start), PLACEHOLDER.len())
    };
    if place != PLACEHOLDER {
        return error(libc::EINVAL);
    }
    for _ in 0..TRIES {
        random::fill(place)?;
        for letter in &mut *place {
            *letter = LETTERS[usize::from(*letter) % LETTERS.len()];
        }
        match create() {
            -1 if errno::get() == libc::EEXIST => {}
            -1 => return error(errno::get()),
            made => return Ok(made as usize),
        }
    }
    error(libc::EEXIST)
}

/// Makes and opens a file; `suffix` letters follow the placeholder.
#[unsafe(no_mangle)]
unsafe extern "C" fn mkostemps(template: *mut c_char, suffix: c_int, flags: c_int) -> c_int {
    let flags = flags | libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
    // SAFETY: the same contract.
    unsafe { create(template, suffix, || open(template, flags, 0o600)) }.int()
}

/// Makes and opens a file with flags.
#[unsafe(no_mangle)]
unsafe extern "C" fn mkostemp(template: *mut c_char, flags: c_int) -> c_int {
    // SAFETY: the same contract.
    unsafe { mkostemps(template, 0, flags) }
}

/// Makes and opens a file.
#[unsafe(no_mangle)]
unsafe extern "C" fn mkstemp(template: *mut c_char) -> c_int {
    // SAFETY: the same contract.
    unsafe { mkostemps(template, 0, 0) }
}

/// Makes a directory.
#[unsafe(no_mangle)]
unsafe extern "C" fn mkdtemp(template: *mut c_char) -> *mut c_char {
    // SAFETY: the same contract.
    match unsafe { create(template, 0, || mkdir(template, 0o700)) } {
        Ok(_) => template,
        Err(error) => {
            errno::set(error.errno);
            null_mut()
        }
    }
}
