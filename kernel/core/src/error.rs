//! How a call can fail to finish: with an error for the caller, by waiting, or because the caller
//! is no longer where it was.

use crate::memory::NoMemory;
use crate::task::Wait;
pub use abi::redox::error::*;

/// An error number of the binary interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Errno(pub i32);

/// Why a handler did not produce an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The caller did something wrong, or something it needs is not there.
    Error(Errno),
    /// The call cannot go on yet. It will be run again from the top.
    Park(Wait),
    /// The caller has new registers, or is gone: there is no answer to give.
    Replaced,
}

/// What handlers return.
pub type Outcome<T = usize> = Result<T, Stop>;

// Every call gives one back: two registers, no memory.
const _: () = assert!(size_of::<Outcome>() <= 2 * size_of::<usize>());

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Stop::Error(errno)
    }
}

impl From<NoMemory> for Errno {
    fn from(_: NoMemory) -> Self {
        Errno(ENOMEM)
    }
}

impl From<NoMemory> for Stop {
    fn from(_: NoMemory) -> Self {
        Stop::Error(Errno(ENOMEM))
    }
}

/// Shorthand: end the call with this error.
pub fn fail<T>(errno: i32) -> Outcome<T> {
    Err(Stop::Error(Errno(errno)))
}

/// The register form of an answer: the value, or the negated error number.
pub fn answer(result: Result<usize, Errno>) -> usize {
    match result {
        Ok(value) => value,
        Err(Errno(number)) => (number as usize).wrapping_neg(),
    }
}
