//! Descriptors themselves: `close`, `dup`, `fcntl`.

use super::lock;
use crate::errno::{self, Answer};
use crate::sys::{Result, file};
use abi::number::O_CLOEXEC;
use abi::redox::flag;
use core::ffi::c_void;
use libc::{c_int, c_ulong};

/// Closes.
#[unsafe(no_mangle)]
extern "C" fn close(fd: c_int) -> c_int {
    file::number(fd).and_then(file::close).zero()
}

/// Makes a second descriptor.
#[unsafe(no_mangle)]
extern "C" fn dup(fd: c_int) -> c_int {
    file::number(fd).and_then(|fd| file::dup(fd, &[])).int()
}

/// Makes a second descriptor at a wanted place.
#[unsafe(no_mangle)]
extern "C" fn dup2(fd: c_int, wanted: c_int) -> c_int {
    let duplicate = || {
        let (fd, wanted) = (file::number(fd)?, file::number(wanted)?);
        if fd == wanted {
            // Nothing changes, but the descriptor has to be there.
            return file::fcntl(fd, flag::F_GETFD, 0).map(|_| fd);
        }
        file::dup2(fd, wanted, &[])
    };
    duplicate().int()
}

/// Makes a second descriptor at a wanted place, close-on-exec if asked for.
#[unsafe(no_mangle)]
extern "C" fn dup3(fd: c_int, wanted: c_int, flags: c_int) -> c_int {
    if fd == wanted || flags & !libc::O_CLOEXEC != 0 {
        return errno::fail(libc::EINVAL) as c_int;
    }
    let duplicate = || {
        let flags = if flags & libc::O_CLOEXEC != 0 { O_CLOEXEC } else { 0 };
        file::dup3(file::number(fd)?, file::number(wanted)?, flags)
    };
    duplicate().int()
}

/// Commands on a descriptor. C declares the argument variadic; on x86-64 it travels in the same
/// register.
#[unsafe(no_mangle)]
unsafe extern "C" fn fcntl(fd: c_int, command: c_int, argument: c_ulong) -> c_int {
    let done = file::number(fd).and_then(|fd| match command {
        command if lock::is_command(command) => {
            // SAFETY: the caller gave a `struct flock`.
            unsafe { lock::control(fd, command, argument as *mut c_void) }
        }
        _ => control(fd, command, argument as usize),
    });
    done.int()
}

/// Where `std` looks for room when it duplicates a descriptor. It means `F_DUPFD_CLOEXEC`, but the
/// libc crate that std 1.95 is built with (0.2.178) gives both commands the same number for this
/// target. Taken at its word, every `try_clone` would leak into every child, and readers of a pipe
/// would wait for writers that nobody knows of.
const FIRST_OF_STD: u32 = 3;

/// See [`fcntl`].
pub(crate) fn control(fd: usize, command: c_int, argument: usize) -> Result<usize> {
    match command {
        libc::F_DUPFD if argument as u32 == FIRST_OF_STD => {
            file::fcntl(fd, libc::F_DUPFD_CLOEXEC as usize, argument as u32 as usize)
        }
        libc::F_DUPFD | libc::F_DUPFD_CLOEXEC => {
            file::fcntl(fd, command as usize, argument as u32 as usize)
        }
        libc::F_GETFD => file::fcntl(fd, flag::F_GETFD, 0),
        libc::F_SETFD => {
            // Some programs write 1, which is `FD_CLOEXEC` everywhere else.
            let on = argument as u32 as usize & (O_CLOEXEC | 1) != 0;
            file::fcntl(fd, flag::F_SETFD, if on { O_CLOEXEC } else { 0 })
        }
        libc::F_GETFL => file::fcntl(fd, flag::F_GETFL, 0),
        libc::F_SETFL => file::fcntl(fd, flag::F_SETFL, argument as u32 as usize),
        _ => crate::sys::error(libc::EINVAL),
    }
}
