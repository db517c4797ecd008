//! The room on a file system.

use super::open::look_at;
use super::path;
use crate::errno::Answer;
use crate::sys::{Result, file};
use abi::redox::data::StatVfs;
use abi::redox::flag::StdFsCallKind;
use core::ffi::c_char;
use core::mem::zeroed;
use core::slice;
use libc::{c_int, statvfs as CStatVfs};

/// The longest name in a directory.
const NAME_MAX: u64 = logic::dirent::NAME_MAX as u64;

/// Asks the file system that an open file is on.
pub(crate) fn of_fd(fd: usize) -> Result<CStatVfs> {
    let mut answer = StatVfs::default();
    // SAFETY: a plain structure seen as bytes; any bits are valid in it.
    let bytes =
        unsafe { slice::from_raw_parts_mut((&raw mut answer).cast::<u8>(), size_of::<StatVfs>()) };
    file::operation(fd, StdFsCallKind::Fstatvfs, bytes, 0, 0)?;
    // SAFETY: all zero is a valid `statvfs`.
    let mut form: CStatVfs = unsafe { zeroed() };
    form.f_bsize = answer.f_bsize.into();
    form.f_frsize = answer.f_bsize.into();
    form.f_blocks = answer.f_blocks;
    form.f_bfree = answer.f_bfree;
    form.f_bavail = answer.f_bavail;
    form.f_namemax = NAME_MAX;
    Ok(form)
}

fn give(form: Result<CStatVfs>, place: *mut CStatVfs) -> c_int {
    // SAFETY: the caller gave a place for the answer.
    form.map(|form| unsafe { place.write(form) }).map(|()| 0_isize).int()
}

/// The room on the file system of an open file.
#[unsafe(no_mangle)]
unsafe extern "C" fn fstatvfs(fd: c_int, place: *mut CStatVfs) -> c_int {
    give(file::number(fd).and_then(of_fd), place)
}

/// The room on the file system of a file.
#[unsafe(no_mangle)]
unsafe extern "C" fn statvfs(path: *const c_char, place: *mut CStatVfs) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    let path = unsafe { path::from_c(path) };
    give(path.with(|path| of_fd(look_at(path, true)?.fd())), place)
}
