//! The kernel's ELF file: which parts of it go where.
//!
//! Layouts: System V ABI, chapters 4 and 5 ("Object Files", "Program Loading"), ELF-64. Only the
//! parts above [`BASE`] are loaded: below are the first instructions of the other way to boot.

use alloc::vec::Vec;
use core::fmt;

/// The kernel is linked for the last 2 GiB of the address space.
pub const BASE: u64 = 0xFFFF_FFFF_8000_0000;
/// How much of the file [`Kernel::parse`] has to see.
pub const HEAD: usize = 4096;

const HEADER: usize = 64;
const LOAD: u32 = 1;
const MACHINE_X86_64: u16 = 62;
const EXECUTABLE: u16 = 2;

/// A part of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Where it is mapped, a multiple of 4096.
    pub address: u64,
    /// Where it starts in the file.
    pub offset: u64,
    /// Bytes that come from the file; zeroes follow.
    pub from_file: u64,
    /// Bytes in all.
    pub size: u64,
}

impl Segment {
    /// How many pages it takes.
    pub fn pages(&self) -> usize {
        self.size.div_ceil(4096) as usize
    }
}

/// The kernel as its file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// The first instruction.
    pub entry: u64,
    /// Its parts.
    pub segments: Vec<Segment>,
}

/// What is wrong with a kernel file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Not a 64-bit little-endian ELF file.
    NotElf,
    /// For another processor, or no program.
    NotKernel,
    /// The headers are not where they should be.
    BadHeaders,
    /// A part that is not where a kernel's parts are, or not whole.
    BadSegment,
    /// No part holds the first instruction.
    NoEntry,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotElf => "expected a 64-bit ELF file",
            Self::NotKernel => "expected a program for x86-64",
            Self::BadHeaders => "its program headers are not in its first 4096 bytes",
            Self::BadSegment => "one of its parts is cut off, or is not in the last 2 GiB",
            Self::NoEntry => "no part of it holds its first instruction",
        })
    }
}

impl Kernel {
    /// Reads the headers in the first [`HEAD`] bytes of a file of `length` bytes.
    ///
    /// # Errors
    /// [`Unfit`] says what was expected instead.
    pub fn parse(head: &[u8], length: u64) -> Result<Self, Unfit> {
        if head.len() < HEADER || !head.starts_with(b"\x7FELF\x02\x01\x01") {
            return Err(Unfit::NotElf);
        }
        let field = |at, size| number(head, at, size).ok_or(Unfit::NotElf);
        if field(16, 2)? as u16 != EXECUTABLE || field(18, 2)? as u16 != MACHINE_X86_64 {
            return Err(Unfit::NotKernel);
        }
        let (entry, table) = (field(24, 8)?, field(32, 8)?);
        let (size, count) = (field(54, 2)?, field(56, 2)?);
        let end = table.checked_add(size * count).ok_or(Unfit::BadHeaders)?;
        if size < 56 || end > head.len() as u64 {
            return Err(Unfit::BadHeaders);
        }
        let mut segments = Vec::new();
        for index in 0..count {
            let row = (table + index * size) as usize;
            segments.extend(segment(head, row, length)?);
        }
        let holds = |s: &Segment| s.address <= entry && entry - s.address < s.from_file;
        if !segments.iter().any(holds) {
            return Err(Unfit::NoEntry);
        }
        Ok(Self { entry, segments })
    }
}

/// The segment described at `row`, if it is one to load.
fn segment(head: &[u8], row: usize, length: u64) -> Result<Option<Segment>, Unfit> {
    let field = |at, size| number(head, row + at, size).ok_or(Unfit::BadHeaders);
    let (offset, address) = (field(8, 8)?, field(16, 8)?);
    let (from_file, size) = (field(32, 8)?, field(40, 8)?);
    if field(0, 4)? as u32 != LOAD || address < BASE || size == 0 {
        return Ok(None);
    }
    let is_whole = offset.checked_add(from_file).is_some_and(|end| end <= length)
        && from_file <= size
        && address.is_multiple_of(4096)
        && address.checked_add(size.next_multiple_of(4096)).is_some();
    if is_whole {
        Ok(Some(Segment { address, offset, from_file, size }))
    } else {
        Err(Unfit::BadSegment)
    }
}

