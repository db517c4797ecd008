//! Names in directories: making, moving, removing.

use super::open::{look_at, masked, open_path};
use super::path::{self, Absolute, Given};
use crate::errno::{self, Answer};
use crate::sys::{Result, error, syscall};
use abi::number::{O_CLOEXEC, UNLINK};
use abi::redox::flag::{
    AT_REMOVEDIR, MODE_FIFO, MODE_TYPE, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_STAT,
};
use abi::redox::number::SYS_FRENAME;
use core::ffi::c_char;
use libc::{c_int, c_uint, dev_t, mode_t};

/// Removes a name; a directory's with [`AT_REMOVEDIR`].
pub(crate) fn remove(path: &[u8], flags: usize) -> Result<usize> {
    // SAFETY: the kernel only reads the path.
    unsafe { syscall(UNLINK, [path.as_ptr() as usize, path.len(), flags]) }
}

/// Removes a name that may lie behind a link that leads to another scheme.
fn remove_at(path: Absolute<'_>, flags: usize) -> Result<usize> {
    match remove(path.as_bytes(), flags) {
        Err(error) if error.errno == libc::EXDEV => {
            remove(super::real::follow(path, false)?.as_bytes(), flags)
        }
        answer => answer,
    }
}

fn remove_path(path: Given<'_>, flags: usize) -> c_int {
    let removed = path.with(|path| {
        if path.wants_directory() && flags & AT_REMOVEDIR == 0 {
            return error(libc::EISDIR);
        }
        remove_at(path, flags)
    });
    removed.zero()
}

/// Removes a file's name.
#[unsafe(no_mangle)]
unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    remove_path(unsafe { path::from_c(path) }, 0)
}

/// Removes an empty directory.
#[unsafe(no_mangle)]
unsafe extern "C" fn rmdir(path: *const c_char) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    remove_path(unsafe { path::from_c(path) }, AT_REMOVEDIR)
}

/// Removes a name relative to a directory.
#[unsafe(no_mangle)]
unsafe extern "C" fn unlinkat(fd: c_int, path: *const c_char, flags: c_int) -> c_int {
    if flags & !libc::AT_REMOVEDIR != 0 {
        return errno::fail(libc::EINVAL) as c_int;
    }
    // SAFETY: the caller's string is NUL-terminated.
    remove_path(unsafe { path::from_c_at(fd, path) }, flags as usize)
}

/// Removes a file or an empty directory.
#[unsafe(export_name = "remove")]
unsafe extern "C" fn remove_c(path: *const c_char) -> c_int {
    // SAFETY: the same contract.
    unsafe {
        match unlink(path) {
            -1 if matches!(errno::get(), libc::EISDIR | libc::EPERM) => rmdir(path),
            answer => answer,
        }
    }
}

fn make_directory(path: Given<'_>, mode: mode_t) -> c_int {
    let made = path.with(|path| {
        let flags = O_RDONLY | O_CREAT | O_EXCL | O_DIRECTORY | O_CLOEXEC;
        open_path(path, flags | masked(mode))
    });
    made.map(|_closed| 0_isize).int()
}

/// Makes a directory.
#[unsafe(no_mangle)]
unsafe extern "C" fn mkdir(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    make_directory(unsafe { path::from_c(path) }, mode)
}

/// Makes a directory relative to another.
#[unsafe(no_mangle)]
unsafe extern "C" fn mkdirat(fd: c_int, path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    make_directory(unsafe { path::from_c_at(fd, path) }, mode)
}

fn move_name(old: Given<'_>, new: Given<'_>) -> c_int {
    let moved = old.with(|old| {
        new.with(|new| {
            let file = look_at(old, false)?;
            let new = new.as_bytes();
            // SAFETY: the kernel only reads the path.
            unsafe { syscall(SYS_FRENAME, [file.fd(), new.as_ptr() as usize, new.len()]) }
        })
    });
    moved.zero()
}

/// Gives a file another name; one that had it is gone.
#[unsafe(no_mangle)]
unsafe extern "C" fn rename(old: *const c_char, new: *const c_char) -> c_int {
    // SAFETY: the caller's strings are NUL-terminated.
    unsafe { move_name(path::from_c(old), path::from_c(new)) }
}

/// Gives a file another name, relative to directories.
#[unsafe(no_mangle)]
unsafe extern "C" fn renameat(
    old_fd: c_int,
    old: *const c_char,
    new_fd: c_int,
    new: *const c_char,
) -> c_int {
    // SAFETY: the caller's strings are NUL-terminated.
    unsafe { move_name(path::from_c_at(old_fd, old), path::from_c_at(new_fd, new)) }
}

/// `renameat` with flags, of which none can be kept: no scheme moves only when nothing is replaced.
#[unsafe(no_mangle)]
unsafe extern "C" fn renameat2(
    old_fd: c_int,
    old: *const c_char,
    new_fd: c_int,
    new: *const c_char,
    flags: c_uint,
) -> c_int {
    if flags != 0 {
        return errno::fail(libc::EINVAL) as c_int;
    }
    // SAFETY: the same contract.
    unsafe { renameat(old_fd, old, new_fd, new) }
}

/// Makes a FIFO, where the scheme has them. One that does not know the type makes a file.
fn make_fifo(path: Given<'_>, mode: mode_t) -> c_int {
    let made = path.with(|path| {
        let flags = O_CREAT | O_EXCL | O_STAT | O_CLOEXEC | usize::from(MODE_FIFO) | masked(mode);
        let file = open_path(path, flags)?;
        if file.stat()?.st_mode & MODE_TYPE == MODE_FIFO {
            return Ok(0_isize);
        }
        remove_at(path, 0)?;
        error(libc::EOPNOTSUPP)
    });
    made.int()
}

fn make_node(path: Given<'_>, mode: mode_t) -> c_int {
    match mode & libc::S_IFMT {
        libc::S_IFIFO => make_fifo(path, mode),
        // Devices are schemes.
        _ => errno::fail(libc::EOPNOTSUPP) as c_int,
    }
}

/// Makes a FIFO: a pipe with a name.
#[unsafe(no_mangle)]
unsafe extern "C" fn mkfifo(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    make_fifo(unsafe { path::from_c(path) }, mode)
}

/// Makes a FIFO relative to a directory.
#[unsafe(no_mangle)]
unsafe extern "C" fn mkfifoat(fd: c_int, path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    make_fifo(unsafe { path::from_c_at(fd, path) }, mode)
}

/// Makes a FIFO; other types are refused.
#[unsafe(no_mangle)]
unsafe extern "C" fn mknod(path: *const c_char, mode: mode_t, _device: dev_t) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    make_node(unsafe { path::from_c(path) }, mode)
}

/// Makes a FIFO relative to a directory; other types are refused.
#[unsafe(no_mangle)]
unsafe extern "C" fn mknodat(
    fd: c_int,
    path: *const c_char,
    mode: mode_t,
    _device: dev_t,
) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    make_node(unsafe { path::from_c_at(fd, path) }, mode)
}
