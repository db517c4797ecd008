//! Reading function names from the kernel's ELF file and putting the table into it.
//!
//! Layouts: System V ABI, chapters 4 and 5 ("Object Files", "Program Loading"), ELF-64.

use crate::{Symbol, build};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// What is wrong with a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// Not a 64-bit little-endian ELF file, or cut short.
    NotElf,
    /// The linker script's symbol of this name is missing.
    NoSymbol(&'static str),
    /// No segment starts at `image_symbols`.
    NoSegment,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unfit::NotElf => f.write_str("not a whole 64-bit ELF file"),
            Unfit::NoSymbol(name) => write!(f, "no symbol {name}: not linked as a kernel"),
            Unfit::NoSegment => f.write_str("no segment for the table: not linked as a kernel"),
        }
    }
}

impl core::error::Error for Unfit {}

/// Where the image starts, and where the table goes: symbols of the linker script.
const IMAGE_START: &str = "image_start";
const TABLE_START: &str = "image_symbols";

const PAGE: usize = 4096;
/// Kinds of segment and section.
const SEGMENT_LOAD: u32 = 1;
const SECTION_SYMBOLS: u32 = 2;
/// Kind of symbol.
const FUNCTION: u8 = 2;

fn bytes_at<const N: usize>(file: &[u8], at: usize) -> Result<[u8; N], Unfit> {
    let bytes = file.get(at..).and_then(|rest| rest.first_chunk());
    bytes.copied().ok_or(Unfit::NotElf)
}

fn half(file: &[u8], at: usize) -> Result<usize, Unfit> {
    Ok(u16::from_le_bytes(bytes_at(file, at)?).into())
}

fn word(file: &[u8], at: usize) -> Result<u32, Unfit> {
    Ok(u32::from_le_bytes(bytes_at(file, at)?))
}

fn long(file: &[u8], at: usize) -> Result<usize, Unfit> {
    usize::try_from(u64::from_le_bytes(bytes_at(file, at)?)).map_err(|_| Unfit::NotElf)
}

/// The offsets of the entries of a header table named in the file header.
fn entries(
    file: &[u8],
    table: usize,
    size: usize,
    count: usize,
) -> Result<impl Iterator<Item = usize> + use<>, Unfit> {
    let (start, size, count) = (long(file, table)?, half(file, size)?, half(file, count)?);
    let end = size.checked_mul(count).and_then(|length| start.checked_add(length));
    if end.is_none_or(|end| end > file.len()) {
        return Err(Unfit::NotElf);
    }
    Ok((0..count).map(move |index| start + index * size))
}

/// Calls `act` with address, size, kind and name of every symbol.
fn symbols<'a>(
    file: &'a [u8],
    mut act: impl FnMut(usize, usize, u8, &'a str),
) -> Result<(), Unfit> {
    let sections: Vec<usize> = entries(file, 40, 58, 60)?.collect();
    for &section in &sections {
        if word(file, section + 4)? != SECTION_SYMBOLS {
            continue;
        }
        let (start, length) = (long(file, section + 24)?, long(file, section + 32)?);
        let strings = *sections.get(word(file, section + 40)? as usize).ok_or(Unfit::NotElf)?;
        let names = long(file, strings + 24)?;
        let table = file.get(start..).and_then(|rest| rest.get(..length)).ok_or(Unfit::NotElf)?;
        for symbol in table.chunks_exact(24) {
            let kind = symbol[4] & 15;
            let at = names.checked_add(word(symbol, 0)? as usize).ok_or(Unfit::NotElf)?;
            let rest = file.get(at..).ok_or(Unfit::NotElf)?;
            let end = rest.iter().position(|byte| *byte == 0).ok_or(Unfit::NotElf)?;
            if let Ok(name) = core::str::from_utf8(&rest[..end]) {
                act(long(symbol, 8)?, long(symbol, 16)?, kind, name);
            }
        }
    }
    Ok(())
}

