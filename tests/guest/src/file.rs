//! Files by descriptor.

use crate::call::{answer, call1, call2, call3, call4, call5};
use abi::redox::data::Stat;
use abi::redox::error::Result;
use abi::redox::flag::{O_RDONLY, O_RDWR};
use abi::redox::number::*;
use abi::{LOWEST_FREE, number};

/// An open file; dropping it closes it.
#[derive(Debug)]
pub struct File(pub usize);

impl Drop for File {
    fn drop(&mut self) {
        // A descriptor that somebody closed already is no harm here.
        let _ = close(self.0);
    }
}

/// Opens an absolute path.
pub fn open(path: &str, flags: usize) -> Result<File> {
    // SAFETY: the kernel only reads the path.
    answer(unsafe { call3(number::OPEN, path.as_ptr() as usize, path.len(), flags) }).map(File)
}

/// Closes a descriptor.
pub fn close(fd: usize) -> Result<usize> {
    // SAFETY: no memory is involved.
    answer(unsafe { call1(SYS_CLOSE, fd) })
}

impl File {
    /// The descriptor, which the caller closes from now on.
    pub fn into_raw(self) -> usize {
        let fd = self.0;
        core::mem::forget(self);
        fd
    }

    /// Reads.
    pub fn read(&self, into: &mut [u8]) -> Result<usize> {
        // SAFETY: the buffer is ours for writing.
        answer(unsafe { call3(SYS_READ, self.0, into.as_mut_ptr() as usize, into.len()) })
    }

    /// Writes.
    pub fn write(&self, from: &[u8]) -> Result<usize> {
        // SAFETY: the kernel only reads the buffer.
        answer(unsafe { call3(SYS_WRITE, self.0, from.as_ptr() as usize, from.len()) })
    }

    /// Reads at an offset.
    pub fn read_at(&self, into: &mut [u8], offset: usize) -> Result<usize> {
        let (address, length) = (into.as_mut_ptr() as usize, into.len());
        // SAFETY: the buffer is ours for writing.
        answer(unsafe { call5(SYS_READ2, self.0, address, length, offset, 0) })
    }

    /// Another file made of this one as its scheme understands `what`; the same again when empty.
    pub fn dup(&self, what: &[u8]) -> Result<File> {
        let (address, length) = (what.as_ptr() as usize, what.len());
        // SAFETY: the kernel only reads the argument.
        answer(unsafe { call4(SYS_DUP_INTO, self.0, address, length, LOWEST_FREE) }).map(File)
    }

    /// What the file is.
    pub fn stat(&self) -> Result<Stat> {
        let mut stat = Stat::default();
        let (address, length) = (&raw mut stat as usize, size_of::<Stat>());
        // SAFETY: `stat` is ours and as large as said.
        answer(unsafe { call3(SYS_FSTAT, self.0, address, length) }).map(|_| stat)
    }

    /// Reads until the end or until `into` is full; returns what came as text.
    pub fn read_text<'a>(&self, into: &'a mut [u8]) -> Result<&'a str> {
        let mut length = 0;
        while length < into.len() {
            match self.read(&mut into[length..])? {
                0 => break,
                count => length += count,
            }
        }
        Ok(core::str::from_utf8(&into[..length]).unwrap_or_default())
    }
}

/// A pipe: its read end and its write end.
pub fn pipe() -> Result<(File, File)> {
    let reader = open("pipe:", O_RDONLY)?;
    let writer = reader.dup(b"write")?;
    Ok((reader, writer))
}

/// Removes a path.
pub fn unlink(path: &str) -> Result<usize> {
    // SAFETY: the kernel only reads the path.
    answer(unsafe { call3(number::UNLINK, path.as_ptr() as usize, path.len(), 0) })
}

/// What a file is ready for now.
pub fn ready(fd: usize, wanted: usize) -> Result<usize> {
    // SAFETY: no memory is involved.
    answer(unsafe { call2(SYS_FEVENT, fd, wanted) })
}

/// Opens for reading and writing.
pub fn open_both(path: &str) -> Result<File> {
    open(path, O_RDWR)
}

/// Reads a small text file whole.
pub fn read_path<'a>(path: &str, into: &'a mut [u8]) -> Result<&'a str> {
    open(path, O_RDONLY)?.read_text(into)
}

/// The number behind `key` in a text of `key: number` lines.
pub fn number_of(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::number_of;

    #[test]
    fn a_number_is_found_by_its_whole_key() {
        let text = "total_free: 1\ntotal: 22\nname: x\n";
        assert_eq!(number_of(text, "total"), Some(22));
        assert_eq!(number_of(text, "free"), None);
        assert_eq!(number_of(text, "name"), None);
    }
}
