//! What a socket is called, and what leads to it.

use abi::socket::{NAME_MAX, TOKEN};
use syscall::error::{EADDRINUSE, EINVAL, ENAMETOOLONG, Result};

use crate::error;

/// What leads to a socket whose name is a file's.
pub type Token = [u8; TOKEN];

/// A socket's name; none until it is bound. One that begins with a NUL is no file's: it is the token
/// itself, as on Linux, and may be taken.
#[derive(Default)]
pub(crate) struct Name {
    bytes: Vec<u8>,
    token: Option<Token>,
}

impl Name {
    /// The name; empty for none.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether there is one, which may be empty.
    pub(crate) fn is_bound(&self) -> bool {
        self.token.is_some()
    }

    /// Whether this leads there: a token, or a name that begins with a NUL.
    pub(crate) fn is_led_to_by(&self, to: &[u8]) -> bool {
        match to.first() {
            Some(0) => self.bytes == to,
            _ => self.token.is_some_and(|token| token == to),
        }
    }

    /// Whether one of these keeps a name from being given.
    ///
    /// # Errors
    /// `ENAMETOOLONG`
    pub(crate) fn is_taken<'a>(
        name: &[u8],
        mut by: impl Iterator<Item = &'a Self>,
    ) -> Result<bool> {
        if name.len() > NAME_MAX {
            return error(ENAMETOOLONG);
        }
        Ok(name.first() == Some(&0) && by.any(|other| other.bytes == name))
    }

    /// Gives the name, and a token that leads there.
    ///
    /// # Errors
    /// `EINVAL` when there is one, `EADDRINUSE` when it is taken.
    pub(crate) fn bind(&mut self, name: &[u8], token: Token, is_taken: bool) -> Result<Token> {
        if self.is_bound() {
            return error(EINVAL);
        }
        if is_taken {
            return error(EADDRINUSE);
        }
        *self = Self { bytes: name.to_vec(), token: Some(token) };
        Ok(token)
    }
}
