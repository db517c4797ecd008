//! What a file is: `stat` and its family.

use super::open::look_at;
use super::path::{self, Given};
use crate::errno::Answer;
use crate::sys::{Result, error, file};
use abi::redox::data::Stat;
use core::ffi::c_char;
use core::mem::zeroed;
use libc::{c_int, c_long, stat as CStat};

/// The C form of the kernel's answer.
fn c_form(stat: &Stat) -> CStat {
    // SAFETY: all zero is a valid `stat`, which has padding that cannot be named.
    let mut form: CStat = unsafe { zeroed() };
    form.st_dev = stat.st_dev;
    form.st_ino = stat.st_ino;
    form.st_nlink = stat.st_nlink.into();
    form.st_mode = stat.st_mode.into();
    form.st_uid = stat.st_uid as libc::uid_t;
    form.st_gid = stat.st_gid as libc::gid_t;
    form.st_size = stat.st_size.try_into().unwrap_or(i64::MAX);
    form.st_blksize = stat.st_blksize.into();
    form.st_blocks = stat.st_blocks.try_into().unwrap_or(i64::MAX);
    form.st_atime = stat.st_atime.try_into().unwrap_or(i64::MAX);
    form.st_atime_nsec = c_long::from(stat.st_atime_nsec);
    form.st_mtime = stat.st_mtime.try_into().unwrap_or(i64::MAX);
    form.st_mtime_nsec = c_long::from(stat.st_mtime_nsec);
    form.st_ctime = stat.st_ctime.try_into().unwrap_or(i64::MAX);
    form.st_ctime_nsec = c_long::from(stat.st_ctime_nsec);
    form
}

/// Looks at an open file.
///
/// # Safety
///
/// `place` may be written.
pub(crate) unsafe fn of_fd(fd: usize, place: *mut CStat) -> Result<usize> {
    let stat = file::stat(fd)?;
    // SAFETY: as promised by the caller.
    unsafe { place.write(c_form(&stat)) };
    Ok(0)
}

unsafe fn of_path(path: Given<'_>, follow: bool, place: *mut CStat) -> c_int {
    let looked = path.with(|path| {
        let file = look_at(path, follow)?;
        // SAFETY: the caller gave a place for the answer.
        unsafe { of_fd(file.fd(), place) }
    });
    looked.int()
}

/// Looks at an open file.
#[unsafe(no_mangle)]
unsafe extern "C" fn fstat(fd: c_int, place: *mut CStat) -> c_int {
    // SAFETY: the same contract.
    file::number(fd).and_then(|fd| unsafe { of_fd(fd, place) }).int()
}

/// Looks at a file, through symbolic links.
#[unsafe(no_mangle)]
unsafe extern "C" fn stat(path: *const c_char, place: *mut CStat) -> c_int {
    // SAFETY: the same contract.
    unsafe { of_path(path::from_c(path), true, place) }
}

/// Looks at a file, a symbolic link too.
#[unsafe(no_mangle)]
unsafe extern "C" fn lstat(path: *const c_char, place: *mut CStat) -> c_int {
    // SAFETY: the same contract.
    unsafe { of_path(path::from_c(path), false, place) }
}

/// Looks at a file relative to a directory.
#[unsafe(no_mangle)]
unsafe extern "C" fn fstatat(
    fd: c_int,
    path: *const c_char,
    place: *mut CStat,
    flags: c_int,
) -> c_int {
    if flags & !(libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH) != 0 {
        return error::<isize>(libc::EINVAL).int();
    }
    // SAFETY: the caller's string is NUL-terminated.
    if flags & libc::AT_EMPTY_PATH != 0 && unsafe { path.read() } == 0 {
        // SAFETY: the same contract.
        return unsafe { fstat(fd, place) };
    }
    // SAFETY: the same contract.
    unsafe { of_path(path::from_c_at(fd, path), flags & libc::AT_SYMLINK_NOFOLLOW == 0, place) }
}
