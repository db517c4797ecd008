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
        let end = address.checked_add(length).ok_or(Errno(EFAULT))?;
        if length > 0 && (address < USER_START || end > USER_END) {
            return Err(Errno(EFAULT));
        }
        Ok(Self { address, length })
    }

    /// The part from `offset` on, at most `length` bytes of it.
    pub fn part(self, offset: usize, length: usize) -> Self {
        let offset = offset.min(self.length);
        Self { address: self.address + offset, length: length.min(self.length - offset) }
    }
}
