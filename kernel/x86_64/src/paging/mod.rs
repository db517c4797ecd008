//! Page tables, four levels of 512 entries (SDM 3A, 4.5).

pub(crate) mod kernel;
pub(crate) mod space;

use kernel_core::memory::{Frame, PhysicalAddress};

/// One table.
pub(crate) type Table = [u64; 512];

/// The entry is in use. An entry that is not is always 0 here.
pub(crate) const PRESENT: u64 = 1;
/// Stores allowed.
pub(crate) const WRITE: u64 = 1 << 1;
/// User mode allowed.
pub(crate) const USER: u64 = 1 << 2;
/// With [`CACHE_DISABLE`]: not cached (PAT entry 3 after reset).
pub(crate) const WRITE_THROUGH: u64 = 1 << 3;
/// See [`WRITE_THROUGH`].
pub(crate) const CACHE_DISABLE: u64 = 1 << 4;
/// In a level-2 or level-3 table: maps 2 MiB or 1 GiB.
pub(crate) const LARGE: u64 = 1 << 7;
/// Survives a change of the top-level table.
pub(crate) const GLOBAL: u64 = 1 << 8;
/// Instruction fetches refused.
pub(crate) const NO_EXECUTE: u64 = 1 << 63;
/// The part of an entry that is an address.
const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;

/// The frame an entry points to.
#[inline]
pub(crate) fn frame_of(entry: u64) -> Frame {
    PhysicalAddress(entry & ADDRESS).frame()
}

/// Which entry of the table at `level` (4 is the top) covers `address`.
#[inline]
pub(crate) fn index(address: usize, level: u32) -> usize {
    address >> (12 + 9 * (level - 1)) & 511
}
