//! How much may be stored, and how much is.
//!
//! Contents count by the page, everything else by an estimate of what it costs, so that a million
//! empty files run into the limit as surely as one big one.

use syscall::error::{ENOSPC, Error, Result};

use scheme::area::PAGE;

/// What one node costs beside its contents.
pub const NODE: u64 = 256;

/// What one directory entry costs.
pub fn entry(name: &str) -> u64 {
    64 + name.len() as u64
}

/// The account, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    limit: u64,
    used: u64,
}

impl Space {
    /// Nothing used yet.
    pub fn new(limit: u64) -> Self {
        Self { limit, used: 0 }
    }

    /// Takes bytes, or nothing at all.
    pub fn charge(&mut self, bytes: u64) -> Result<()> {
        if bytes > self.free() {
            return Err(Error::new(ENOSPC));
        }
        self.used += bytes;
        Ok(())
    }

    /// Gives bytes back that were taken.
    pub fn release(&mut self, bytes: u64) {
        debug_assert!(bytes <= self.used);
        self.used -= bytes;
    }

    /// Takes pages, or nothing at all.
    pub fn charge_pages(&mut self, pages: usize) -> Result<()> {
        self.charge(pages as u64 * PAGE as u64)
    }

    /// Gives pages back that were taken.
    pub fn release_pages(&mut self, pages: usize) {
        self.release(pages as u64 * PAGE as u64);
    }

    /// Bytes left.
    pub fn free(&self) -> u64 {
        self.limit - self.used
    }

    /// Bytes taken.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Whole pages left.
    pub fn free_pages(&self) -> usize {
        (self.free() / PAGE as u64) as usize
    }

    /// All pages, used or not.
    pub fn limit_pages(&self) -> usize {
        (self.limit / PAGE as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_reached_exactly() {
        let mut space = Space::new(2 * PAGE as u64);
        assert_eq!(space.charge_pages(2), Ok(()));
        assert_eq!(space.charge(1), Err(Error::new(ENOSPC)));
        space.release_pages(1);
        assert_eq!(space.charge(PAGE as u64 - 1), Ok(()));
        assert_eq!((space.free(), space.free_pages()), (1, 0));
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let mut space = Space::new(10);
        assert!(space.charge(11).is_err());
        assert_eq!(space.charge(10), Ok(()));
    }
}
