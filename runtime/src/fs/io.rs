//! Reading, writing, seeking.

use crate::errno::Answer;
use crate::sys::{Result, error, file, syscall};
use abi::redox::flag::{F_GETFL, O_NONBLOCK, StdFsCallKind};
use abi::redox::number::{SYS_FSYNC, SYS_LSEEK, SYS_READ, SYS_READ2, SYS_WRITE, SYS_WRITE2};
use core::ffi::c_void;
use core::mem::MaybeUninit;
use libc::{c_int, iovec, off_t, size_t, ssize_t};

/// What `writev` writes in one step: as much as a pipe takes in one piece.
const GATHERED_MAX: usize = 4096;

/// The most buffers in one call.
const BUFFERS_MAX: usize = 1024;

/// The most bytes that the kernel moves at once between a program and a daemon.
const MOVED_MAX: usize = 1 << 20;

/// Instead of flags for one call: those of the descriptor.
const DESCRIPTORS_FLAGS: usize = usize::MAX;

/// Which way bytes go, and whether from the descriptor's position.
#[derive(Clone, Copy)]
enum Transfer {
    Read,
    Write,
    ReadAt(off_t),
    WriteAt(off_t),
}

impl Transfer {
    /// Moves bytes once.
    ///
    /// # Safety
    ///
    /// When reading, the buffer is the caller's to fill.
    unsafe fn once(self, fd: c_int, buffer: *mut c_void, length: size_t) -> Result<usize> {
        let fd = file::number(fd)?;
        let buffer = buffer as usize;
        // SAFETY: as promised by the caller.
        unsafe {
            match self {
                Self::Read => syscall(SYS_READ, [fd, buffer, length]),
                Self::Write => syscall(SYS_WRITE, [fd, buffer, length]),
                Self::ReadAt(at) => {
                    syscall(SYS_READ2, [fd, buffer, length, position(at)?, DESCRIPTORS_FLAGS])
                }
                Self::WriteAt(at) => {
                    syscall(SYS_WRITE2, [fd, buffer, length, position(at)?, DESCRIPTORS_FLAGS])
                }
            }
        }
    }

    /// Moves all bytes, as far as there are any. The kernel moves a MiB at most at once, and into
    /// a pipe what has room; POSIX wants a file's bytes all, and a write to wait for room unless
    /// the descriptor says otherwise.
    ///
    /// # Safety
    ///
    /// When reading, the buffer is the caller's to fill.
    unsafe fn whole(self, fd: c_int, buffer: *mut c_void, length: size_t) -> Result<usize> {
        // SAFETY: as promised by the caller.
        let mut done = unsafe { self.once(fd, buffer, length) }?;
        if done == 0 || done >= length || !self.goes_on(fd, done) {
            return Ok(done);
        }
        while done < length {
            // SAFETY: inside the buffer, as promised by the caller.
            let rest = unsafe { buffer.byte_add(done) };
            // SAFETY: the same.
            match unsafe { self.advanced(done).once(fd, rest, length - done) } {
                // What was moved already must be told; the error comes again next time.
                Ok(0) | Err(_) => break,
                Ok(moved) => done += moved,
            }
        }
        Ok(done)
    }

    /// Whether more may follow after a call that moved less than was asked for.
    fn goes_on(self, fd: c_int, done: usize) -> bool {
        match self {
            // What is read short is at its end, or all that is there for now.
            Self::Read | Self::ReadAt(_) => done == MOVED_MAX,
            Self::Write | Self::WriteAt(_) => file::number(fd)
                .and_then(|fd| file::fcntl(fd, F_GETFL, 0))
                .is_ok_and(|flags| flags & O_NONBLOCK == 0),
        }
    }

    /// Further on by what was moved.
    fn advanced(self, count: usize) -> Self {
        match self {
            Self::ReadAt(at) => Self::ReadAt(at.saturating_add(count as off_t)),
            Self::WriteAt(at) => Self::WriteAt(at.saturating_add(count as off_t)),
            other => other,
        }
    }

    /// Moves bytes between a descriptor and several buffers, until one of them comes up short. The
    /// kernel has no call for this: little to write is put together first, so that it goes in one
    /// step, and everything else does not.
    ///
    /// # Safety
    ///
    /// `list` has `count` buffers; when reading, they are the caller's to fill.
    unsafe fn all(mut self, fd: c_int, list: *const iovec, count: c_int) -> Result<usize> {
        let count = usize::try_from(count).ok().filter(|&count| count <= BUFFERS_MAX);
        let Some(count) = count else {
            return error(libc::EINVAL);
        };
        if matches!(self, Self::Write | Self::WriteAt(_)) && count > 1 {
            let mut room = [MaybeUninit::uninit(); GATHERED_MAX];
            // SAFETY: as promised by the caller.
            if let Some(length) = unsafe { gather(list, count, &mut room) } {
                // SAFETY: the buffer is only read, and `length` bytes of it were written.
                return unsafe { self.whole(fd, room.as_mut_ptr().cast(), length) };
            }
        }
        let mut total = 0;
        for index in 0..count {
            // SAFETY: as promised by the caller.
            let buffer = unsafe { list.add(index).read() };
            if buffer.iov_len == 0 {
                continue;
            }
            // SAFETY: as promised by the caller.
            match unsafe { self.whole(fd, buffer.iov_base, buffer.iov_len) } {
                Ok(moved) => {
                    total += moved;
                    self = self.advanced(moved);
                    if moved < buffer.iov_len {
                        return Ok(total);
                    }
                }
                // What was moved already must be told; the error comes again next time.
                Err(_) if total > 0 => return Ok(total),
                Err(error) => return Err(error),
            }
        }
        Ok(total)
    }
}

