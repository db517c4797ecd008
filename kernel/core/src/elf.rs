//! `EXEC`, pure half — from the bytes of a program file to a plan of what to map where.
//!
//! Nothing in the file is believed: a plan that comes out lies wholly inside user space and inside
//! the file, its segments share no page, and none is both writable and executable. Everything else
//! is `ENOEXEC`. This module maps nothing, and reads only the file header and the program headers.
//!
//! Layout and numbers: System V ABI, chapters 4 and 5; x86-64 psABI, chapter 4.

use abi::redox::error::{ENOEXEC, Error, Result};
use abi::{PAGE_SIZE, STACK_SIZE, STACK_TOP, USER_END, USER_START};
use alloc::vec::Vec;
use core::ops::Range;

/// The bytes of a program file, wherever they are.
pub trait Image {
    /// How many there are.
    fn len(&self) -> u64;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Copies out the bytes from `at` on.
    ///
    /// # Errors
    ///
    /// The reason why they cannot be read; a plan asks only for bytes below [`Image::len`].
    fn read(&self, at: u64, into: &mut [u8]) -> Result<()>;
}

impl Image for [u8] {
    fn len(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, at: u64, into: &mut [u8]) -> Result<()> {
        let from = usize::try_from(at).ok().and_then(|at| self.get(at..)?.get(..into.len()));
        into.copy_from_slice(from.ok_or(Error::new(ENOEXEC))?);
        Ok(())
    }
}

/// What a segment's pages allow. There is no fourth kind: writable code is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protection {
    /// Constants.
    Read,
    /// Data.
    ReadWrite,
    /// Code.
    ReadExecute,
}

/// A piece of memory the program wants, and the piece of the file it begins with.
///
/// `address` and `file_offset` are the same modulo the page size, so whole pages of the file can
/// be mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Where it begins in memory.
    pub address: usize,
    /// Its length in memory, not 0; what the file does not fill is zero.
    pub memory_size: usize,
    /// Where it begins in the file.
    pub file_offset: u64,
    /// How many bytes come from the file, at most `memory_size`.
    pub file_size: usize,
    /// What its pages allow.
    pub protection: Protection,
}

impl Segment {
    /// The first address behind it.
    pub fn end(&self) -> usize {
        self.address + self.memory_size
    }

    /// The addresses of the whole pages it touches.
    pub fn page_range(&self) -> Range<usize> {
        self.address / PAGE_SIZE * PAGE_SIZE..self.end().next_multiple_of(PAGE_SIZE)
    }
}

/// How to bring a program into an empty address space.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// What to map: not empty, sorted by address.
    pub segments: Vec<Segment>,
    /// The first instruction, inside an executable segment.
    pub entry: usize,
    /// Where the program headers are in memory, when a segment brings them along (`AT_PHDR`).
    pub headers: Option<usize>,
    /// How many program headers there are (`AT_PHNUM`).
    pub header_count: usize,
}

/// Most program headers a file may have.
pub const HEADERS_MAX: usize = 64;

/// Bytes of one program header (`AT_PHENT`).
pub const HEADER_SIZE: usize = 56;

const FILE_HEADER_SIZE: usize = 64;
const TYPE_EXECUTABLE: u16 = 2;
const TYPE_DYNAMIC: u16 = 3;
const MACHINE_X86_64: u16 = 62;
const SEGMENT_LOAD: u32 = 1;
const SEGMENT_INTERPRETER: u32 = 3;
const FLAG_EXECUTE: u32 = 1;
const FLAG_WRITE: u32 = 2;
const FLAG_READ: u32 = 4;

impl Plan {
    /// Reads a program. One that can lie anywhere (`ET_DYN`) is put at `base`.
    ///
    /// # Errors
    ///
    /// `ENOEXEC` when this is not a program we run, or the error of [`Image::read`].
    pub fn read(image: &(impl Image + ?Sized), base: usize) -> Result<Self> {
        let file = FileHeader::read(image)?;
        let base = if file.is_movable { base } else { 0 };
        let mut segments: Vec<Segment> = Vec::with_capacity(file.header_count);
        for index in 0..file.header_count {
            let mut header = [0; HEADER_SIZE];
            image.read(file.headers_offset + (index * HEADER_SIZE) as u64, &mut header)?;
            match u32_at(&header, 0) {
                SEGMENT_LOAD => segments.extend(load_segment(&header, image.len(), base)?),
                SEGMENT_INTERPRETER => return refuse(),
                _ => {}
            }
        }
        segments.sort_unstable_by_key(|segment| segment.address);
        let overlap = |pair: &[Segment]| pair[0].page_range().end > pair[1].page_range().start;
        if segments.windows(2).any(overlap) {
            return refuse();
        }
        let entry = usize::try_from(file.entry).ok().and_then(|entry| entry.checked_add(base));
        let entry = entry.filter(|entry| is_code(&segments, *entry)).ok_or(NOT_A_PROGRAM)?;
        let headers = segments.iter().find_map(|segment| file.headers_in(segment));
        Ok(Self { segments, entry, headers, header_count: file.header_count })
    }
}

