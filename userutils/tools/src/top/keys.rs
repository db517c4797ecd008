//! Keys as they are hit.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use crate::failure::Failure;

/// Standard input, delivering keys at once and without echo for as long as this exists.
pub(super) struct Keyboard {
    before: Termios,
}

impl Keyboard {
    /// `None` if standard input is no terminal.
    pub(super) fn open() -> Option<Self> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut raw = before.clone();
        raw.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSANOW, &raw).ok()?;
        Some(Self { before })
    }

    /// A key, if one is hit in time.
    pub(super) fn key(&self, wait: Duration) -> Result<Option<u8>, Failure> {
        let timeout = PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX);
        let input = io::stdin();
        let mut waited = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
        match poll(&mut waited, timeout) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Err(Failure::of("standard input", error.desc())),
        }
        let mut key = [0];
        match nix::unistd::read(input.as_fd(), &mut key) {
            // The terminal is gone: as if `q` were hit.
            Ok(0) => Ok(Some(b'q')),
            Ok(_) => Ok(Some(key[0])),
            Err(error) => Err(Failure::of("standard input", error.desc())),
        }
    }

    /// Lines that fit, by `LINES`; a terminal that does not say has 24.
    pub(super) fn lines(&self) -> usize {
        std::env::var("LINES").ok().and_then(|lines| lines.parse().ok()).unwrap_or(24)
    }
}

impl Drop for Keyboard {
    fn drop(&mut self) {
        // Nothing is left to try if this fails.
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
}
