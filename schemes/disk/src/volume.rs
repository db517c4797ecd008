//! A disk or a part of it as a file: any offset, any length, never beyond its end.

use syscall::error::{ENOSPC, Error, Result};

use crate::drive::{BLOCK, Drive};

/// A run of blocks of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first.
    pub first: u64,
    /// How many.
    pub count: u64,
}

impl Extent {
    /// Bytes of it.
    pub fn size(self) -> u64 {
        self.count * BLOCK as u64
    }

    /// Reads from `offset` on, as much as there is. Whole blocks go straight to where they are
    /// wanted; the ends go through a buffer.
    pub fn read(self, drive: &mut dyn Drive, offset: u64, into: &mut [u8]) -> Result<usize> {
        let length = self.clip(offset, into.len());
        let mut rest = &mut into[..length];
        let mut at = offset;
        while !rest.is_empty() {
            let (block, skipped) = self.block_of(at);
            let whole = rest.len() / BLOCK * BLOCK;
            let count = if skipped == 0 && whole > 0 {
                drive.read(block, &mut rest[..whole])?;
                whole
            } else {
                let mut buffer = [0; BLOCK];
                drive.read(block, &mut buffer)?;
                let count = rest.len().min(BLOCK - skipped);
                rest[..count].copy_from_slice(&buffer[skipped..skipped + count]);
                count
            };
            rest = &mut rest[count..];
            at += count as u64;
        }
        Ok(length)
    }

    /// Writes from `offset` on, as much as there is room for; `ENOSPC` when there is none. A block
    /// that is written in part is read first.
    pub fn write(self, drive: &mut dyn Drive, offset: u64, from: &[u8]) -> Result<usize> {
        let length = self.clip(offset, from.len());
        if length == 0 && !from.is_empty() {
            return Err(Error::new(ENOSPC));
        }
        let mut rest = &from[..length];
        let mut at = offset;
        while !rest.is_empty() {
            let (block, skipped) = self.block_of(at);
            let whole = rest.len() / BLOCK * BLOCK;
            let count = if skipped == 0 && whole > 0 {
                drive.write(block, &rest[..whole])?;
                whole
            } else {
                let mut buffer = [0; BLOCK];
                drive.read(block, &mut buffer)?;
                let count = rest.len().min(BLOCK - skipped);
                buffer[skipped..skipped + count].copy_from_slice(&rest[..count]);
                drive.write(block, &buffer)?;
                count
            };
            rest = &rest[count..];
            at += count as u64;
        }
        Ok(length)
    }

    fn clip(self, offset: u64, length: usize) -> usize {
        let rest = self.size().saturating_sub(offset);
        usize::try_from(rest).map_or(length, |rest| rest.min(length))
    }

    fn block_of(self, offset: u64) -> (u64, usize) {
        (self.first + offset / BLOCK as u64, (offset % BLOCK as u64) as usize)
    }
}