/// Appends the table of the file's own functions and points the kernel's last segment at it.
/// Returns the number of functions.
///
/// # Errors
/// When the file is no kernel; it is not changed then.
pub fn add_table(file: &mut Vec<u8>) -> Result<usize, Unfit> {
    if bytes_at::<6>(file, 0)? != *b"\x7FELF\x02\x01" {
        return Err(Unfit::NotElf);
    }
    let (mut image, mut target) = (None, None);
    symbols(file, |address, _, _, name| match name {
        IMAGE_START => image = Some(address),
        TABLE_START => target = Some(address),
        _ => {}
    })?;
    let image = image.ok_or(Unfit::NoSymbol(IMAGE_START))?;
    let target = target.ok_or(Unfit::NoSymbol(TABLE_START))?;
    let mut functions: Vec<(u32, u32, String)> = Vec::new();
    symbols(file, |address, size, kind, name| {
        // Labels of assembly code have no kind.
        if (kind == FUNCTION || kind == 0) && (image..target).contains(&address) && !name.is_empty()
        {
            functions.push(((address - image) as u32, size as u32, name.into()));
        }
    })?;
    // A label at a function's own address says less than the function: the last one stays.
    functions.sort_by_key(|(_, size, _)| *size != 0);
    let list =
        functions.iter().map(|(offset, size, name)| Symbol { offset: *offset, size: *size, name });
    let table = build(list.collect());
    let is_load = |header: &usize| -> Result<bool, Unfit> {
        Ok(word(file, *header)? == SEGMENT_LOAD && long(file, header + 16)? == target)
    };
    let mut found = None;
    for header in entries(file, 32, 54, 56)? {
        if is_load(&header)? {
            found = Some(header);
        }
    }
    let header = found.ok_or(Unfit::NoSegment)?;
    // Offset and address must agree within a page.
    let offset = file.len().next_multiple_of(PAGE) + target % PAGE;
    file.resize(offset, 0);
    file.extend_from_slice(&table);
    let mut put = |at: usize, value: usize| {
        file[header + at..header + at + 8].copy_from_slice(&(value as u64).to_le_bytes());
    };
    put(8, offset);
    put(32, table.len());
    put(40, table.len());
    Ok(crate::Table::new(&table).map_or(0, |table| table.len()))
}