/// A little-endian number of `size` bytes.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(size)?)?;
    Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn put(file: &mut [u8], at: usize, size: usize, value: u64) {
        file[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
    }

    /// A kernel of two parts, and one for the other door.
    fn file() -> Vec<u8> {
        let mut file = vec![0; 8192];
        file[..7].copy_from_slice(b"\x7FELF\x02\x01\x01");
        put(&mut file, 16, 2, 2);
        put(&mut file, 18, 2, 62);
        put(&mut file, 24, 8, BASE + 0x10_0010);
        put(&mut file, 32, 8, 64);
        put(&mut file, 54, 2, 56);
        put(&mut file, 56, 2, 3);
        let rows = [(0x10_0000, 0x200, 0x100, 0x100), (BASE + 0x10_0000, 0x1000, 0x800, 0x800)];
        let rows = rows.into_iter().chain([(BASE + 0x10_1000, 0x1800, 0x100, 0x3000)]);
        for (index, (address, offset, from_file, size)) in rows.enumerate() {
            let row = 64 + index * 56;
            put(&mut file, row, 4, 1);
            put(&mut file, row + 8, 8, offset);
            put(&mut file, row + 16, 8, address);
            put(&mut file, row + 32, 8, from_file);
            put(&mut file, row + 40, 8, size);
        }
        file
    }

    #[test]
    fn the_upper_parts_are_loaded() {
        let kernel = Kernel::parse(&file()[..HEAD], 8192).unwrap();
        assert_eq!(kernel.entry, BASE + 0x10_0010);
        assert_eq!(kernel.segments.len(), 2);
        assert_eq!(kernel.segments[1].pages(), 3);
        assert_eq!(kernel.segments[1].from_file, 0x100);
    }

    #[test]
    fn every_mistake_has_a_name() {
        let broken = |at: usize, size: usize, value: u64| {
            let mut file = file();
            put(&mut file, at, size, value);
            Kernel::parse(&file[..HEAD], 8192).unwrap_err()
        };
        assert_eq!(broken(0, 1, 0), Unfit::NotElf);
        assert_eq!(broken(4, 1, 1), Unfit::NotElf);
        assert_eq!(broken(16, 2, 3), Unfit::NotKernel);
        assert_eq!(broken(18, 2, 3), Unfit::NotKernel);
        assert_eq!(broken(32, 8, 4090), Unfit::BadHeaders);
        assert_eq!(broken(32, 8, u64::MAX), Unfit::BadHeaders);
        assert_eq!(broken(54, 2, 8), Unfit::BadHeaders);
        assert_eq!(broken(64 + 56 + 8, 8, 0x1FFF), Unfit::BadSegment);
        assert_eq!(broken(64 + 56 + 8, 8, u64::MAX), Unfit::BadSegment);
        assert_eq!(broken(64 + 56 + 16, 8, BASE + 1), Unfit::BadSegment);
        assert_eq!(broken(64 + 56 + 40, 8, 0x700), Unfit::BadSegment);
        assert_eq!(broken(24, 8, BASE), Unfit::NoEntry);
        assert_eq!(Kernel::parse(b"\x7FELF\x02\x01\x01", 7), Err(Unfit::NotElf));
    }

    #[test]
    fn no_head_however_broken_is_a_panic() {
        let good = file();
        for at in 0..HEADER + 3 * 56 {
            for value in [0, 1, 0x7F, 0x80, 0xFF] {
                let mut head = good[..HEAD].to_vec();
                head[at] = value;
                let _any = Kernel::parse(&head, 8192);
            }
        }
    }
}
