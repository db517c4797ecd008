//! Changing mode, owner and times.

use super::open::look_at;
use super::path::{self, Given};
use crate::errno::{self, Answer};
use crate::pointer;
use crate::sys::{Result, error, file, syscall};
use crate::time;
use abi::redox::data::TimeSpec;
use abi::redox::flag::{MODE_PERM, StdFsCallKind};
use abi::redox::number::SYS_FCHOWN;
use core::ffi::c_char;
use core::slice;
use libc::{c_int, gid_t, mode_t, timespec, timeval, uid_t};
use logic::time::SECOND;

fn set_mode(fd: usize, mode: mode_t) -> Result<usize> {
    let mode = u64::from(mode as u16 & MODE_PERM);
    file::operation(fd, StdFsCallKind::Fchmod, &mut [], mode, 0)
}

fn set_owner(fd: usize, user: uid_t, group: gid_t) -> Result<usize> {
    // SAFETY: no memory is involved.
    unsafe { syscall(SYS_FCHOWN, [fd, user as usize, group as usize]) }
}

/// Does something to the file at a path.
fn with(path: Given<'_>, follow: bool, change: impl FnOnce(usize) -> Result<usize>) -> c_int {
    path.with(|path| change(look_at(path, follow)?.fd())).zero()
}

/// Sets the mode of an open file.
#[unsafe(no_mangle)]
extern "C" fn fchmod(fd: c_int, mode: mode_t) -> c_int {
    file::number(fd).and_then(|fd| set_mode(fd, mode)).zero()
}

/// Sets a file's mode.
#[unsafe(no_mangle)]
unsafe extern "C" fn chmod(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    with(unsafe { path::from_c(path) }, true, |fd| set_mode(fd, mode))
}

/// Sets the mode of a file relative to a directory.
#[unsafe(no_mangle)]
unsafe extern "C" fn fchmodat(fd: c_int, path: *const c_char, mode: mode_t, flags: c_int) -> c_int {
    let follow = flags & libc::AT_SYMLINK_NOFOLLOW == 0;
    // SAFETY: the caller's string is NUL-terminated.
    with(unsafe { path::from_c_at(fd, path) }, follow, |fd| set_mode(fd, mode))
}

/// Sets the owner of an open file.
#[unsafe(no_mangle)]
extern "C" fn fchown(fd: c_int, user: uid_t, group: gid_t) -> c_int {
    file::number(fd).and_then(|fd| set_owner(fd, user, group)).zero()
}

/// Sets a file's owner.
#[unsafe(no_mangle)]
unsafe extern "C" fn chown(path: *const c_char, user: uid_t, group: gid_t) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    with(unsafe { path::from_c(path) }, true, |fd| set_owner(fd, user, group))
}

/// Sets the owner of a file, a symbolic link too.
#[unsafe(no_mangle)]
unsafe extern "C" fn lchown(path: *const c_char, user: uid_t, group: gid_t) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    with(unsafe { path::from_c(path) }, false, |fd| set_owner(fd, user, group))
}

/// Sets the owner of a file relative to a directory.
#[unsafe(no_mangle)]
unsafe extern "C" fn fchownat(
    fd: c_int,
    path: *const c_char,
    user: uid_t,
    group: gid_t,
    flags: c_int,
) -> c_int {
    let follow = flags & libc::AT_SYMLINK_NOFOLLOW == 0;
    // SAFETY: the caller's string is NUL-terminated.
    with(unsafe { path::from_c_at(fd, path) }, follow, |fd| set_owner(fd, user, group))
}

/// The times to set, access first; none given means now.
type Times = Option<[timespec; 2]>;