/// The same program with nothing in its file but what a loader reads: what goes on a disk.
///
/// # Errors
/// When the file is no ELF file, or not whole.
pub fn without_sections(file: &[u8]) -> Result<Vec<u8>, Unfit> {
    if bytes_at::<6>(file, 0)? != *b"\x7FELF\x02\x01" {
        return Err(Unfit::NotElf);
    }
    let headers: Vec<usize> = entries(file, 32, 54, 56)?.collect();
    let end = headers.last().map_or(64, |header| header + half(file, 54).unwrap_or(0));
    let mut out = file.get(..end).ok_or(Unfit::NotElf)?.to_vec();
    out[40..48].fill(0);
    out[60..64].fill(0);
    for header in headers {
        let (start, address) = (long(file, header + 8)?, long(file, header + 16)?);
        let length = long(file, header + 32)?;
        let end = start.checked_add(length).ok_or(Unfit::NotElf)?;
        let bytes = file.get(start..end).ok_or(Unfit::NotElf)?;
        // Offset and address must agree within a page.
        let offset = out.len().next_multiple_of(PAGE) + address % PAGE;
        out.resize(offset, 0);
        out.extend_from_slice(bytes);
        out[header + 8..header + 16].copy_from_slice(&(offset as u64).to_le_bytes());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn what_is_no_kernel_is_refused_unchanged() {
        for bytes in [vec![], b"\x7FELF".to_vec(), vec![0; 4096], b"\x7FELF\x02\x01".to_vec()] {
            let mut file = bytes.clone();
            assert_eq!(add_table(&mut file), Err(Unfit::NotElf));
            assert_eq!(file, bytes);
        }
    }

    #[test]
    fn a_program_that_is_no_kernel_lacks_the_script_symbols() {
        // A header with no sections and no segments.
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(b"\x7FELF\x02\x01");
        file[54] = 56;
        file[58] = 64;
        assert_eq!(add_table(&mut file), Err(Unfit::NoSymbol(IMAGE_START)));
    }

    /// A kernel in small: one segment for the table, four symbols, nothing to run.
    fn small_kernel() -> Vec<u8> {
        const NAMES: &[u8] = b"\0image_start\0image_symbols\0work\0label\0";
        const TARGET: u64 = 0x2010;
        let symbol = |name: u32, kind: u8, address: u64, size: u64| {
            let mut bytes = name.to_le_bytes().to_vec();
            bytes.extend_from_slice(&[kind, 0, 1, 0]);
            bytes.extend_from_slice(&address.to_le_bytes());
            bytes.extend_from_slice(&size.to_le_bytes());
            bytes
        };
        let all = [
            symbol(0, 0, 0, 0),
            symbol(1, 0, 0x1000, 0),
            symbol(13, 0, TARGET, 0),
            symbol(27, FUNCTION, 0x1100, 0x20),
            symbol(32, 0, 0x1100, 0),
        ]
        .concat();
        let mut file = vec![0; 64];
        file[..6].copy_from_slice(b"\x7FELF\x02\x01");
        let put = |file: &mut Vec<u8>, at: usize, bytes: &[u8]| {
            file[at..at + bytes.len()].copy_from_slice(bytes);
        };
        put(&mut file, 32, &64u64.to_le_bytes());
        put(&mut file, 54, &56u16.to_le_bytes());
        put(&mut file, 56, &1u16.to_le_bytes());
        let mut segment = vec![0; 56];
        put(&mut segment, 0, &SEGMENT_LOAD.to_le_bytes());
        put(&mut segment, 16, &TARGET.to_le_bytes());
        file.extend(segment);
        let symbols_at = file.len() as u64;
        file.extend(&all);
        let names_at = file.len() as u64;
        file.extend(NAMES);
        let sections_at = file.len() as u64;
        for (kind, at, length, link) in
            [(SECTION_SYMBOLS, symbols_at, all.len(), 1u32), (3, names_at, NAMES.len(), 0)]
        {
            let mut section = vec![0; 64];
            put(&mut section, 4, &kind.to_le_bytes());
            put(&mut section, 24, &at.to_le_bytes());
            put(&mut section, 32, &(length as u64).to_le_bytes());
            put(&mut section, 40, &link.to_le_bytes());
            file.extend(section);
        }
        put(&mut file, 40, &sections_at.to_le_bytes());
        put(&mut file, 58, &64u16.to_le_bytes());
        put(&mut file, 60, &2u16.to_le_bytes());
        file
    }

    #[test]
    fn the_last_segment_becomes_the_table_of_functions() {
        let mut file = small_kernel();
        assert_eq!(add_table(&mut file), Ok(2));
        let (offset, size) = (long(&file, 64 + 8).unwrap(), long(&file, 64 + 32).unwrap());
        assert_eq!(long(&file, 64 + 40), Ok(size));
        assert_eq!(offset % PAGE, 0x010, "offset and address agree within a page");
        let table = crate::Table::new(&file[offset..offset + size]).unwrap();
        let found = table.find(0x110).unwrap();
        assert_eq!((found.offset, found.size, found.name), (0x100, 0x20, "work"));
    }

    #[test]
    fn a_kernel_cut_anywhere_is_refused_or_whole() {
        let whole = small_kernel();
        for length in 0..whole.len() {
            let mut file = whole[..length].to_vec();
            assert!(add_table(&mut file).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn a_program_without_sections_has_the_same_segments() {
        let mut file = small_kernel();
        add_table(&mut file).unwrap();
        let small = without_sections(&file).unwrap();
        let segment = |file: &[u8]| {
            let (at, size) = (long(file, 64 + 8).unwrap(), long(file, 64 + 32).unwrap());
            assert_eq!(at % PAGE, 0x010);
            file[at..at + size].to_vec()
        };
        assert_eq!(segment(&small), segment(&file));
        assert_eq!(small[..40], file[..40]);
        assert_eq!((long(&small, 40), half(&small, 60)), (Ok(0), Ok(0)));
        assert_eq!(without_sections(&small).unwrap(), small, "there is nothing left to remove");
        for length in 0..file.len() {
            let _unfit = without_sections(&file[..length]);
        }
    }
}
