//! Files and memory.

use super::{Raw, raw};
use crate::fs;
use crate::fs::path::Given;
use crate::memory;
use crate::sys::file::{self, File};
use crate::sys::{Result, error, syscall};
use abi::redox::flag::{CallFlags, MODE_PERM, O_CREAT, O_FCNTL_MASK, StdFsCallKind};
use abi::redox::number::{
    SYS_CALL, SYS_FCHOWN, SYS_FPATH, SYS_FSYNC, SYS_OPENAT_INTO2, SYS_READ, SYS_WRITE,
};
use core::slice;
use libc::{c_int, timespec};

/// Bytes that a caller gave by pointer and length.
///
/// # Safety
///
/// They are readable for `'a`.
unsafe fn bytes<'a>(start: *const u8, length: usize) -> &'a [u8] {
    if length == 0 {
        return &[];
    }
    // SAFETY: as promised by the caller.
    unsafe { slice::from_raw_parts(start, length) }
}

/// The same, to be filled.
///
/// # Safety
///
/// They are the caller's to fill for `'a`.
unsafe fn bytes_mut<'a>(start: *mut u8, length: usize) -> &'a mut [u8] {
    if length == 0 {
        return &mut [];
    }
    // SAFETY: as promised by the caller.
    unsafe { slice::from_raw_parts_mut(start, length) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn redox_open_v1(path: *const u8, length: usize, flags: u32, mode: u16) -> Raw {
    // SAFETY: the same contract.
    let path = Given::new(unsafe { bytes(path, length) });
    let flags = fs::open::flags(flags as c_int);
    let mode = if flags & O_CREAT == 0 { 0 } else { usize::from(mode & MODE_PERM) };
    raw(path.with(|path| fs::open::open_path(path, flags | mode)).map(File::into_fd))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn redox_openat_v1(
    fd: usize,
    path: *const u8,
    length: usize,
    flags: u32,
    fcntl_flags: u32,
) -> Raw {
    let length = length | fcntl_flags as usize & O_FCNTL_MASK;
    let arguments = [fd, path as usize, length, flags as usize, abi::LOWEST_FREE];
    // SAFETY: the kernel only reads the path.
    raw(unsafe { syscall(SYS_OPENAT_INTO2, arguments) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn redox_dup_v1(fd: usize, name: *const u8, length: usize) -> Raw {
    // SAFETY: the same contract.
    raw(file::dup(fd, unsafe { bytes(name, length) }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn redox_dup2_v1(
    fd: usize,
    wanted: usize,
    name: *const u8,
    length: usize,
) -> Raw {
    // SAFETY: the same contract.
    raw(file::dup2(fd, wanted, unsafe { bytes(name, length) }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn redox_read_v1(fd: usize, place: *mut u8, length: usize) -> Raw {
    // SAFETY: the same contract.
    raw(unsafe { syscall(SYS_READ, [fd, place as usize, length]) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn redox_write_v1(fd: usize, start: *const u8, length: usize) -> Raw {
    // SAFETY: the kernel only reads the bytes.
    raw(unsafe { syscall(SYS_WRITE, [fd, start as usize, length]) })
}

#[unsafe(no_mangle)]
extern "C" fn redox_fchmod_v1(fd: usize, mode: u16) -> Raw {
    raw(file::operation(fd, StdFsCallKind::Fchmod, &mut [], mode.into(), 0))
}

#[unsafe(no_mangle)]
extern "C" fn redox_fchown_v1(fd: usize, user: u32, group: u32) -> Raw {
    // SAFETY: no memory is involved.
    raw(unsafe { syscall(SYS_FCHOWN, [fd, user as usize, group as usize]) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn redox_getdents_v0(
    fd: usize,
    place: *mut u8,
    length: usize,
    cookie: u64,
) -> Raw {
    // SAFETY: the same contract.
    let place = unsafe { bytes_mut(place, length) };
    let header = logic::dirent::HEADER as u64;
    raw(file::operation(fd, StdFsCallKind::Getdents, place, cookie, header))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn redox_fstat_v1(fd: usize, place: *mut libc::stat) -> Raw {
    // SAFETY: the same contract.
    raw(unsafe { fs::stat::of_fd(fd, place) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn redox_fstatvfs_v1(fd: usize, place: *mut libc::statvfs) -> Raw {
    // SAFETY: the same contract.
    raw(fs::volume::of_fd(fd).map(|form| unsafe { place.write(form) }).map(|()| 0))
}

#[unsafe(no_mangle)]
extern "C" fn redox_fsync_v1(fd: usize) -> Raw {
    // SAFETY: no memory is involved.
    raw(unsafe { syscall(SYS_FSYNC, [fd]) })
}

#[unsafe(no_mangle)]
extern "C" fn redox_fdatasync_v1(fd: usize) -> Raw {
    redox_fsync_v1(fd)
}

#[unsafe(no_mangle)]
extern "C" fn redox_ftruncate_v0(fd: usize, length: usize) -> Raw {
    raw(file::operation(fd, StdFsCallKind::Ftruncate, &mut [], length as u64, 0))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn redox_futimens_v1(fd: usize, times: *const timespec) -> Raw {
    // SAFETY: the same contract.
    raw(fs::metadata::set_times(fd, unsafe { fs::metadata::times_at(times) }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn redox_fpath_v1(fd: usize, place: *mut u8, length: usize) -> Raw {
    // SAFETY: the same contract.
    raw(unsafe { syscall(SYS_FPATH, [fd, place as usize, length]) })
}

/// The path of `fd` as seen from the directory `base`: not there yet.
#[unsafe(no_mangle)]
extern "C" fn redox_relpathat_v0(_base: usize, _fd: usize, _place: *mut u8, _length: usize) -> Raw {
    raw(error(libc::ENOSYS))
}

#[unsafe(no_mangle)]
extern "C" fn redox_close_v1(fd: usize) -> Raw {
    raw(file::close(fd))
}

#[unsafe(no_mangle)]
extern "C" fn redox_fcntl_v0(fd: usize, command: usize, argument: usize) -> Raw {
    raw(fs::descriptor::control(fd, command as c_int, argument))
}

/// Protection and flags have the numbers of the `libc` crate.
#[unsafe(no_mangle)]
unsafe extern "C" fn redox_mmap_v1(
    address: *mut (),
    length: usize,
    protection: u32,
    flags: u32,
    fd: usize,
    offset: u64,
) -> Raw {
    let offset = offset.try_into().unwrap_or(-1);
    // Redox writes "no file" as a descriptor of all ones, with or without `MAP_ANON`.
    let anonymous = if fd == abi::ANONYMOUS { libc::MAP_ANON } else { 0 };
    let (protection, flags) = (protection as c_int, flags as c_int | anonymous);
    // SAFETY: the same contract.
    raw(unsafe {
        memory::map::create(address as usize, length, protection, flags, fd as c_int, offset)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn redox_munmap_v1(address: *mut (), length: usize) -> Raw {
    // SAFETY: the same contract.
    raw(unsafe { crate::sys::map::unmap(address as usize, length) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn redox_sys_call_v0(
    fd: usize,
    payload: *mut u8,
    length: usize,
    flags: usize,
    words: *const u64,
    count: usize,
) -> Raw {
    // SAFETY: the same contract.
    raw(unsafe { call(fd, payload, length, flags, words, count) })
}

/// # Safety
///
/// The payload is the caller's to fill, the words are readable.
unsafe fn call(
    fd: usize,
    payload: *mut u8,
    length: usize,
    flags: usize,
    words: *const u64,
    count: usize,
) -> Result<usize> {
    // The number of words shares its argument with the flags, which begin at bit 8.
    if count > 0xFF {
        return error(libc::EINVAL);
    }
    let arguments = [fd, payload as usize, length, flags | count, words as usize];
    // SAFETY: as promised by the caller.
    unsafe { syscall(SYS_CALL, arguments) }
}

/// Descriptors that one call may take.
const DESCRIPTORS_MAX: usize = 2;

#[unsafe(no_mangle)]
unsafe extern "C" fn redox_sys_call_multiple_v0(
    fds: *const usize,
    count: usize,
    payload: *mut u8,
    length: usize,
    flags: usize,
    words: *const u64,
    word_count: usize,
) -> Raw {
    if count > DESCRIPTORS_MAX {
        return raw(error(libc::EINVAL));
    }
    // Their number travels in the low bits of the aligned pointer.
    let fds = fds as usize | count;
    let flags = flags | CallFlags::MULTIPLE_FDS2.bits();
    // SAFETY: the same contract.
    raw(unsafe { call(fds, payload, length, flags, words, word_count) })
}

/// Sockets: not there yet.
#[unsafe(no_mangle)]
extern "C" fn redox_get_socket_token_v0(_fd: usize, _place: *mut u8, _length: usize) -> Raw {
    raw(error(libc::ENOSYS))
}
