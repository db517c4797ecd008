//! Open handles.

use slab::Slab;
use syscall::error::{EBADF, Error, Result};

use crate::node::{Id, Place};

/// What one handle is for.
#[derive(Clone, Debug)]
pub struct Open {
    /// The node.
    pub node: Id,
    /// Opened for reading.
    pub read: bool,
    /// Opened for writing.
    pub write: bool,
    /// The name it was opened by.
    pub place: Option<Place>,
    /// Who opened it.
    pub owner: Owner,
}

/// The ids that opened a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
}

impl Open {
    /// Itself, if it was opened for reading.
    pub fn readable(&self) -> Result<&Self> {
        if self.read { Ok(self) } else { Err(Error::new(EBADF)) }
    }

    /// Itself, if it was opened for writing.
    pub fn writable(&self) -> Result<&Self> {
        if self.write { Ok(self) } else { Err(Error::new(EBADF)) }
    }
}

/// Handles by number. A number is used again after it was closed.
#[derive(Debug, Default)]
pub struct Handles(Slab<Open>);

impl Handles {
    /// Adds a handle and gives it a number.
    pub fn insert(&mut self, open: Open) -> usize {
        self.0.insert(open)
    }

    /// The handle with this number.
    pub fn get(&self, number: usize) -> Result<&Open> {
        self.0.get(number).ok_or(Error::new(EBADF))
    }

    /// Takes a handle out.
    pub fn remove(&mut self, number: usize) -> Option<Open> {
        self.0.try_remove(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_number_is_bad_until_it_is_used_again() {
        let open = Open {
            node: Id(1),
            read: true,
            write: false,
            place: None,
            owner: Owner { uid: 0, gid: 0 },
        };
        let mut handles = Handles::default();
        let (first, second) = (handles.insert(open.clone()), handles.insert(open.clone()));
        assert_ne!(first, second);
        assert!(handles.remove(first).is_some());
        assert!(handles.remove(first).is_none());
        assert_eq!(handles.get(first).err(), Some(Error::new(EBADF)));
        assert_eq!(handles.get(usize::MAX).err(), Some(Error::new(EBADF)));
        assert_eq!(handles.insert(open), first);
        assert!(handles.get(first).and_then(Open::readable).is_ok());
        assert!(handles.get(first).and_then(Open::writable).is_err());
    }
}
