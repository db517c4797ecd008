//! Advisory locks, which the file's scheme keeps: on whole files (`flock`), and on ranges of bytes
//! (`fcntl`, `lockf`).

use crate::errno::Answer;
use crate::sys::{Result, error, file, syscall};
use abi::lock::{EXCLUSIVE, LOCK, NO_WAIT, OPEN_FILE, RANGE, RangeLock, SHARED, TEST, UNLOCK};
use abi::redox::flag::{F_GETFL, O_ACCMODE, O_RDONLY, O_WRONLY};
use abi::redox::number::SYS_LSEEK;
use core::ffi::{c_short, c_void};
use libc::{c_int, off_t, pid_t};

const _: () = assert!(
    libc::LOCK_SH as u64 == SHARED
        && libc::LOCK_EX as u64 == EXCLUSIVE
        && libc::LOCK_NB as u64 == NO_WAIT
        && libc::LOCK_UN as u64 == UNLOCK
);

/// C's `struct flock`, for which the libc crate has no name on this target; Redox's C library lays it
/// out so.
#[repr(C)]
#[derive(Clone, Copy)]
struct FileLock {
    kind: c_short,
    whence: c_short,
    start: off_t,
    length: off_t,
    pid: pid_t,
}

/// `F_RDLCK`, `F_WRLCK`, `F_UNLCK`.
const READ: c_short = 0;
const WRITE: c_short = 1;
const NONE: c_short = 2;

/// The commands for locks of open files, by their usual numbers: the libc crate has no names for them on
/// this target.
const F_OFD_GETLK: c_int = 36;
const F_OFD_SETLK: c_int = 37;
const F_OFD_SETLKW: c_int = 38;

/// What a command for locks asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Test,
    Set { may_wait: bool },
}

/// What a command is about locks, and whose: 0 for the process's.
fn meaning(command: c_int) -> Option<(Action, u64)> {
    let (at_once, waiting) = (Action::Set { may_wait: false }, Action::Set { may_wait: true });
    Some(match command {
        libc::F_GETLK => (Action::Test, 0),
        libc::F_SETLK => (at_once, 0),
        libc::F_SETLKW => (waiting, 0),
        F_OFD_GETLK => (Action::Test, OPEN_FILE),
        F_OFD_SETLK => (at_once, OPEN_FILE),
        F_OFD_SETLKW => (waiting, OPEN_FILE),
        _ => return None,
    })
}

/// Whether an `fcntl` command is about locks.
pub(crate) fn is_command(command: c_int) -> bool {
    meaning(command).is_some()
}

fn lock(fd: c_int, operation: c_int) -> Result<usize> {
    let operation = u64::try_from(operation).or_else(|_| error(libc::EINVAL))?;
    file::message(file::number(fd)?, &mut [], &[LOCK, operation])
}

/// Locks a file, or gives the lock back.
#[unsafe(no_mangle)]
extern "C" fn flock(fd: c_int, operation: c_int) -> c_int {
    lock(fd, operation).zero()
}

/// Where a descriptor reads and writes next.
fn position(fd: usize) -> Result<off_t> {
    // SAFETY: no memory is involved.
    let place = unsafe { syscall(SYS_LSEEK, [fd, 0, libc::SEEK_CUR as usize]) }?;
    Ok(place as off_t)
}

impl FileLock {
    /// The bytes it means, from the start of the file.
    fn range(&self, fd: usize) -> Result<RangeLock> {
        let base = match c_int::from(self.whence) {
            libc::SEEK_SET => 0,
            libc::SEEK_CUR => position(fd)?,
            libc::SEEK_END => file::stat(fd)?.st_size as off_t,
            _ => return error(libc::EINVAL),
        };
        let start = base.checked_add(self.start).map_or_else(|| error(libc::EOVERFLOW), Ok)?;
        // A negative length means bytes before the start.
        let (start, length) = match self.length {
            length @ 0.. => (start, length),
            length => {
                let start = start.checked_add(length).map_or_else(|| error(libc::EINVAL), Ok)?;
                (start, length.checked_neg().unwrap_or(off_t::MAX))
            }
        };
        if start < 0 {
            return error(libc::EINVAL);
        }
        if start.checked_add(length).is_none() {
            return error(libc::EOVERFLOW);
        }
        Ok(RangeLock { start: start as u64, length: length as u64, ..RangeLock::default() })
    }

