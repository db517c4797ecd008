//! `access`: what a process may do with a file, by the file's mode.

use super::open::look_at;
use super::path::{self, Absolute};
use crate::errno::Answer;
use crate::process::ids;
use crate::sys::{Result, error};
use abi::redox::data::Stat;
use core::ffi::c_char;
use libc::c_int;

/// Whether `user` in `group` may do all of `wanted` (a sum of `R_OK`, `W_OK`, `X_OK`).
fn allowed(stat: &Stat, user: u32, group: u32, wanted: u16) -> bool {
    if user == 0 {
        // Root reads and writes everything, and runs what anybody may run.
        return wanted & libc::X_OK as u16 == 0 || stat.st_mode & 0o111 != 0;
    }
    let shift = match () {
        () if stat.st_uid == user => 6,
        () if stat.st_gid == group => 3,
        () => 0,
    };
    stat.st_mode >> shift & wanted == wanted
}

fn check(path: Absolute<'_>, wanted: c_int, effective: bool, follow: bool) -> Result<usize> {
    if wanted & !(libc::R_OK | libc::W_OK | libc::X_OK) != 0 {
        return error(libc::EINVAL);
    }
    let stat = look_at(path, follow)?.stat()?;
    if wanted == libc::F_OK {
        return Ok(0);
    }
    let ids = ids::ids()?;
    let (user, group) =
        if effective { (ids.effective_user, ids.effective_group) } else { (ids.user, ids.group) };
    if allowed(&stat, user, group, wanted as u16) { Ok(0) } else { error(libc::EACCES) }
}

/// Whether the real user may use a file so.
#[unsafe(no_mangle)]
unsafe extern "C" fn access(path: *const c_char, wanted: c_int) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    unsafe { path::from_c(path) }.with(|path| check(path, wanted, false, true)).int()
}

/// Whether the real or effective user may use a file so.
#[unsafe(no_mangle)]
unsafe extern "C" fn faccessat(
    fd: c_int,
    path: *const c_char,
    wanted: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    let checked = unsafe { path::from_c_at(fd, path) }.with(|path| {
        let follow = flags & libc::AT_SYMLINK_NOFOLLOW == 0;
        check(path, wanted, flags & libc::AT_EACCESS != 0, follow)
    });
    checked.int()
}
