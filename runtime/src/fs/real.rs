//! Following symbolic links by hand: `realpath`, and opening across schemes.

use super::path::{self, Absolute, PathBuffer, PathFailure};
use crate::errno;
use crate::sys::file::File;
use crate::sys::{Result, error};
use abi::number::O_CLOEXEC;
use abi::redox::flag::{MODE_SYMLINK, MODE_TYPE, O_NOFOLLOW, O_RDONLY, O_STAT, O_SYMLINK};
use core::ffi::c_char;
use core::ptr::null_mut;
use libc::size_t;
use logic::path::PATH_MAX;

/// Most links in one path.
const LINKS_MAX: usize = 40;

unsafe extern "C" {
    fn malloc(size: size_t) -> *mut core::ffi::c_void;
}

/// Reads where a symbolic link leads.
pub(crate) fn read_link(path: &[u8], target: &mut [u8]) -> Result<usize> {
    let file = File::open(path, O_RDONLY | O_SYMLINK | O_NOFOLLOW | O_CLOEXEC)?;
    file.read(target)
}

/// Whether a path names a symbolic link; an error when it names nothing.
pub(crate) fn is_link(path: &[u8]) -> Result<bool> {
    let file = File::open(path, O_STAT | O_SYMLINK | O_NOFOLLOW | O_CLOEXEC)?;
    Ok(file.stat()?.st_mode & MODE_TYPE == MODE_SYMLINK)
}

/// The path with its links replaced by what they lead to; the last part only when `last`.
pub(crate) fn follow(path: Absolute<'_>, last: bool) -> Result<PathBuffer> {
    let mut real = PathBuffer::new();
    real.resolve(b"/", path.as_bytes()).map_err(PathFailure)?;
    let mut links = 0;
    let mut at = real.first_end();
    while let Some(end) = at {
        let is_last = end == real.as_bytes().len();
        if is_last && !last {
            break;
        }
        if !is_link(&real.as_bytes()[..end])? {
            at = real.next_end(end);
            continue;
        }
        links += 1;
        if links > LINKS_MAX {
            return error(libc::ELOOP);
        }
        let mut target = [0; PATH_MAX];
        let length = read_link(&real.as_bytes()[..end], &mut target)?;
        real.replace_link(end, &target[..length]).map_err(PathFailure)?;
        at = real.first_end();
    }
    Ok(real)
}

/// The path of an existing file without links, `.` and `..`, in the form `/...`.
fn real_path(path: Absolute<'_>) -> Result<PathBuffer> {
    let mut real = follow(path, true)?;
    if real.first_end().is_none() {
        // A root has no parts to look at: make sure that it is there.
        super::open::look_at(Absolute::of(&real), true)?;
    }
    real.to_slash_form().map_err(PathFailure)?;
    Ok(real)
}

/// The path of an existing file without links, `.` and `..`: in `place`, which has `PATH_MAX`
/// bytes, or in fresh memory.
#[unsafe(no_mangle)]
unsafe extern "C" fn realpath(path: *const c_char, place: *mut c_char) -> *mut c_char {
    // SAFETY: the caller's string is NUL-terminated.
    match unsafe { path::from_c(path) }.with(real_path) {
        // SAFETY: the caller's place is long enough, or null.
        Ok(real) => unsafe { give(real.as_bytes(), place) },
        Err(error) => {
            errno::set(error.errno);
            null_mut()
        }
    }
}

/// Writes a path as a C string.
unsafe fn give(path: &[u8], place: *mut c_char) -> *mut c_char {
    if path.len() >= PATH_MAX {
        errno::set(libc::ENAMETOOLONG);
        return null_mut();
    }
    // SAFETY: no preconditions.
    let place = if place.is_null() { unsafe { malloc(path.len() + 1) }.cast() } else { place };
    if !place.is_null() {
        // SAFETY: the place has room for the path and a NUL.
        unsafe {
            place.cast::<u8>().copy_from_nonoverlapping(path.as_ptr(), path.len());
            place.add(path.len()).write(0);
        }
    }
    place
}
