//! `open`, and the creation mask.

use super::path::{self, Absolute, Given};
use super::real;
use crate::errno::Answer;
use crate::sys::file::File;
use crate::sys::{Result, error, syscall};
use abi::number::{O_CLOEXEC, UMASK};
use abi::redox::flag::{
    MODE_DIR, MODE_PERM, MODE_SYMLINK, MODE_TYPE, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_STAT,
    O_SYMLINK,
};
use core::ffi::c_char;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use libc::{c_int, mode_t};

/// Bits that new files do not get: the kernel's copy survives `exec`, this one saves asking.
static MASK: AtomicU32 = AtomicU32::new(UNKNOWN);
/// Not asked yet. As an argument it asks.
const UNKNOWN: u32 = u32::MAX;

const PERMISSIONS: usize = MODE_PERM as usize;

/// What a mode leaves after the creation mask.
pub(crate) fn masked(mode: mode_t) -> usize {
    let mut mask = MASK.load(Relaxed);
    if mask == UNKNOWN {
        mask = exchange(UNKNOWN);
        MASK.store(mask, Relaxed);
    }
    mode as usize & PERMISSIONS & !(mask as usize)
}

/// Tells the kernel the mask, or only asks; returns the old one.
fn exchange(mask: u32) -> u32 {
    // SAFETY: the call touches no memory of this process.
    let old = unsafe { syscall(UMASK, [mask as usize]) };
    old.map_or(0o022, |old| old as u32)
}

/// The C flags as the kernel takes them: without the sign of `O_NOFOLLOW`, and without the low
/// bits, where the mode goes.
pub(crate) fn flags(flags: c_int) -> usize {
    flags as u32 as usize & !PERMISSIONS
}

/// Opens an absolute path with the kernel's flags.
///
/// A scheme follows symbolic links within itself. One that leads elsewhere it answers with `EXDEV`;
/// then the links are followed from here.
pub(crate) fn open_path(path: Absolute<'_>, mut flags: usize) -> Result<File> {
    if path.wants_directory() && flags & O_CREAT == 0 {
        flags |= O_DIRECTORY;
    }
    match File::open(path.as_bytes(), flags) {
        Err(error) if error.errno == libc::EXDEV => {
            let keeps_last = flags & (O_SYMLINK | O_NOFOLLOW) != 0
                || flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL;
            let path = real::follow(path, !keeps_last)?;
            File::open(path.as_bytes(), flags)
        }
        answer => answer,
    }
}

/// Opens only to look at a file or to name it; the file itself need not be readable.
pub(crate) fn look_at(path: Absolute<'_>, follow: bool) -> Result<File> {
    let follow = follow || path.wants_directory();
    let last = if follow { 0 } else { O_SYMLINK | O_NOFOLLOW };
    let file = open_path(path, O_STAT | last | O_CLOEXEC)?;
    // Schemes do not agree on whether `O_DIRECTORY` counts when only looking.
    if path.wants_directory() && file.stat()?.st_mode & MODE_TYPE != MODE_DIR {
        return error(libc::ENOTDIR);
    }
    Ok(file)
}

/// Opens unless the last part is a symbolic link, by opening the link and looking at it.
fn open_no_link(path: Absolute<'_>, flags: usize) -> Result<File> {
    let file = open_path(path, flags | O_SYMLINK)?;
    if file.stat()?.st_mode & MODE_TYPE == MODE_SYMLINK {
        return error(libc::ELOOP);
    }
    Ok(file)
}

fn open_c(path: Given<'_>, oflag: c_int, mode: mode_t) -> c_int {
    let opened = path.with(|path| {
        let flags = flags(oflag);
        let mode = if flags & O_CREAT == 0 { 0 } else { masked(mode) };
        match flags & (O_NOFOLLOW | O_SYMLINK | O_STAT | O_CREAT) {
            O_NOFOLLOW => open_no_link(path, flags),
            _ => open_path(path, flags | mode),
        }
    });
    opened.map(File::into_fd).int()
}

/// Opens a file. C declares the mode variadic; on x86-64 it travels in the same register, and it is
/// looked at only with `O_CREAT`.
#[unsafe(no_mangle)]
unsafe extern "C" fn open(path: *const c_char, oflag: c_int, mode: mode_t) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    open_c(unsafe { path::from_c(path) }, oflag, mode)
}

/// Opens a file relative to a directory. As variadic as [`open`].
#[unsafe(no_mangle)]
unsafe extern "C" fn openat(fd: c_int, path: *const c_char, oflag: c_int, mode: mode_t) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    open_c(unsafe { path::from_c_at(fd, path) }, oflag, mode)
}

/// Makes a file empty, or new, and opens it for writing.
#[unsafe(no_mangle)]
unsafe extern "C" fn creat(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: the same contract.
    unsafe { open(path, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC, mode) }
}

/// Sets the creation mask and returns the old one.
#[unsafe(no_mangle)]
extern "C" fn umask(mask: mode_t) -> mode_t {
    let mask = mask as u32 & PERMISSIONS as u32;
    MASK.store(mask, Relaxed);
    exchange(mask) as mode_t
}