    /// The operation for its kind. Who locks against others must be able to do what they may not.
    fn operation(&self, fd: usize, is_test: bool) -> Result<u64> {
        let mode = file::fcntl(fd, F_GETFL, 0)? & O_ACCMODE;
        match self.kind {
            READ if mode == O_WRONLY && !is_test => error(libc::EBADF),
            WRITE if mode == O_RDONLY && !is_test => error(libc::EBADF),
            READ => Ok(SHARED),
            WRITE => Ok(EXCLUSIVE),
            NONE if !is_test => Ok(UNLOCK),
            _ => error(libc::EINVAL),
        }
    }

    /// Takes the lock, or gives it back.
    fn set(&self, fd: usize, may_wait: bool, whose: u64) -> Result<usize> {
        let operation = match self.operation(fd, false)? {
            UNLOCK => UNLOCK,
            operation if may_wait => operation,
            operation => operation | NO_WAIT,
        };
        file::message(fd, &mut self.range(fd)?.to_bytes(), &[RANGE, operation | whose])
    }

    /// What is in the way of the lock.
    fn test(&self, fd: usize, whose: u64) -> Result<Option<RangeLock>> {
        let mut payload = self.range(fd)?.to_bytes();
        let operation = self.operation(fd, true)? | TEST | whose;
        let answer = file::message(fd, &mut payload, &[RANGE, operation])?;
        Ok((answer != 0).then(|| RangeLock::from_bytes(&payload)))
    }
}

/// `fcntl`'s commands for locks.
///
/// # Safety
///
/// `place` is that of a `struct flock`.
pub(crate) unsafe fn control(fd: usize, command: c_int, place: *mut c_void) -> Result<usize> {
    let place = place.cast::<FileLock>();
    if place.is_null() {
        return error(libc::EFAULT);
    }
    // SAFETY: as promised by the caller.
    let lock = unsafe { place.read() };
    let whose = match meaning(command) {
        // There is nothing to say of a process.
        Some((_, OPEN_FILE)) if lock.pid != 0 => return error(libc::EINVAL),
        Some((Action::Set { may_wait }, whose)) => return lock.set(fd, may_wait, whose),
        Some((Action::Test, whose)) => whose,
        None => return error(libc::EINVAL),
    };
    let told = match lock.test(fd, whose)? {
        None => FileLock { kind: NONE, ..lock },
        Some(held) => FileLock {
            kind: if held.kind == EXCLUSIVE { WRITE } else { READ },
            whence: libc::SEEK_SET as c_short,
            start: held.start as off_t,
            length: held.length as off_t,
            // −1 for an open file's.
            pid: held.pid as pid_t,
        },
    };
    // SAFETY: as promised by the caller.
    unsafe { place.write(told) };
    Ok(0)
}

/// Locks bytes from the position on, exclusively.
#[unsafe(no_mangle)]
extern "C" fn lockf(fd: c_int, command: c_int, length: off_t) -> c_int {
    let kind = if command == libc::F_ULOCK { NONE } else { WRITE };
    let lock = FileLock { kind, whence: libc::SEEK_CUR as c_short, start: 0, length, pid: 0 };
    let done = file::number(fd).and_then(|fd| match command {
        libc::F_ULOCK | libc::F_LOCK | libc::F_TLOCK => lock.set(fd, command == libc::F_LOCK, 0),
        libc::F_TEST => match lock.test(fd, 0)? {
            None => Ok(0),
            Some(_) => error(libc::EAGAIN),
        },
        _ => error(libc::EINVAL),
    });
    done.zero()
}
