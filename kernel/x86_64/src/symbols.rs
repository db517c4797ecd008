//! The names of the kernel's functions; see the crate `kernel-symbols`.

use core::slice::from_raw_parts;
use symbols::{HEADER_SIZE, Table};

/// Where the table goes when `kernel-symbols` has treated the file. Until then there is only this
/// room for its header, so that the last segment exists.
#[used]
#[unsafe(link_section = ".kernel_symbols")]
static PLACE: [u8; HEADER_SIZE] = [0; HEADER_SIZE];

unsafe extern "C" {
    static image_start: u8;
    static image_rodata: u8;
    static image_symbols: u8;
}

/// Bytes of the table, or of its empty place.
pub(crate) fn size() -> usize {
    // SAFETY: the place is always there. It is read as memory that anybody may have written, for
    // the tool has.
    let header = unsafe { (&raw const image_symbols).cast::<[u8; HEADER_SIZE]>().read_volatile() };
    symbols::size(&header).max(HEADER_SIZE)
}

/// The function that holds `address`, and how far in that is.
pub(crate) fn find(address: usize) -> Option<(&'static str, u64)> {
    let (start, end) = (&raw const image_start as usize, &raw const image_rodata as usize);
    if !(start..end).contains(&address) {
        return None;
    }
    // SAFETY: that many bytes were loaded and mapped there, and nobody writes them.
    let bytes = unsafe { from_raw_parts(&raw const image_symbols, size()) };
    let offset = (address - start) as u32;
    let symbol = Table::new(bytes)?.find(offset)?;
    Some((symbol.name, u64::from(offset - symbol.offset)))
}