/// Puts the bytes of several buffers into one, if they fit, and says how many they are.
///
/// # Safety
///
/// `list` has `count` buffers to read.
unsafe fn gather(
    list: *const iovec,
    count: usize,
    room: &mut [MaybeUninit<u8>; GATHERED_MAX],
) -> Option<usize> {
    let mut length = 0;
    for index in 0..count {
        // SAFETY: as promised by the caller.
        let buffer = unsafe { list.add(index).read() };
        let place = room.get_mut(length..)?.get_mut(..buffer.iov_len)?;
        // SAFETY: the buffer has so many bytes, and so has the place.
        unsafe {
            let to = place.as_mut_ptr().cast::<u8>();
            buffer.iov_base.cast::<u8>().copy_to_nonoverlapping(to, buffer.iov_len);
        }
        length += buffer.iov_len;
    }
    (length > 0).then_some(length)
}

fn position(at: off_t) -> Result<usize> {
    usize::try_from(at).or_else(|_| error(libc::EINVAL))
}

/// Reads from the descriptor's position.
#[unsafe(no_mangle)]
unsafe extern "C" fn read(fd: c_int, buffer: *mut c_void, length: size_t) -> ssize_t {
    // SAFETY: the same contract.
    unsafe { Transfer::Read.whole(fd, buffer, length) }.size()
}

/// Writes at the descriptor's position.
#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, length: size_t) -> ssize_t {
    // SAFETY: the buffer is only read.
    unsafe { Transfer::Write.whole(fd, buffer.cast_mut(), length) }.size()
}

/// Reads from a position of its own.
#[unsafe(no_mangle)]
unsafe extern "C" fn pread(fd: c_int, buffer: *mut c_void, length: size_t, at: off_t) -> ssize_t {
    // SAFETY: the same contract.
    unsafe { Transfer::ReadAt(at).whole(fd, buffer, length) }.size()
}

/// Writes at a position of its own.
#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite(
    fd: c_int,
    buffer: *const c_void,
    length: size_t,
    at: off_t,
) -> ssize_t {
    // SAFETY: the buffer is only read.
    unsafe { Transfer::WriteAt(at).whole(fd, buffer.cast_mut(), length) }.size()
}

/// Reads into several buffers.
#[unsafe(no_mangle)]
unsafe extern "C" fn readv(fd: c_int, list: *const iovec, count: c_int) -> ssize_t {
    // SAFETY: the same contract.
    unsafe { Transfer::Read.all(fd, list, count) }.size()
}

/// Writes from several buffers.
#[unsafe(no_mangle)]
unsafe extern "C" fn writev(fd: c_int, list: *const iovec, count: c_int) -> ssize_t {
    // SAFETY: the same contract.
    unsafe { Transfer::Write.all(fd, list, count) }.size()
}

/// Reads into several buffers from a position of its own.
#[unsafe(no_mangle)]
unsafe extern "C" fn preadv(fd: c_int, list: *const iovec, count: c_int, at: off_t) -> ssize_t {
    // SAFETY: the same contract.
    unsafe { Transfer::ReadAt(at).all(fd, list, count) }.size()
}

/// Writes from several buffers at a position of its own.
#[unsafe(no_mangle)]
unsafe extern "C" fn pwritev(fd: c_int, list: *const iovec, count: c_int, at: off_t) -> ssize_t {
    // SAFETY: the same contract.
    unsafe { Transfer::WriteAt(at).all(fd, list, count) }.size()
}

/// Moves the descriptor's position.
#[unsafe(no_mangle)]
extern "C" fn lseek(fd: c_int, offset: off_t, whence: c_int) -> off_t {
    let moved = file::number(fd).and_then(|fd| {
        // SAFETY: no memory is involved.
        unsafe { syscall(SYS_LSEEK, [fd, offset as usize, whence as usize]) }
    });
    moved.size() as off_t
}

/// Sets a file's length.
#[unsafe(no_mangle)]
extern "C" fn ftruncate(fd: c_int, length: off_t) -> c_int {
    let set = file::number(fd).and_then(|fd| {
        file::operation(fd, StdFsCallKind::Ftruncate, &mut [], position(length)? as u64, 0)
    });
    set.zero()
}

/// Sets the length of a file by its path.
#[unsafe(no_mangle)]
unsafe extern "C" fn truncate(path: *const libc::c_char, length: off_t) -> c_int {
    // SAFETY: the caller's string is NUL-terminated.
    let set = unsafe { super::path::from_c(path) }.with(|path| {
        let flags = abi::redox::flag::O_WRONLY | abi::number::O_CLOEXEC;
        let file = super::open::open_path(path, flags)?;
        let length = position(length)? as u64;
        file::operation(file.fd(), StdFsCallKind::Ftruncate, &mut [], length, 0)
    });
    set.zero()
}

/// Waits until a file is safe on its medium.
#[unsafe(no_mangle)]
extern "C" fn fsync(fd: c_int) -> c_int {
    // SAFETY: no memory is involved.
    file::number(fd).and_then(|fd| unsafe { syscall(SYS_FSYNC, [fd]) }).zero()
}

/// Waits until a file's bytes are safe on its medium: all of it, for there is no smaller call.
#[unsafe(no_mangle)]
extern "C" fn fdatasync(fd: c_int) -> c_int {
    fsync(fd)
}
