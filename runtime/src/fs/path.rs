//! From a C path to the absolute one that the kernel takes.

use crate::pointer;
use crate::sys::{Error, Result, error, file, syscall};
use abi::number::GETCWD;
use core::ffi::c_char;
use libc::c_int;
pub(crate) use logic::path::PathBuffer;
use logic::path::{PATH_MAX, PathError, is_tidy, needs_cwd};

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

/// A path as a program gave it.
#[derive(Clone, Copy)]
pub(crate) struct Given<'a> {
    /// The directory that a relative one begins at, or `AT_FDCWD`.
    directory: c_int,
    text: &'a [u8],
}

/// An absolute path, as the kernel takes it.
#[derive(Clone, Copy)]
pub(crate) struct Absolute<'a> {
    bytes: &'a [u8],
    wants_directory: bool,
}

impl<'a> Absolute<'a> {
    /// The path in a buffer.
    pub(crate) fn of(buffer: &'a PathBuffer) -> Self {
        Self { bytes: buffer.as_bytes(), wants_directory: buffer.wants_directory() }
    }

    /// The path.
    pub(crate) fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Whether the text asked for a directory by ending with a slash.
    pub(crate) fn wants_directory(self) -> bool {
        self.wants_directory
    }
}

impl<'a> Given<'a> {
    /// A path from the working directory.
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Self { directory: libc::AT_FDCWD, text }
    }

    /// Does something with the absolute path. One that is absolute and tidy already, as most are,
    /// is used as it is.
    pub(crate) fn with<T>(self, act: impl FnOnce(Absolute<'_>) -> Result<T>) -> Result<T> {
        let buffer;
        let absolute = if is_tidy(self.text) {
            Absolute { bytes: self.text, wants_directory: false }
        } else {
            buffer = self.resolve()?;
            Absolute::of(&buffer)
        };
        act(absolute)
    }

    /// The absolute path in a buffer of its own.
    #[inline(never)]
    pub(crate) fn resolve(self) -> Result<PathBuffer> {
        let mut buffer = PathBuffer::new();
        let resolved = if needs_cwd(self.text) && !self.text.is_empty() {
            let mut base = [0; PATH_MAX];
            let length = match self.directory {
                libc::AT_FDCWD => working_directory(&mut base)?,
                fd => file::path(file::number(fd)?, &mut base)?,
            };
            let base = base.get(..length).map_or_else(|| error(libc::ENAMETOOLONG), Ok)?;
            buffer.resolve(base, self.text)
        } else {
            buffer.resolve(b"/", self.text)
        };
        resolved.map_err(PathFailure)?;
        Ok(buffer)
    }
}

/// A C path.
///
/// # Safety
///
/// `path` is NUL-terminated, and does not change for `'a`.
pub(crate) unsafe fn from_c<'a>(path: *const c_char) -> Given<'a> {
    // SAFETY: as promised by the caller.
    Given::new(unsafe { pointer::string(path) })
}

/// A C path that may be relative to the directory `fd`.
///
/// # Safety
///
/// `path` is NUL-terminated, and does not change for `'a`.
pub(crate) unsafe fn from_c_at<'a>(fd: c_int, path: *const c_char) -> Given<'a> {
    // SAFETY: as promised by the caller.
    Given { directory: fd, text: unsafe { pointer::string(path) } }
}
