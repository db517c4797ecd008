//! A piece of a program's memory, as the program named it in a call: not to be trusted.

use crate::error::{EFAULT, Errno};
use abi::{USER_END, USER_START};

/// `length` bytes at `address`, checked to lie in the user half. Whether anything is mapped there
/// shows when it is copied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UserSlice {
    /// Where it starts.
    pub address: usize,
    /// Bytes.
    pub length: usize,
}

impl UserSlice {
    /// `EFAULT` when any byte lies outside the user half. An empty slice is always good.
    pub fn new(address: usize, length: usize) -> Result<Self, Errno> {
        const ROOM: usize = USER_END - USER_START;
        let offset = address.wrapping_sub(USER_START);
        let is_inside = offset <= ROOM && length <= ROOM - offset;
        if is_inside || length == 0 { Ok(Self { address, length }) } else { Err(Errno(EFAULT)) }
    }

    /// The part from `offset` on, at most `length` bytes of it.
    pub fn part(self, offset: usize, length: usize) -> Self {
        let offset = offset.min(self.length);
        Self { address: self.address + offset, length: length.min(self.length - offset) }
    }
}
