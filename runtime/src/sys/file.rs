//! Descriptors, as the kernel has them: no C strings, no `errno`.

use super::{Result, error, syscall};
use abi::number::OPEN;
use abi::redox::data::{Stat, StdFsCallMeta};
use abi::redox::flag::{CallFlags, F_GETFL, F_SETFD, F_SETFL, StdFsCallKind};
use abi::redox::number::{
    SYS_CALL, SYS_CLOSE, SYS_DUP_INTO, SYS_DUP2, SYS_FCNTL, SYS_FPATH, SYS_FSTAT, SYS_READ,
    SYS_WRITE,
};
use core::fmt;
use libc::c_int;

/// A descriptor that is closed when it goes out of scope.
pub(crate) struct File(usize);

impl File {
    /// Opens an absolute path.
    pub(crate) fn open(path: &[u8], flags: usize) -> Result<Self> {
        // SAFETY: the kernel only reads the path.
        unsafe { syscall(OPEN, [path.as_ptr() as usize, path.len(), flags]) }.map(Self)
    }

    /// Takes over a descriptor nobody else closes.
    pub(crate) fn adopt(fd: usize) -> Self {
        Self(fd)
    }

    /// Its number.
    pub(crate) fn fd(&self) -> usize {
        self.0
    }

    /// Gives the number away; closing is up to the taker.
    pub(crate) fn into_fd(self) -> usize {
        let fd = self.0;
        core::mem::forget(self);
        fd
    }

    /// Reads once.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> Result<usize> {
        // SAFETY: the buffer is ours to fill.
        unsafe { syscall(SYS_READ, [self.0, buffer.as_mut_ptr() as usize, buffer.len()]) }
    }

    /// Reads until `buffer` is full or the file ends; goes on after a signal.
    pub(crate) fn read_full(&self, buffer: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.read(&mut buffer[done..]) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.errno == libc::EINTR => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    /// Writes once.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<usize> {
        write(self.0, bytes)
    }

    /// What the file is.
    pub(crate) fn stat(&self) -> Result<Stat> {
        stat(self.0)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // A failing close still gives the number back, and there is nobody to tell.
        let _ = close(self.0);
    }
}

/// A C descriptor as the kernel's: a negative one is `EBADF` and never one of the kernel's special
/// values.
pub(crate) fn number(fd: c_int) -> Result<usize> {
    usize::try_from(fd).or_else(|_| error(libc::EBADF))
}

/// Closes.
pub(crate) fn close(fd: usize) -> Result<usize> {
    // SAFETY: no memory is involved.
    unsafe { syscall(SYS_CLOSE, [fd]) }
}

/// Writes once.
pub(crate) fn write(fd: usize, bytes: &[u8]) -> Result<usize> {
    // SAFETY: the kernel only reads the bytes.
    unsafe { syscall(SYS_WRITE, [fd, bytes.as_ptr() as usize, bytes.len()]) }
}

/// A second descriptor for the same thing, or, with a `name`, for what the thing calls so.
pub(crate) fn dup(fd: usize, name: &[u8]) -> Result<usize> {
    let arguments = [fd, name.as_ptr() as usize, name.len(), abi::LOWEST_FREE];
    // SAFETY: the kernel only reads the name.
    unsafe { syscall(SYS_DUP_INTO, arguments) }
}

/// The same at a wanted place; what was there is closed.
pub(crate) fn dup2(fd: usize, wanted: usize, name: &[u8]) -> Result<usize> {
    // SAFETY: the kernel only reads the name.
    unsafe { syscall(SYS_DUP2, [fd, wanted, name.as_ptr() as usize, name.len()]) }
}

/// The same without a name, and with `O_CLOEXEC` or without.
pub(crate) fn dup3(fd: usize, wanted: usize, flags: usize) -> Result<usize> {
    // SAFETY: no memory is involved.
    unsafe { syscall(SYS_DUP2, [fd, wanted, 0, 0, flags]) }
}

/// `fcntl` with a number as its argument.
pub(crate) fn fcntl(fd: usize, command: usize, argument: usize) -> Result<usize> {
    // SAFETY: the commands that reach the kernel take numbers, not pointers.
    unsafe { syscall(SYS_FCNTL, [fd, command, argument]) }
}

/// Sets or clears one status flag, such as `O_NONBLOCK`.
pub(crate) fn set_status_flag(fd: usize, flag: usize, on: bool) -> Result<usize> {
    let flags = fcntl(fd, F_GETFL, 0)?;
    fcntl(fd, F_SETFL, if on { flags | flag } else { flags & !flag })
}

/// Marks a descriptor close-on-exec.
pub(crate) fn set_close_on_exec(fd: usize) -> Result<usize> {
    fcntl(fd, F_SETFD, abi::number::O_CLOEXEC)
}

/// What a file is.
pub(crate) fn stat(fd: usize) -> Result<Stat> {
    let mut stat = Stat::default();
    let arguments = [fd, &raw mut stat as usize, size_of::<Stat>()];
    // SAFETY: `stat` is ours to fill and any bits are valid in it.
    unsafe { syscall(SYS_FSTAT, arguments) }?;
    Ok(stat)
}

/// The path a descriptor was opened by, as its scheme tells it.
pub(crate) fn path(fd: usize, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the buffer is ours to fill.
    unsafe { syscall(SYS_FPATH, [fd, buffer.as_mut_ptr() as usize, buffer.len()]) }
}

/// One of the standard file operations that travel by `SYS_CALL`.
pub(crate) fn operation(
    fd: usize,
    kind: StdFsCallKind,
    payload: &mut [u8],
    first: u64,
    second: u64,
) -> Result<usize> {
    let meta = StdFsCallMeta::new(kind, first, second);
    let words = size_of::<StdFsCallMeta>() / size_of::<u64>();
    let flags = CallFlags::STD_FS | CallFlags::READ | CallFlags::WRITE;
    let arguments = [
        fd,
        payload.as_mut_ptr() as usize,
        payload.len(),
        flags.bits() | words,
        &raw const meta as usize,
    ];
    // SAFETY: the payload is ours to fill; the metadata is only read.
    unsafe { syscall(SYS_CALL, arguments) }
}

/// A message of a scheme's own kind, which may fill the payload.
pub(crate) fn message(fd: usize, payload: &mut [u8], metadata: &[u64]) -> Result<usize> {
    let (start, length) = (payload.as_mut_ptr() as usize, payload.len());
    let flags = (CallFlags::READ | CallFlags::WRITE).bits() | metadata.len();
    // SAFETY: the payload is ours to fill; the metadata is only read.
    unsafe { syscall(SYS_CALL, [fd, start, length, flags, metadata.as_ptr() as usize]) }
}

/// A message of a scheme's own kind that gives nothing back.
pub(crate) fn tell(fd: usize, payload: &[u8], metadata: &[u64]) -> Result<usize> {
    let (start, length) = (payload.as_ptr() as usize, payload.len());
    let flags = CallFlags::WRITE.bits() | metadata.len();
    // SAFETY: payload and metadata are only read.
    unsafe { syscall(SYS_CALL, [fd, start, length, flags, metadata.as_ptr() as usize]) }
}

/// Text straight to a descriptor.
pub(crate) struct Output(pub(crate) usize);

impl fmt::Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            match write(self.0, rest) {
                Ok(0) | Err(_) => return Err(fmt::Error),
                Ok(count) => rest = &rest[count..],
            }
        }
        Ok(())
    }
}
