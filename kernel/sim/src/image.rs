//! Program files for `exec`.

use crate::code::{TEXT, TEXT_SIZE};

/// Bytes of the file header and of one program header (System V ABI, chapters 4 and 5).
const HEADER: usize = 64;
const SEGMENT: usize = 56;
/// Where the data segment is in memory.
const DATA: usize = TEXT + TEXT_SIZE;
/// How much memory follows the bytes of the file, all zero.
const ZEROES: usize = 8192;

/// A program file that starts at `entry`, with `data` at [`DATA`] in writable memory.
pub fn image(entry: usize, data: &[u8]) -> Vec<u8> {
    let data_at = 4096;
    let mut file = Vec::new();
    file.extend_from_slice(b"\x7fELF\x02\x01\x01");
    file.resize(16, 0);
    // ET_EXEC, x86-64, version 1.
    file.extend_from_slice(&2u16.to_le_bytes());
    file.extend_from_slice(&62u16.to_le_bytes());
    file.extend_from_slice(&1u32.to_le_bytes());
    file.extend([entry, HEADER, 0].iter().flat_map(|word| (*word as u64).to_le_bytes()));
    file.extend_from_slice(&0u32.to_le_bytes());
    let sizes = [HEADER, SEGMENT, 2, 0, 0, 0];
    file.extend(sizes.iter().flat_map(|size| (*size as u16).to_le_bytes()));
    // Readable and executable, then readable and writable.
    file.extend(segment(5, 0, TEXT, data_at, TEXT_SIZE));
    file.extend(segment(6, data_at, DATA, data.len(), data.len() + ZEROES));
    file.resize(data_at, 0);
    file.extend_from_slice(data);
    file
}

fn segment(flags: u32, offset: usize, address: usize, in_file: usize, in_memory: usize) -> Vec<u8> {
    let mut header = [1u32.to_le_bytes(), flags.to_le_bytes()].concat();
    let words = [offset, address, address, in_file, in_memory, 4096];
    header.extend(words.iter().flat_map(|word| (*word as u64).to_le_bytes()));
    header
}
