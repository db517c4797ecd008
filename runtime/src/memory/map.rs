//! `mmap` and its family.

use crate::errno::{self, Answer};
use crate::fs::open::masked;
use crate::fs::path::{Given, PathBuffer};
use crate::sys::{self, Result, error, file, map};
use abi::number::O_CLOEXEC;
use abi::redox::data::Map;
use abi::redox::flag::{MODE_PERM, MapFlags};
use abi::{ANONYMOUS, PAGE_SIZE};
use core::ffi::c_void;
use libc::{c_char, c_int, mode_t, off_t, size_t};

/// The kernel keeps protection in the upper half of the word, in the order C's `PROT_*` have.
const PROTECTION_SHIFT: usize = 16;

const _: () = {
    assert!(MapFlags::PROT_READ.bits() == (libc::PROT_READ as usize) << PROTECTION_SHIFT);
    assert!(MapFlags::PROT_WRITE.bits() == (libc::PROT_WRITE as usize) << PROTECTION_SHIFT);
    assert!(MapFlags::PROT_EXEC.bits() == (libc::PROT_EXEC as usize) << PROTECTION_SHIFT);
    assert!(MapFlags::MAP_FIXED.bits() == libc::MAP_FIXED as usize);
};

fn protection(prot: c_int) -> Result<MapFlags> {
    if prot & !(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC) != 0 {
        return error(libc::EINVAL);
    }
    Ok(MapFlags::from_bits_retain((prot as usize) << PROTECTION_SHIFT))
}

/// Maps memory as `mmap` describes it, with the kernel's numbers.
///
/// # Safety
///
/// With `MAP_FIXED` what was mapped there is gone; nobody may use it any more.
pub(crate) unsafe fn create(
    address: usize,
    length: usize,
    prot: c_int,
    flags: c_int,
    fd: c_int,
    offset: off_t,
) -> Result<usize> {
    let offset = usize::try_from(offset).or_else(|_| error(libc::EINVAL))?;
    if length == 0 || !offset.is_multiple_of(PAGE_SIZE) {
        return error(libc::EINVAL);
    }
    let is_anonymous = flags & libc::MAP_ANON != 0;
    let fd = if is_anonymous { ANONYMOUS } else { file::number(fd)? };
    // The kernel takes the offset of anonymous memory for something else.
    let offset = if is_anonymous { 0 } else { offset };
    let kept = flags & (libc::MAP_SHARED | libc::MAP_PRIVATE | libc::MAP_FIXED);
    let flags = protection(prot)? | MapFlags::from_bits_retain(kept as usize);
    let size = length.checked_next_multiple_of(PAGE_SIZE);
    let size = size.map_or_else(|| error(libc::ENOMEM), Ok)?;
    // SAFETY: as promised by the caller.
    unsafe { map::map(fd, &Map { offset, size, flags, address }) }
}

/// Maps a file or anonymous memory.
#[unsafe(no_mangle)]
unsafe extern "C" fn mmap(
    address: *mut c_void,
    length: size_t,
    prot: c_int,
    flags: c_int,
    fd: c_int,
    offset: off_t,
) -> *mut c_void {
    // SAFETY: the caller's contract is the same.
    match unsafe { create(address as usize, length, prot, flags, fd, offset) } {
        Ok(address) => address as *mut c_void,
        Err(error) => {
            errno::set(error.errno);
            libc::MAP_FAILED
        }
    }
}

/// Takes a mapping away.
#[unsafe(no_mangle)]
unsafe extern "C" fn munmap(address: *mut c_void, length: size_t) -> c_int {
    // SAFETY: the caller's contract is the same.
    unsafe { map::unmap(address as usize, length) }.zero()
}

/// Changes what a mapping allows.
#[unsafe(no_mangle)]
unsafe extern "C" fn mprotect(address: *mut c_void, length: size_t, prot: c_int) -> c_int {
    let changed = protection(prot).and_then(|flags| {
        // SAFETY: the caller's contract is the same.
        unsafe { map::protect(address as usize, length.next_multiple_of(PAGE_SIZE), flags) }
    });
    changed.zero()
}

/// Has files keep what was written to shared mappings of them. There is no asking without waiting:
/// `MS_ASYNC` waits as well.
#[unsafe(no_mangle)]
extern "C" fn msync(address: *mut c_void, length: size_t, flags: c_int) -> c_int {
    const KNOWN: c_int = libc::MS_ASYNC | libc::MS_SYNC | libc::MS_INVALIDATE;
    let both = libc::MS_ASYNC | libc::MS_SYNC;
    if flags & !KNOWN != 0 || flags & both == both {
        return errno::fail(libc::EINVAL) as c_int;
    }
    map::sync(address as usize, length).zero()
}

/// Advice is taken note of, as POSIX allows, by doing nothing. `MADV_DONTNEED` is the exception
/// that programs rely on for its effect: private memory is zero again, or as its file has it.
#[unsafe(no_mangle)]
unsafe extern "C" fn madvise(address: *mut c_void, length: size_t, advice: c_int) -> c_int {
    match advice {
        libc::MADV_NORMAL..=libc::MADV_WILLNEED => 0,
        libc::MADV_DONTNEED if length == 0 => 0,
        // SAFETY: the caller's contract is the same.
        libc::MADV_DONTNEED => unsafe { map::discard(address as usize, length) }.zero(),
        _ => errno::fail(libc::EINVAL) as c_int,
    }
}

/// `madvise` that returns an error number, and whose `DONTNEED` is mere advice.
#[unsafe(no_mangle)]
extern "C" fn posix_madvise(_: *mut c_void, _: size_t, advice: c_int) -> c_int {
    if (libc::MADV_NORMAL..=libc::MADV_DONTNEED).contains(&advice) { 0 } else { libc::EINVAL }
}

/// The path that a name of shared memory, or of what is kept in some, stands for.
///
/// # Safety
///
/// The name is NUL-terminated.
pub(crate) unsafe fn shared_path(prefix: &[u8], name: *const c_char) -> Result<PathBuffer> {
    // SAFETY: the caller's string is NUL-terminated.
    let name = unsafe { crate::pointer::string(name) };
    let name = name.strip_prefix(b"/").unwrap_or(name);
    if name.is_empty() || name.contains(&b'/') {
        return error(libc::EINVAL);
    }
    let whole = [prefix, name].concat();
    let mut path = Given::new(b"/scheme/shm").resolve()?;
    path.push_parts(&whole).or_else(|_| error(libc::ENAMETOOLONG))?;
    Ok(path)
}

/// Opens a shared-memory object, a file of the scheme `shm:`; close-on-exec.
#[unsafe(no_mangle)]
unsafe extern "C" fn shm_open(name: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    let opened = unsafe { shared_path(b"", name) }.and_then(|path| {
        let flags = flags as u32 as usize & !usize::from(MODE_PERM);
        sys::file::File::open(path.as_bytes(), flags | O_CLOEXEC | masked(mode))
    });
    opened.map(sys::file::File::into_fd).int()
}

/// Takes a shared-memory object's name away.
#[unsafe(no_mangle)]
unsafe extern "C" fn shm_unlink(name: *const c_char) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    unsafe { shared_path(b"", name) }
        .and_then(|path| crate::fs::name::remove(path.as_bytes(), 0))
        .zero()
}
