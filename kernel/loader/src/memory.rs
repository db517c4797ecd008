//! Memory that stays when the loader is gone.

use alloc::format;
use alloc::string::String;
use uefi::boot::{self, AllocateType, MemoryType};

/// What the kernel reads before it has its own page tables lies below this.
const REACH: u64 = 4 << 30;

/// `count` pages of zeroes below 4 GiB.
pub(crate) fn pages(kind: MemoryType, count: usize) -> Result<&'static mut [u8], String> {
    filled(kind, count, 0)
}

/// `count` pages below 4 GiB for something that is `length` bytes long and fills them: zeroes follow
/// it, and before that is whatever memory held.
pub(crate) fn filled(
    kind: MemoryType,
    count: usize,
    length: usize,
) -> Result<&'static mut [u8], String> {
    let at = boot::allocate_pages(AllocateType::MaxAddress(REACH - 1), kind, count)
        .map_err(|_| format!("too little memory: {} MiB in one piece are missing", mib(count)))?;
    // SAFETY: the firmware gave these pages to us, and nobody gives them back; any bytes will do.
    let pages = unsafe { core::slice::from_raw_parts_mut(at.as_ptr(), count * 4096) };
    pages[length..].fill(0);
    Ok(pages)
}

fn mib(pages: usize) -> usize {
    (pages * 4096).div_ceil(1 << 20)
}