/// Sets access and modification time. `UTIME_NOW` and `UTIME_OMIT` are settled here.
pub(crate) fn set_times(fd: usize, times: Times) -> Result<usize> {
    let now = timespec { tv_sec: 0, tv_nsec: libc::UTIME_NOW };
    let [access, modification] = times.unwrap_or([now, now]);
    let stat = file::stat(fd)?;
    let mut settled = [
        settle(access, stat.st_atime, stat.st_atime_nsec)?,
        settle(modification, stat.st_mtime, stat.st_mtime_nsec)?,
    ];
    // SAFETY: two plain structures seen as bytes; whatever is written back is thrown away.
    let bytes = unsafe {
        slice::from_raw_parts_mut(settled.as_mut_ptr().cast::<u8>(), size_of_val(&settled))
    };
    file::operation(fd, StdFsCallKind::Futimens, bytes, 0, 0)
}

fn settle(wanted: timespec, seconds: u64, nanoseconds: u32) -> Result<TimeSpec> {
    match wanted.tv_nsec {
        libc::UTIME_NOW => time::now(libc::CLOCK_REALTIME),
        libc::UTIME_OMIT => Ok(TimeSpec {
            tv_sec: seconds.try_into().unwrap_or(i64::MAX),
            tv_nsec: nanoseconds.try_into().unwrap_or(0),
        }),
        given @ 0..SECOND => Ok(TimeSpec { tv_sec: wanted.tv_sec, tv_nsec: given as i32 }),
        _ => error(libc::EINVAL),
    }
}

/// Reads two times through a pointer that may be null.
///
/// # Safety
///
/// `times` is null or points at two times.
pub(crate) unsafe fn times_at(times: *const timespec) -> Times {
    // SAFETY: as promised by the caller.
    unsafe { pointer::load(times.cast::<[timespec; 2]>()) }
}

unsafe fn old_times_at(times: *const timeval) -> Times {
    // SAFETY: the caller's pointer is null or points at two times.
    let times = unsafe { pointer::load(times.cast::<[timeval; 2]>()) }?;
    Some(times.map(|time| timespec {
        tv_sec: time.tv_sec,
        tv_nsec: i64::from(time.tv_usec).saturating_mul(1000),
    }))
}

/// Sets the times of an open file.
#[unsafe(no_mangle)]
unsafe extern "C" fn futimens(fd: c_int, times: *const timespec) -> c_int {
    // SAFETY: the same contract.
    let times = unsafe { times_at(times) };
    file::number(fd).and_then(|fd| set_times(fd, times)).zero()
}

/// Sets the times of a file relative to a directory.
#[unsafe(no_mangle)]
unsafe extern "C" fn utimensat(
    fd: c_int,
    path: *const c_char,
    times: *const timespec,
    flags: c_int,
) -> c_int {
    if path.is_null() {
        return errno::fail(libc::EFAULT) as c_int;
    }
    let follow = flags & libc::AT_SYMLINK_NOFOLLOW == 0;
    // SAFETY: the same contract.
    unsafe {
        let times = times_at(times);
        with(path::from_c_at(fd, path), follow, |fd| set_times(fd, times))
    }
}

/// Sets a file's times.
#[unsafe(no_mangle)]
unsafe extern "C" fn utimes(path: *const c_char, times: *const timeval) -> c_int {
    // SAFETY: the same contract.
    unsafe {
        let times = old_times_at(times);
        with(path::from_c(path), true, |fd| set_times(fd, times))
    }
}

/// Sets the times of a file, a symbolic link too.
#[unsafe(no_mangle)]
unsafe extern "C" fn lutimes(path: *const c_char, times: *const timeval) -> c_int {
    // SAFETY: the same contract.
    unsafe {
        let times = old_times_at(times);
        with(path::from_c(path), false, |fd| set_times(fd, times))
    }
}

/// Sets the times of an open file.
#[unsafe(no_mangle)]
unsafe extern "C" fn futimes(fd: c_int, times: *const timeval) -> c_int {
    // SAFETY: the same contract.
    let times = unsafe { old_times_at(times) };
    file::number(fd).and_then(|fd| set_times(fd, times)).zero()
}
