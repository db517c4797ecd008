//! What is in files: reading, writing, growing and cutting them.
//!
//! `fatfs` has no files with holes: what lies between the old end and what is written is zeroes.

use std::io::{Read, Seek, SeekFrom, Write};

use syscall::error::{EBADF, EFBIG, EISDIR, ENOSPC, Error, Result};

use super::{Tree, error, told};
use crate::disk::{Backing, Shared};

/// The longest file: what 32 bits count.
const SIZE_MAX: u64 = u32::MAX as u64;
/// Zeroes are written in pieces of so many.
const PIECE: usize = 64 << 10;

impl<B: Backing> Tree<B> {
    fn file(&self, path: &str) -> Result<fatfs::File<'_, Shared<B>>> {
        self.system.root_dir().open_file(path).map_err(told)
    }

    /// Reads a file.
    pub fn read(&mut self, handle: usize, offset: u64, into: &mut [u8]) -> Result<usize> {
        let open = self.handle(handle)?;
        match () {
            () if !open.read => return error(EBADF),
            () if open.is_dir => return error(EISDIR),
            () => {}
        }
        let length = self.find(&open.path)?.length;
        if offset >= length {
            return Ok(0);
        }
        let mut file = self.file(&open.path)?;
        file.seek(SeekFrom::Start(offset)).map_err(told)?;
        let mut done = 0;
        while done < into.len() {
            match file.read(&mut into[done..]).map_err(told)? {
                0 => break,
                count => done += count,
            }
        }
        Ok(done)
    }

    /// Writes a file, at its end if `append`. What lies between its end and the place is zero.
    pub fn write(
        &mut self,
        handle: usize,
        offset: u64,
        append: bool,
        bytes: &[u8],
    ) -> Result<usize> {
        let open = self.handle(handle)?;
        if !open.write {
            return error(EBADF);
        }
        let path = open.path.clone();
        let length = self.find(&path)?.length;
        let offset = if append { length } else { offset };
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end <= SIZE_MAX);
        end.ok_or(Error::new(EFBIG))?;
        if offset > length {
            self.grow(&path, length, offset)?;
        }
        let mut file = self.file(&path)?;
        file.seek(SeekFrom::Start(offset)).map_err(told)?;
        let mut done = 0;
        while done < bytes.len() {
            match file.write(&bytes[done..]) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if done == 0 => return Err(told(error)),
                Err(_) => break,
            }
        }
        file.flush().map_err(told)?;
        if done == 0 && !bytes.is_empty() { error(ENOSPC) } else { Ok(done) }
    }

    fn grow(&mut self, path: &str, from: u64, to: u64) -> Result<()> {
        self.begin(usize::try_from(to - from).unwrap_or(usize::MAX));
        let mut file = self.file(path)?;
        file.seek(SeekFrom::Start(from)).map_err(told)?;
        let zeroes = vec![0; PIECE];
        let mut left = to - from;
        while left > 0 {
            let count = left.min(PIECE as u64) as usize;
            if let Err(error) = file.write_all(&zeroes[..count]) {
                // All or nothing.
                drop(file);
                self.cut(path, from)?;
                return Err(told(error));
            }
            left -= count as u64;
        }
        file.flush().map_err(told)
    }

    pub(super) fn cut(&mut self, path: &str, size: u64) -> Result<()> {
        let mut file = self.file(path)?;
        file.seek(SeekFrom::Start(size)).map_err(told)?;
        file.truncate().map_err(told)?;
        file.flush().map_err(told)
    }

    /// Sets the length of a file.
    pub fn truncate(&mut self, handle: usize, size: u64) -> Result<()> {
        let open = self.handle(handle)?;
        if !open.write {
            return error(EBADF);
        }
        if size > SIZE_MAX {
            return error(EFBIG);
        }
        let path = open.path.clone();
        let length = self.find(&path)?.length;
        if size > length { self.grow(&path, length, size) } else { self.cut(&path, size) }
    }

    /// The length of a file.
    pub fn size(&self, handle: usize) -> Result<u64> {
        let open = self.handle(handle)?;
        self.find(&open.path).map(|known| known.length)
    }
}
