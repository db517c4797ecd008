//! `proc:PID/mem`.

use abi::redox::flag::O_EXCL;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

/// A process's memory, across the programs it becomes.
#[derive(Debug)]
pub struct Memory(File);

impl Memory {
    /// Opens it.
    ///
    /// # Errors
    /// When the caller may not, when the process is gone.
    pub fn open(pid: u32) -> io::Result<Self> {
        Self::open_with(pid, 0)
    }

    /// Opens it so that what is written through it, at most 16 bytes at a time, is taken back when
    /// it is dropped, or when this program ends.
    ///
    /// # Errors
    /// As [`Memory::open`].
    pub fn open_borrowed(pid: u32) -> io::Result<Self> {
        Self::open_with(pid, O_EXCL)
    }

    fn open_with(pid: u32, flags: usize) -> io::Result<Self> {
        let path = format!("/scheme/proc/{pid}/mem");
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(flags as i32);
        options.open(path).map(Self)
    }

    /// Reads from an address on; returns how many bytes are there.
    ///
    /// # Errors
    /// When not even the first one is.
    pub fn read(&self, address: usize, into: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(into, address as u64)
    }

    /// Reads a fixed number of bytes, or nothing.
    pub fn array<const N: usize>(&self, address: usize) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        matches!(self.read(address, &mut bytes), Ok(count) if count == N).then_some(bytes)
    }

    /// Reads machine words, or nothing.
    pub fn words(&self, address: usize, count: usize) -> Option<Vec<usize>> {
        let mut bytes = vec![0; count * size_of::<usize>()];
        let read = self.read(address, &mut bytes).ok()?;
        let words = bytes.chunks_exact(size_of::<usize>());
        let words = words.map(|word| usize::from_ne_bytes(word.try_into().unwrap_or_default()));
        (read == bytes.len()).then(|| words.collect())
    }

    /// Writes at an address; returns how many bytes were written.
    ///
    /// # Errors
    /// When not even the first one could be.
    pub fn write(&self, address: usize, from: &[u8]) -> io::Result<usize> {
        self.0.write_at(from, address as u64)
    }
}
