//! The working directory. The kernel keeps it, as text.

use super::open::look_at;
use super::path::{self, Absolute, Given, PathBuffer, PathFailure, working_directory};
use crate::errno::{self, Answer};
use crate::sys::{Result, error, file, syscall};
use abi::number::CHDIR;
use abi::redox::data::Stat;
use abi::redox::flag::{MODE_DIR, MODE_TYPE};
use core::ffi::c_char;
use core::ptr::null_mut;
use libc::{c_int, size_t};
use logic::path::PATH_MAX;

fn check_directory(stat: &Stat) -> Result<()> {
    if stat.st_mode & MODE_TYPE == MODE_DIR { Ok(()) } else { error(libc::ENOTDIR) }
}

/// Remembers a directory in the form `/...`, which programs know as absolute.
fn remember(path: Absolute<'_>) -> Result<usize> {
    let mut buffer = PathBuffer::new();
    buffer.resolve(b"/", path.as_bytes()).map_err(PathFailure)?;
    buffer.to_slash_form().map_err(PathFailure)?;
    let bytes = buffer.as_bytes();
    // SAFETY: the kernel only reads the path.
    unsafe { syscall(CHDIR, [bytes.as_ptr() as usize, bytes.len()]) }
}

/// Changes the working directory.
#[unsafe(no_mangle)]
unsafe extern "C" fn chdir(path: *const c_char) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    let changed = unsafe { path::from_c(path) }.with(|path| {
        check_directory(&look_at(path, true)?.stat()?)?;
        remember(path)
    });
    changed.zero()
}

/// Changes the working directory to an open one.
#[unsafe(no_mangle)]
extern "C" fn fchdir(fd: c_int) -> c_int {
    let change = || {
        let fd = file::number(fd)?;
        check_directory(&file::stat(fd)?)?;
        let mut buffer = [0; PATH_MAX];
        let length = file::path(fd, &mut buffer)?;
        Given::new(&buffer[..length]).with(remember)
    };
    change().zero()
}

/// Writes the working directory.
#[unsafe(no_mangle)]
unsafe extern "C" fn getcwd(place: *mut c_char, length: size_t) -> *mut c_char {
    if place.is_null() || length == 0 {
        errno::set(libc::EINVAL);
        return null_mut();
    }
    // SAFETY: the caller gave `length` bytes; one is kept for the NUL.
    let room = unsafe {
        place.cast::<u8>().write_bytes(0, length);
        core::slice::from_raw_parts_mut(place.cast::<u8>(), length - 1)
    };
    match working_directory(room) {
        Ok(count) => {
            // SAFETY: `count` is at most `length - 1`.
            unsafe { place.add(count).write(0) };
            place
        }
        Err(error) => {
            errno::set(error.errno);
            null_mut()
        }
    }
}
