//! Semaphores with names: a word in memory that programs share under `shm:`.
//!
//! The object is a file `sem.NAME` of two words: the value, and a one that says that there is one. A
//! process maps it once, however often it is opened.

use super::semaphore::VALUE_MAX;
use crate::errno::{self, Answer};
use crate::fs::name::remove;
use crate::fs::open::masked;
use crate::fs::path::PathBuffer;
use crate::lock::Lock;
use crate::memory::map::shared_path;
use crate::sys::file::File;
use crate::sys::{Result, error, map, syscall};
use abi::PAGE_SIZE;
use abi::number::O_CLOEXEC;
use abi::redox::data::{Map, TimeSpec};
use abi::redox::flag::{MapFlags, O_CREAT, O_EXCL, O_RDWR};
use abi::redox::number::SYS_NANOSLEEP;
use alloc::vec::Vec;
use core::ptr::null_mut;
use libc::{c_char, c_int, c_uint, mode_t, sem_t};

/// Bytes of an object.
const SIZE: usize = 2 * size_of::<u32>();
/// How often, and how long between, an opener looks whether the maker has written the value.
const PATIENCE: usize = 1000;
static PAUSE: TimeSpec = TimeSpec { tv_sec: 0, tv_nsec: 1_000_000 };

/// A semaphore that this process has open.
struct Open {
    /// Which file it is: a name may be taken away and given again.
    file: (u64, u64),
    address: usize,
    count: usize,
}

static OPEN: Lock<Vec<Open>> = Lock::new(Vec::new());

/// The lock that `fork` holds.
pub(crate) fn lock() -> &'static crate::lock::RawLock {
    OPEN.raw()
}

unsafe fn path(name: *const c_char) -> Result<PathBuffer> {
    // SAFETY: the caller's string is NUL-terminated.
    unsafe { shared_path(b"sem.", name) }
}

/// Makes an object with a value. `EEXIST` when there is one.
fn make(path: &PathBuffer, mode: mode_t, value: c_uint) -> Result<File> {
    if value > VALUE_MAX {
        return error(libc::EINVAL);
    }
    let flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | masked(mode);
    let file = File::open(path.as_bytes(), flags)?;
    let words = [value, 1].map(u32::to_ne_bytes);
    match file.write(words.as_flattened()) {
        Ok(SIZE) => Ok(file),
        outcome => {
            // The name is free again; there is nothing more to do when that fails, too.
            let _ = remove(path.as_bytes(), 0);
            outcome.and_then(|_| error(libc::ENOSPC))
        }
    }
}

/// Opens an object, once its value is there.
fn find(path: &PathBuffer) -> Result<File> {
    let file = File::open(path.as_bytes(), O_RDWR | O_CLOEXEC)?;
    for _ in 0..PATIENCE {
        if file.stat()?.st_size >= SIZE as u64 {
            return Ok(file);
        }
        // SAFETY: the kernel only reads the time.
        let _ = unsafe { syscall(SYS_NANOSLEEP, [&raw const PAUSE as usize, 0]) };
    }
    // Whoever was making it has ended meanwhile.
    error(libc::EINVAL)
}

fn open(path: &PathBuffer, flags: usize, mode: mode_t, value: c_uint) -> Result<File> {
    loop {
        if flags & O_CREAT != 0 {
            match make(path, mode, value) {
                Err(error) if error.errno == libc::EEXIST && flags & O_EXCL == 0 => {}
                made => return made,
            }
        }
        match find(path) {
            // Taken away in between.
            Err(error) if error.errno == libc::ENOENT && flags & O_CREAT != 0 => {}
            found => return found,
        }
    }
}

/// Where the object is in this process's memory.
fn place(file: &File) -> Result<usize> {
    let stat = file.stat()?;
    let which = (stat.st_dev, stat.st_ino);
    let mut all = OPEN.lock();
    if let Some(known) = all.iter_mut().find(|known| known.file == which) {
        known.count += 1;
        return Ok(known.address);
    }
    all.try_reserve(1).or_else(|_| error(libc::ENOMEM))?;
    let flags = MapFlags::MAP_SHARED | MapFlags::PROT_READ | MapFlags::PROT_WRITE;
    let map = Map { offset: 0, size: PAGE_SIZE, flags, address: 0 };
    // SAFETY: nothing is replaced.
    let address = unsafe { map::map(file.fd(), &map) }?;
    all.push(Open { file: which, address, count: 1 });
    Ok(address)
}

/// Opens a semaphore with a name, and makes it if asked for. C declares mode and value variadic; on x86-64
/// they travel in the same registers.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_open(
    name: *const c_char,
    flags: c_int,
    mode: mode_t,
    value: c_uint,
) -> *mut sem_t {
    // SAFETY: the caller's string is NUL-terminated.
    let opened = unsafe { path(name) }
        .and_then(|path| open(&path, flags as u32 as usize, mode, value))
        .and_then(|file| place(&file));
    match opened {
        Ok(address) => address as *mut sem_t,
        Err(error) => {
            errno::set(error.errno);
            null_mut()
        }
    }
}

/// Closes a semaphore that [`sem_open`] gave; the last time takes it out of the process's memory.
#[unsafe(no_mangle)]
extern "C" fn sem_close(place: *mut sem_t) -> c_int {
    let mut all = OPEN.lock();
    let closed = match all.iter().position(|known| known.address == place as usize) {
        None => error(libc::EINVAL),
        Some(at) => {
            all[at].count -= 1;
            match all[at].count {
                // SAFETY: the caller does not use it any more, and it was the last one who could.
                0 => unsafe { map::unmap(all.swap_remove(at).address, PAGE_SIZE) },
                _ => Ok(0),
            }
        }
    };
    closed.zero()
}

/// Takes a semaphore's name away. Who has it open keeps it.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_unlink(name: *const c_char) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    unsafe { path(name) }.and_then(|path| remove(path.as_bytes(), 0)).zero()
}
