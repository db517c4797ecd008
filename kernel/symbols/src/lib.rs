//! `kernel-symbols LINKED-KERNEL OUTPUT` — the kernel carries the names of its own functions.
//!
//! A panic report must name functions on a machine where nothing but the kernel is left. The
//! linker keeps names where no loader puts them, so after linking this tool reads them, makes a
//! compact table, appends it to the file, and points the kernel's last, almost empty segment at
//! it. Any loader then brings the table like the rest of the kernel. A kernel that was not
//! treated works as well: its reports show bare addresses.
//!
//! [`Table`] reads the table, in the kernel; [`build`] makes one and [`elf`] puts it in place, on
//! the host.
//!
//! ```text
//! 0   u32  MAGIC
//! 4   u32  number of functions
//! 8   u64  bytes in all
//! 16  per function, by address: u32 offset from the image's start, u32 size, u32 name's offset
//!     ...  names: u16 length, bytes as the linker knows them
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod elf;

use alloc::vec::Vec;

/// The first word of a table.
pub const MAGIC: u32 = u32::from_le_bytes(*b"LBsy");
/// Bytes before the first function.
pub const HEADER_SIZE: usize = 16;
/// Bytes per function.
const ENTRY_SIZE: usize = 12;

/// One function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Symbol<'a> {
    /// Where it starts, from the start of the image.
    pub offset: u32,
    /// How long it is. 0 when nobody said: then it reaches to the next one.
    pub size: u32,
    /// Its name as the linker knows it.
    pub name: &'a str,
}

/// A table's bytes.
#[derive(Clone, Copy)]
pub struct Table<'a> {
    bytes: &'a [u8],
    count: usize,
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}

/// The bytes of the table that starts with these [`HEADER_SIZE`] bytes, or 0 when none does.
pub fn size(header: &[u8; HEADER_SIZE]) -> usize {
    let size = word(header, 8).unwrap_or(0) as usize;
    if word(header, 0) == Some(MAGIC) && word(header, 12) == Some(0) { size } else { 0 }
}

impl<'a> Table<'a> {
    /// Takes a table; `None` when the bytes are none.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        let header = bytes.first_chunk()?;
        let count = word(bytes, 4)? as usize;
        let is_whole = size(header) == bytes.len()
            && count.checked_mul(ENTRY_SIZE)?.checked_add(HEADER_SIZE)? <= bytes.len();
        is_whole.then_some(Self { bytes, count })
    }

    /// How many functions it has.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The function that holds the byte `offset` bytes into the image.
    pub fn find(&self, offset: u32) -> Option<Symbol<'a>> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.offset(middle)? <= offset {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let symbol = self.symbol(low.checked_sub(1)?)?;
        (symbol.size == 0 || offset - symbol.offset < symbol.size).then_some(symbol)
    }

    fn offset(&self, index: usize) -> Option<u32> {
        word(self.bytes, HEADER_SIZE + index * ENTRY_SIZE)
    }

    fn symbol(&self, index: usize) -> Option<Symbol<'a>> {
        let entry = HEADER_SIZE + index * ENTRY_SIZE;
        let at = word(self.bytes, entry + 8)? as usize;
        let (length, rest) = self.bytes.get(at..)?.split_first_chunk()?;
        let name = rest.get(..u16::from_le_bytes(*length) as usize)?;
        Some(Symbol {
            offset: word(self.bytes, entry)?,
            size: word(self.bytes, entry + 4)?,
            name: core::str::from_utf8(name).ok()?,
        })
    }
}

/// Makes a table. Of several functions at one address the last in the list stays.
pub fn build(mut symbols: Vec<Symbol<'_>>) -> Vec<u8> {
    symbols.sort_by_key(|symbol| symbol.offset);
    symbols.reverse();
    symbols.dedup_by_key(|symbol| symbol.offset);
    symbols.reverse();
    let names_start = HEADER_SIZE + symbols.len() * ENTRY_SIZE;
    let mut names = Vec::new();
    let mut table = Vec::new();
    table.extend_from_slice(&MAGIC.to_le_bytes());
    table.extend_from_slice(&(symbols.len() as u32).to_le_bytes());
    table.extend_from_slice(&[0; 8]);
    for symbol in &symbols {
        let name = &symbol.name.as_bytes()[..symbol.name.len().min(u16::MAX.into())];
        for field in [symbol.offset, symbol.size, (names_start + names.len()) as u32] {
            table.extend_from_slice(&field.to_le_bytes());
        }
        names.extend_from_slice(&(name.len() as u16).to_le_bytes());
        names.extend_from_slice(name);
    }
    table.append(&mut names);
    let size = table.len() as u64;
    table[8..16].copy_from_slice(&size.to_le_bytes());
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec;
    use proptest::prelude::*;

    fn symbol(offset: u32, size: u32, name: &str) -> Symbol<'_> {
        Symbol { offset, size, name }
    }

    #[test]
    fn an_address_belongs_to_the_function_around_it() {
        let bytes =
            build(vec![symbol(0x40, 0x10, "b"), symbol(0x10, 0, "a"), symbol(0x60, 4, "c")]);
        let table = Table::new(&bytes).unwrap();
        let name = |at| table.find(at).map(|symbol| symbol.name);
        assert_eq!(name(0x0F), None);
        assert_eq!(name(0x10), Some("a"));
        assert_eq!(name(0x3F), Some("a"));
        assert_eq!(name(0x4F), Some("b"));
        assert_eq!(name(0x50), None);
        assert_eq!(name(0x63), Some("c"));
        assert_eq!(name(0x64), None);
    }

    #[test]
    fn an_empty_header_is_no_table() {
        assert_eq!(size(&[0; HEADER_SIZE]), 0);
        assert!(Table::new(&[0; HEADER_SIZE]).is_none());
    }

    #[test]
    fn a_cut_table_is_refused() {
        let bytes = build(vec![symbol(0, 1, "name")]);
        assert!((0..bytes.len()).all(|length| Table::new(&bytes[..length]).is_none()));
    }

    proptest! {
        #[test]
        fn every_function_is_found_again(
            functions in prop::collection::btree_map(0..u32::MAX / 2, "[a-z]{0,40}", 1..50),
        ) {
            let list: Vec<(u32, String)> = functions.into_iter().collect();
            let symbols = list.iter().map(|(at, name)| symbol(*at, 0, name)).collect();
            let bytes = build(symbols);
            let table = Table::new(&bytes).unwrap();
            for (at, name) in &list {
                prop_assert_eq!(table.find(*at).unwrap().name, name.as_str());
            }
        }

        #[test]
        fn garbage_does_no_harm(mut bytes in prop::collection::vec(any::<u8>(), 16..200), at: u32) {
            bytes[..4].copy_from_slice(&MAGIC.to_le_bytes());
            let size = bytes.len() as u64;
            bytes[8..16].copy_from_slice(&size.to_le_bytes());
            if let Some(table) = Table::new(&bytes) {
                let _ = table.find(at);
            }
        }
    }
}
