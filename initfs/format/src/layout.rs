//! Where each number of the header and of an entry lies.

/// The first bytes of every archive.
pub(crate) const MAGIC: [u8; 8] = *b"LBinitfs";
/// The version this crate reads and writes.
pub(crate) const VERSION: u32 = 1;

/// Bytes of the header.
pub(crate) const HEADER_SIZE: usize = 64;
pub(crate) const HEADER_VERSION: usize = 8;
pub(crate) const HEADER_ENTRIES: usize = 12;
pub(crate) const HEADER_NAMES_OFFSET: usize = 16;
pub(crate) const HEADER_DATA_OFFSET: usize = 24;
pub(crate) const HEADER_LENGTH: usize = 32;

/// Bytes of one entry.
pub(crate) const ENTRY_SIZE: usize = 40;
pub(crate) const ENTRY_PARENT: usize = 0;
pub(crate) const ENTRY_NAME_LEN: usize = 4;
pub(crate) const ENTRY_MODE: usize = 6;
pub(crate) const ENTRY_NAME_OFFSET: usize = 8;
pub(crate) const ENTRY_KIND: usize = 16;
/// Directory: index of the first child. File: offset of the data. Link: offset of the target.
pub(crate) const ENTRY_START: usize = 24;
/// Directory: number of children. File and link: length in bytes.
pub(crate) const ENTRY_COUNT: usize = 32;

pub(crate) const KIND_DIRECTORY: u64 = 1;
pub(crate) const KIND_FILE: u64 = 2;
pub(crate) const KIND_LINK: u64 = 3;

/// Reads a number; `None` when it lies outside.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// Reads a number; `None` when it lies outside.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Reads a number; `None` when it lies outside.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// The bytes `[start, start + length)`; `None` when any lies outside.
pub(crate) fn slice_at(bytes: &[u8], start: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(start).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    bytes.get(start..end)
}
