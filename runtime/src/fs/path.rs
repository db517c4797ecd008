//! From a C path to the absolute one that the kernel takes.

use crate::pointer;
use crate::sys::{Error, Result, error, file, syscall};
use abi::number::GETCWD;
use core::ffi::c_char;
use libc::c_int;
pub(crate) use logic::path::PathBuffer;
use logic::path::{PATH_MAX, PathError, needs_cwd};

impl From<PathFailure> for Error {
    fn from(PathFailure(failure): PathFailure) -> Self {
        Error::new(match failure {
            PathError::Empty => libc::ENOENT,
            PathError::TooLong => libc::ENAMETOOLONG,
        })
    }
}

/// Carries a [`PathError`] over to an errno.
pub(crate) struct PathFailure(pub(crate) PathError);

/// Writes the working directory; returns its length.
pub(crate) fn working_directory(buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the buffer is ours to fill.
    unsafe { syscall(GETCWD, [buffer.as_mut_ptr() as usize, buffer.len()]) }
}

/// Makes a path absolute.
pub(crate) fn absolute(path: &[u8]) -> Result<PathBuffer> {
    absolute_at(libc::AT_FDCWD, path)
}

/// Makes a path absolute that may be relative to the directory `fd`.
pub(crate) fn absolute_at(fd: c_int, path: &[u8]) -> Result<PathBuffer> {
    let mut base = [0; PATH_MAX];
    let mut length = 0;
    if needs_cwd(path) && !path.is_empty() {
        length = match fd {
            libc::AT_FDCWD => working_directory(&mut base)?,
            fd => file::path(file::number(fd)?, &mut base)?,
        };
    }
    let base = base.get(..length).map_or_else(|| error(libc::ENAMETOOLONG), Ok)?;
    let mut buffer = PathBuffer::new();
    buffer.resolve(base, path).map_err(PathFailure)?;
    Ok(buffer)
}

/// Makes a C path absolute.
///
/// # Safety
///
/// `path` is NUL-terminated.
pub(crate) unsafe fn from_c(path: *const c_char) -> Result<PathBuffer> {
    // SAFETY: as promised by the caller.
    absolute(unsafe { pointer::string(path) })
}

/// Makes a C path absolute that may be relative to the directory `fd`.
///
/// # Safety
///
/// `path` is NUL-terminated.
pub(crate) unsafe fn from_c_at(fd: c_int, path: *const c_char) -> Result<PathBuffer> {
    // SAFETY: as promised by the caller.
    absolute_at(fd, unsafe { pointer::string(path) })
}
