//! A disk that is a piece of memory.

use std::cell::RefCell;
use std::rc::Rc;

use filed::store::Backing;
use syscall::error::{EIO, Error, Result};

/// Clones are the same disk.
#[derive(Clone)]
pub(crate) struct Memory(pub(crate) Rc<RefCell<Vec<u8>>>);

impl Memory {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(Rc::new(RefCell::new(bytes)))
    }
}

impl Backing for Memory {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<()> {
        let bytes = self.0.borrow();
        let from = bytes.get(offset as usize..).and_then(|bytes| bytes.get(..into.len()));
        into.copy_from_slice(from.ok_or(Error::new(EIO))?);
        Ok(())
    }

    fn write(&mut self, offset: u64, from: &[u8]) -> Result<()> {
        let mut bytes = self.0.borrow_mut();
        let into = bytes.get_mut(offset as usize..).and_then(|bytes| bytes.get_mut(..from.len()));
        into.ok_or(Error::new(EIO))?.copy_from_slice(from);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn size(&mut self) -> Result<u64> {
        Ok(self.0.borrow().len() as u64)
    }
}
