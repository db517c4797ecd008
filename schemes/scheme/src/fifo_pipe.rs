//! The pipes of FIFOs: `pipe:fifo`.

use libredox::Fd;
use libredox::flag::{O_CLOEXEC, O_RDWR};
use syscall::error::{EIO, Error, Result};

use crate::fifos::Keeper;

/// What keeps a pipe of the kernel while it has no ends.
pub struct FifoPipe(Fd);

impl Keeper for FifoPipe {
    type End = Fd;

    fn new() -> Result<Self> {
        Ok(Self(Fd::open("/scheme/pipe/fifo", O_RDWR | O_CLOEXEC, 0)?))
    }

    fn end(&self, kind: &str, nonblocking: bool) -> Result<Fd> {
        let end = Fd::new(self.0.dup(kind.as_bytes())?);
        let set = |flags: i32| {
            // SAFETY: the descriptor is open, and the call touches no memory.
            unsafe { libc::fcntl(end.raw() as i32, libc::F_SETFL, flags) }
        };
        if nonblocking && set(libc::O_NONBLOCK) < 0 {
            return Err(Error::new(EIO));
        }
        Ok(end)
    }

    fn is_used(&self) -> bool {
        // It counts itself, too.
        self.0.stat().is_ok_and(|stat| stat.st_nlink > 1)
    }
}
