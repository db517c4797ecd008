//! Memory for one file's contents: page-aligned, contiguous, and never moved while it lives.
//!
//! An area reserves addresses. Memory comes page by page when a page is first written, and
//! [`Area::discard`] gives it back. Because an area never moves, the address of a byte may be
//! handed to the kernel, which maps the same page into a client.

use std::ops::Range;
use std::ptr::{NonNull, null_mut};
use std::slice;

use libc::{MAP_ANONYMOUS, MAP_FAILED, MAP_FIXED, MAP_PRIVATE, PROT_READ, PROT_WRITE};
use syscall::error::{ENOMEM, Error, Result};

/// Bytes in a page.
pub const PAGE: usize = 4096;

/// Anonymous memory, all zero until written.
#[derive(Debug)]
pub struct Area {
    start: NonNull<u8>,
    pages: usize,
}

impl Area {
    /// Reserves this many pages, at least one.
    pub fn reserve(pages: usize) -> Result<Self> {
        let length = pages.checked_mul(PAGE).ok_or(Error::new(ENOMEM))?;
        // SAFETY: an anonymous mapping where the kernel likes touches nothing that exists.
        let start = unsafe { map(null_mut(), length, 0) }?;
        Ok(Self { start, pages })
    }

    /// How many pages there are.
    pub fn pages(&self) -> usize {
        self.pages
    }

    /// Where the first byte is.
    pub fn address(&self) -> usize {
        self.start.as_ptr() as usize
    }

    /// All the bytes. Touch only what is wanted: a page that is read may cost memory.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping is readable, this long, and lives as long as the area.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.pages * PAGE) }
    }

    /// All the bytes, to write.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and the area is borrowed mutably. Clients that mapped the file
        // may write too; the bytes are plain data and nothing here relies on their values.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.pages * PAGE) }
    }

    /// Makes these pages zero again and gives their memory back.
    pub fn discard(&mut self, pages: Range<usize>) {
        let pages = pages.start..pages.end.min(self.pages);
        if pages.is_empty() {
            return;
        }
        let (from, length) = (pages.start * PAGE, pages.len() * PAGE);
        // SAFETY: the pages lie inside the mapping.
        let start = unsafe { self.start.as_ptr().add(from) };
        // SAFETY: replaces pages of this area only, and nobody holds a reference to them.
        let renewed = unsafe { map(start.cast(), length, MAP_FIXED) };
        if renewed.is_err() {
            // The memory stays, but what it held must not.
            self.bytes_mut()[from..from + length].fill(0);
        }
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        // SAFETY: the mapping is this area's own, and its last user is gone.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.pages * PAGE) };
    }
}

/// # Safety
///
/// With `MAP_FIXED`, `[start, start + length)` must be the caller's to replace.
unsafe fn map(start: *mut libc::c_void, length: usize, flags: i32) -> Result<NonNull<u8>> {
    let flags = flags | MAP_PRIVATE | MAP_ANONYMOUS | ON_DEMAND;
    // SAFETY: the caller answers for `start`; the rest makes a fresh anonymous mapping.
    let start = unsafe { libc::mmap(start, length, PROT_READ | PROT_WRITE, flags, -1, 0) };
    match NonNull::new(start.cast()) {
        Some(address) if start != MAP_FAILED => Ok(address),
        _ => Err(Error::new(ENOMEM)),
    }
}

/// Reserving must not count as using. Lifeboat never counts it.
#[cfg(target_os = "redox")]
const ON_DEMAND: i32 = 0;
#[cfg(not(target_os = "redox"))]
const ON_DEMAND: i32 = libc::MAP_NORESERVE;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_area_is_zero_and_page_aligned() {
        let area = Area::reserve(3).expect("three pages");
        assert_eq!(area.address() % PAGE, 0);
        assert_eq!(area.bytes(), &[0; 3 * PAGE]);
    }

    #[test]
    fn discarding_clears_those_pages_only() {
        let mut area = Area::reserve(4).expect("four pages");
        area.bytes_mut().fill(7);
        area.discard(1..2);
        area.discard(3..9);
        let first_bytes: Vec<u8> = area.bytes().chunks(PAGE).map(|page| page[0]).collect();
        assert_eq!(first_bytes, [7, 0, 7, 0]);
        assert!(area.bytes()[PAGE..2 * PAGE].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn what_does_not_exist_cannot_be_reserved() {
        assert_eq!(Area::reserve(usize::MAX / 2).err(), Some(Error::new(ENOMEM)));
    }
}
