//! Mapping memory.

use crate::call::{answer, call2, call3};
use abi::redox::data::Map;
use abi::redox::error::Result;
use abi::redox::flag::MapFlags;
use abi::redox::number::{SYS_FMAP, SYS_FUNMAP, SYS_MPROTECT};
use abi::{ANONYMOUS, PAGE_SIZE};

/// Readable and writable, private.
pub const READ_WRITE: MapFlags =
    MapFlags::PROT_READ.union(MapFlags::PROT_WRITE).union(MapFlags::MAP_PRIVATE);

/// Readable and writable, shared with children.
pub const SHARED: MapFlags =
    MapFlags::PROT_READ.union(MapFlags::PROT_WRITE).union(MapFlags::MAP_SHARED);

/// Maps as `map` says; `fd` may be [`ANONYMOUS`].
///
/// # Safety
///
/// With `MAP_FIXED`, what was mapped there is lost.
pub unsafe fn map(fd: usize, map: &Map) -> Result<usize> {
    let (address, length) = (core::ptr::from_ref(map) as usize, size_of::<Map>());
    // SAFETY: the kernel only reads `map`; what it replaces is the caller's.
    answer(unsafe { call3(SYS_FMAP, fd, address, length) })
}

/// Removes mappings.
///
/// # Safety
///
/// Nothing may use that memory any more.
pub unsafe fn unmap(address: usize, length: usize) -> Result<usize> {
    // SAFETY: the caller's.
    answer(unsafe { call2(SYS_FUNMAP, address, length) })
}

/// Changes what memory allows.
///
/// # Safety
///
/// Nothing may rely on what is taken away.
pub unsafe fn protect(address: usize, length: usize, flags: MapFlags) -> Result<usize> {
    // SAFETY: the caller's.
    answer(unsafe { call3(SYS_MPROTECT, address, length, flags.bits()) })
}

/// Mapped memory of our own; dropping it unmaps it.
#[derive(Debug)]
pub struct Mapping {
    /// Where it starts.
    pub address: usize,
    /// Bytes.
    pub length: usize,
}

impl Mapping {
    /// Anonymous memory, somewhere.
    pub fn new(length: usize, flags: MapFlags) -> Result<Self> {
        let wanted = Map { offset: 0, size: length, flags, address: 0 };
        // SAFETY: without `MAP_FIXED` the kernel takes free room.
        let address = unsafe { map(ANONYMOUS, &wanted) }?;
        Ok(Self { address, length })
    }

    /// A file, shared, from its beginning.
    pub fn of_file(fd: usize, length: usize) -> Result<Self> {
        let wanted = Map { offset: 0, size: length, flags: SHARED, address: 0 };
        // SAFETY: without `MAP_FIXED` the kernel takes free room.
        let address = unsafe { map(fd, &wanted) }?;
        Ok(Self { address, length })
    }

    /// Pages to read and write.
    pub fn pages(count: usize) -> Result<Self> {
        Self::new(count * PAGE_SIZE, READ_WRITE)
    }

    /// Changes what all of it allows. Reading or writing against it ends the process.
    pub fn protect(&self, flags: MapFlags) -> Result<usize> {
        // SAFETY: the memory is this mapping's own.
        unsafe { protect(self.address, self.length, flags) }
    }

    /// Its bytes. They must be readable and writable at the time.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the memory is ours alone as long as the mapping lives.
        unsafe { core::slice::from_raw_parts_mut(self.address as *mut u8, self.length) }
    }

    /// Writes one byte to a page, so that it is there.
    #[inline(always)]
    pub fn touch(&self, page: usize) {
        // SAFETY: inside the mapping.
        unsafe { ((self.address + page * PAGE_SIZE) as *mut u8).write_volatile(1) };
    }

    /// Reads one byte of a page.
    #[inline(always)]
    pub fn peek(&self, page: usize) -> u8 {
        // SAFETY: inside the mapping.
        unsafe { ((self.address + page * PAGE_SIZE) as *const u8).read_volatile() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nobody can name the memory after its owner is gone.
        let _ = unsafe { unmap(self.address, self.length) };
    }
}
