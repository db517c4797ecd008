//! Mapping memory.

use super::{Result, syscall};
use abi::redox::data::Map;
use abi::redox::flag::MapFlags;
use abi::redox::number::{SYS_FMAP, SYS_FUNMAP, SYS_MPROTECT};
use abi::{ANONYMOUS, PAGE_SIZE, number as own};

/// Maps a file, or zeroes with [`ANONYMOUS`].
///
/// # Safety
///
/// With `MAP_FIXED` what was mapped there is gone; nobody may use it any more.
pub(crate) unsafe fn map(fd: usize, map: &Map) -> Result<usize> {
    // SAFETY: the kernel only reads `map`; what is replaced is the caller's concern.
    unsafe { syscall(SYS_FMAP, [fd, &raw const *map as usize, size_of::<Map>()]) }
}

/// Maps `length` bytes of zeroes, readable and writable, wherever there is room.
pub(crate) fn zeroes(length: usize) -> Result<usize> {
    guarded_zeroes(length, 0)
}

/// The same, but the page at `guard`, unless that is 0, may not be touched.
pub(crate) fn guarded_zeroes(length: usize, guard: usize) -> Result<usize> {
    let flags = MapFlags::MAP_PRIVATE | MapFlags::PROT_READ | MapFlags::PROT_WRITE;
    let map = Map { offset: guard, size: length.next_multiple_of(PAGE_SIZE), flags, address: 0 };
    // SAFETY: nothing is replaced.
    unsafe { self::map(ANONYMOUS, &map) }
}

/// Takes a mapping away.
///
/// # Safety
///
/// Nobody uses the memory any more.
pub(crate) unsafe fn unmap(address: usize, length: usize) -> Result<usize> {
    // SAFETY: as promised by the caller.
    unsafe { syscall(SYS_FUNMAP, [address, length.next_multiple_of(PAGE_SIZE)]) }
}

/// Turns private memory of no file into zeroes again.
///
/// # Safety
///
/// Nobody relies on what is in there.
pub(crate) unsafe fn discard(address: usize, length: usize) -> Result<usize> {
    // SAFETY: as promised by the caller.
    unsafe { syscall(own::DISCARD, [address, length]) }
}

/// Changes what a mapping allows.
///
/// # Safety
///
/// Nobody relies on what is taken away.
pub(crate) unsafe fn protect(address: usize, length: usize, flags: MapFlags) -> Result<usize> {
    // SAFETY: as promised by the caller.
    unsafe { syscall(SYS_MPROTECT, [address, length, flags.bits()]) }
}

/// Has the files that are shared in there keep what was written to them.
pub(crate) fn sync(address: usize, length: usize) -> Result<usize> {
    let end = address.saturating_add(length.next_multiple_of(PAGE_SIZE));
    let mut at = address;
    while at < end {
        // SAFETY: no memory is changed.
        match unsafe { syscall(own::MSYNC, [at, end - at]) }? {
            0 => break,
            synced => at = synced,
        }
    }
    Ok(0)
}

/// Anonymous memory that is given back when it goes out of scope.
pub(crate) struct Pages {
    address: usize,
    length: usize,
}

impl Pages {
    /// Room for `length` bytes, zeroed.
    pub(crate) fn new(length: usize) -> Result<Self> {
        let length = length.max(1);
        Ok(Self { address: zeroes(length)?, length })
    }

    /// Maps a file's first `length` bytes for reading.
    pub(crate) fn of_file(fd: usize, length: usize) -> Result<Self> {
        let flags = MapFlags::MAP_PRIVATE | MapFlags::PROT_READ;
        let map = Map { offset: 0, size: length.next_multiple_of(PAGE_SIZE), flags, address: 0 };
        // SAFETY: nothing is replaced.
        Ok(Self { address: unsafe { self::map(fd, &map) }?, length })
    }

    /// The bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        // SAFETY: the mapping is ours alone and readable; a private mapping does not change.
        unsafe { core::slice::from_raw_parts(self.address as *const u8, self.length) }
    }

    /// The bytes, to be filled. Only for memory from [`Pages::new`].
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: the mapping is ours alone and writable.
        unsafe { core::slice::from_raw_parts_mut(self.address as *mut u8, self.length) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the borrow checker sees to it that no slice outlives this.
        let unmapped = unsafe { unmap(self.address, self.length) };
        debug_assert!(unmapped.is_ok());
    }
}
