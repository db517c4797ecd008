//! Files of `memory:` mapped into this process: registers of devices, and memory that they reach.

use std::ptr::{self, NonNull};

use libredox::Fd;
use libredox::call::MmapArgs;
use libredox::flag::{MAP_SHARED, PROT_READ, PROT_WRITE};
use syscall::error::{ENOMEM, Error, Result};

/// Mapped memory, unmapped when dropped.
#[derive(Debug)]
pub struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and its owner alone hands out
// access to it.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps so many bytes of `file` from `offset` on, to be read and written.
    pub fn new(file: &Fd, offset: u64, length: usize) -> Result<Self> {
        let arguments = MmapArgs {
            addr: ptr::null_mut(),
            length,
            prot: PROT_READ | PROT_WRITE,
            flags: MAP_SHARED,
            fd: file.raw(),
            offset,
        };
        // SAFETY: the kernel chooses a free address, so nothing of ours is replaced.
        let address = unsafe { libredox::call::mmap(arguments)? };
        let start = NonNull::new(address.cast()).ok_or(Error::new(ENOMEM))?;
        Ok(Self { start, length })
    }

    /// Its first byte.
    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// How many bytes it has.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Reads the register at `offset`.
    ///
    /// # Panics
    /// When it lies outside the mapping, or askew.
    pub fn read(&self, offset: usize) -> u32 {
        // SAFETY: `register` checks that the word lies inside the mapping.
        unsafe { self.register(offset).read_volatile() }
    }

    /// Writes the register at `offset`.
    ///
    /// # Panics
    /// As [`Mapping::read`].
    pub fn write(&self, offset: usize, value: u32) {
        // SAFETY: as for `read`.
        unsafe { self.register(offset).write_volatile(value) }
    }

    fn register(&self, offset: usize) -> *mut u32 {
        assert!(
            offset.is_multiple_of(4) && offset + 4 <= self.length,
            "no register at {offset:#x}"
        );
        self.start.as_ptr().wrapping_add(offset).cast()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nothing borrows from the mapping longer than it lives, which is what those who
        // take its address promise. A failure would leave it mapped, which harms nobody.
        let _mapped = unsafe { libredox::call::munmap(self.start.as_ptr().cast(), self.length) };
    }
}
