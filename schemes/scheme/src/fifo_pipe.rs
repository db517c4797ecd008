//! The pipes of FIFOs: `pipe:fifo`.

use libredox::Fd;
use libredox::flag::{O_CLOEXEC, O_NONBLOCK, O_RDWR};
use syscall::error::Result;
use syscall::flag::F_SETFL;

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
        if nonblocking {
            end.fcntl(F_SETFL, O_NONBLOCK as usize)?;
        }
        Ok(end)
    }

    fn is_used(&self) -> bool {
        // It counts itself, too.
        self.0.stat().is_ok_and(|stat| stat.st_nlink > 1)
    }
}