const NOT_A_PROGRAM: Error = Error { errno: ENOEXEC };

fn refuse<T>() -> Result<T> {
    Err(NOT_A_PROGRAM)
}

fn is_code(segments: &[Segment], address: usize) -> bool {
    segments.iter().any(|segment| {
        segment.protection == Protection::ReadExecute
            && (segment.address..segment.end()).contains(&address)
    })
}

/// What the file header says, as far as it matters.
struct FileHeader {
    is_movable: bool,
    entry: u64,
    headers_offset: u64,
    header_count: usize,
}

impl FileHeader {
    fn read(image: &(impl Image + ?Sized)) -> Result<Self> {
        if image.len() < FILE_HEADER_SIZE as u64 {
            return refuse();
        }
        let mut raw = [0; FILE_HEADER_SIZE];
        image.read(0, &mut raw)?;
        // Magic, 64-bit, little-endian, version 1. Bytes 7.. name an operating system and its
        // version; compilers leave them 0 or not as they like, so they decide nothing.
        let is_ours = raw[..7] == *b"\x7fELF\x02\x01\x01"
            && u16_at(&raw, 18) == MACHINE_X86_64
            && u32_at(&raw, 20) == 1
            && usize::from(u16_at(&raw, 54)) == HEADER_SIZE;
        let is_movable = match u16_at(&raw, 16) {
            TYPE_EXECUTABLE => false,
            TYPE_DYNAMIC => true,
            _ => return refuse(),
        };
        let (headers_offset, header_count) = (u64_at(&raw, 32), usize::from(u16_at(&raw, 56)));
        let headers_end = headers_offset.checked_add((header_count * HEADER_SIZE) as u64);
        if !is_ours
            || header_count > HEADERS_MAX
            || !headers_offset.is_multiple_of(8)
            || headers_end.is_none_or(|end| end > image.len())
        {
            return refuse();
        }
        Ok(Self { is_movable, entry: u64_at(&raw, 24), headers_offset, header_count })
    }

    /// Where the program headers are, if `segment` brings all of them into memory.
    fn headers_in(&self, segment: &Segment) -> Option<usize> {
        let skipped =
            usize::try_from(self.headers_offset.checked_sub(segment.file_offset)?).ok()?;
        let end = skipped.checked_add(self.header_count * HEADER_SIZE)?;
        (end <= segment.file_size).then_some(segment.address + skipped)
    }
}

/// Checks one loadable segment; `None` when it is empty.
fn load_segment(
    header: &[u8; HEADER_SIZE],
    image_len: u64,
    base: usize,
) -> Result<Option<Segment>> {
    let (file_offset, file_size) = (u64_at(header, 8), u64_at(header, 32));
    let (address, memory_size) = (u64_at(header, 16), u64_at(header, 40));
    let alignment = u64_at(header, 48);
    if file_size > memory_size
        || file_offset.checked_add(file_size).is_none_or(|end| end > image_len)
        || !(alignment == 0 || alignment.is_power_of_two())
    {
        return refuse();
    }
    let protection = protection(u32_at(header, 4))?;
    if memory_size == 0 {
        return Ok(None);
    }
    let address = base.checked_add(to_usize(address)?).ok_or(NOT_A_PROGRAM)?;
    let (memory_size, file_size) = (to_usize(memory_size)?, to_usize(file_size)?);
    let end = address.checked_add(memory_size).ok_or(NOT_A_PROGRAM)?;
    let is_aligned = address as u64 % PAGE_SIZE as u64 == file_offset % PAGE_SIZE as u64
        && (alignment <= 1 || (address as u64).wrapping_sub(file_offset) % alignment == 0);
    // The page below the stack stays unmapped, so that an overflow is seen.
    let stack = STACK_TOP - STACK_SIZE - PAGE_SIZE..STACK_TOP;
    let is_in_stack = address < stack.end && stack.start < end.next_multiple_of(PAGE_SIZE);
    if address < USER_START || end > USER_END || !is_aligned || is_in_stack {
        return refuse();
    }
    Ok(Some(Segment { address, memory_size, file_offset, file_size, protection }))
}

fn protection(flags: u32) -> Result<Protection> {
    match flags & (FLAG_READ | FLAG_WRITE | FLAG_EXECUTE) {
        FLAG_READ => Ok(Protection::Read),
        flags if flags & FLAG_EXECUTE == 0 && flags & FLAG_WRITE != 0 => Ok(Protection::ReadWrite),
        flags if flags & FLAG_EXECUTE != 0 && flags & FLAG_WRITE == 0 => {
            Ok(Protection::ReadExecute)
        }
        _ => refuse(),
    }
}

fn to_usize(number: u64) -> Result<usize> {
    usize::try_from(number).map_err(|_| NOT_A_PROGRAM)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
