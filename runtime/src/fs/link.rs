//! Hard and symbolic links.
//!
//! A symbolic link is made as redoxfs does it: opened with `O_CREAT | O_SYMLINK`, and its target
//! written.

use super::open::{look_at, open_path};
use super::path::{self, Given};
use super::real::read_link;
use crate::errno::Answer;
use crate::pointer;
use crate::sys::{error, syscall};
use abi::number::O_CLOEXEC;
use abi::redox::flag::{MODE_SYMLINK, MODE_TYPE, O_CREAT, O_EXCL, O_SYMLINK, O_WRONLY};
use abi::redox::number::SYS_FLINK;
use core::ffi::c_char;
use libc::{c_int, size_t, ssize_t};
use logic::path::PATH_MAX;

fn make_hard(old: Given<'_>, new: Given<'_>, follow: bool) -> c_int {
    let made = old.with(|old| {
        new.with(|new| {
            let file = look_at(old, follow)?;
            let new = new.as_bytes();
            // SAFETY: the kernel only reads the path.
            unsafe { syscall(SYS_FLINK, [file.fd(), new.as_ptr() as usize, new.len()]) }
        })
    });
    made.zero()
}

/// Gives a file a second name.
#[unsafe(no_mangle)]
unsafe extern "C" fn link(old: *const c_char, new: *const c_char) -> c_int {
    // SAFETY: the caller's strings are NUL-terminated.
    unsafe { make_hard(path::from_c(old), path::from_c(new), false) }
}

/// Gives a file a second name, relative to directories.
#[unsafe(no_mangle)]
unsafe extern "C" fn linkat(
    old_fd: c_int,
    old: *const c_char,
    new_fd: c_int,
    new: *const c_char,
    flags: c_int,
) -> c_int {
    let follow = flags & libc::AT_SYMLINK_FOLLOW != 0;
    // SAFETY: the caller's strings are NUL-terminated.
    unsafe { make_hard(path::from_c_at(old_fd, old), path::from_c_at(new_fd, new), follow) }
}

fn make_symbolic(target: &[u8], path: Given<'_>) -> c_int {
    let made = path.with(|path| {
        if target.is_empty() {
            return error(libc::ENOENT);
        }
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_SYMLINK | O_CLOEXEC;
        let file = open_path(path, flags | 0o777)?;
        let written = file.write(target);
        if !matches!(written, Ok(count) if count == target.len()) {
            // Half a link must not stay behind; that its removal may fail too changes nothing.
            let _ = super::name::remove(path.as_bytes(), 0);
            return written.and_then(|_| error(libc::EIO));
        }
        Ok(0)
    });
    made.zero()
}

/// Makes a symbolic link.
#[unsafe(no_mangle)]
unsafe extern "C" fn symlink(target: *const c_char, path: *const c_char) -> c_int {
    // SAFETY: the caller's strings are NUL-terminated.
    unsafe { make_symbolic(pointer::string(target), path::from_c(path)) }
}

/// Makes a symbolic link relative to a directory.
#[unsafe(no_mangle)]
unsafe extern "C" fn symlinkat(target: *const c_char, fd: c_int, path: *const c_char) -> c_int {
    // SAFETY: the caller's strings are NUL-terminated.
    unsafe { make_symbolic(pointer::string(target), path::from_c_at(fd, path)) }
}

unsafe fn read_target(path: Given<'_>, place: *mut c_char, room: size_t) -> ssize_t {
    let read = path.with(|path| {
        if room == 0 || look_at(path, false)?.stat()?.st_mode & MODE_TYPE != MODE_SYMLINK {
            return error(libc::EINVAL);
        }
        let mut target = [0; PATH_MAX];
        let length = match read_link(path.as_bytes(), &mut target) {
            Err(error) if error.errno == libc::EXDEV => {
                read_link(super::real::follow(path, false)?.as_bytes(), &mut target)?
            }
            answer => answer?,
        };
        let length = length.min(room);
        // SAFETY: the caller gave `room` bytes.
        unsafe { place.cast::<u8>().copy_from_nonoverlapping(target.as_ptr(), length) };
        Ok(length)
    });
    read.size()
}

/// Where a symbolic link leads; no NUL is written.
#[unsafe(no_mangle)]
unsafe extern "C" fn readlink(path: *const c_char, place: *mut c_char, room: size_t) -> ssize_t {
    // SAFETY: the same contract.
    unsafe { read_target(path::from_c(path), place, room) }
}

/// Where a symbolic link relative to a directory leads; no NUL is written.
#[unsafe(no_mangle)]
unsafe extern "C" fn readlinkat(
    fd: c_int,
    path: *const c_char,
    place: *mut c_char,
    room: size_t,
) -> ssize_t {
    // SAFETY: the same contract.
    unsafe { read_target(path::from_c_at(fd, path), place, room) }
}
