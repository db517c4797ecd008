//! The firmware's memory map in the kernel's words.

use boot_info::{MapEntry, kind};

/// Memory that the loader allocates for what the kernel reads once, and for the page tables it
/// starts on. A number for operating systems (UEFI specification 2.10, 7.2.1: from 0x8000_0000).
pub const KEPT: u32 = 0x8000_0001;

/// What the kernel may do with memory of a firmware type (UEFI specification 2.10, table 7.10).
pub fn kind_of(memory_type: u32) -> u32 {
    match memory_type {
        // Loader code and data, boot services code and data, conventional memory.
        1..=4 | 7 => kind::RAM,
        8 => kind::UNUSABLE,
        9 => kind::ACPI_TABLES,
        10 => kind::ACPI_NVS,
        _ => kind::RESERVED,
    }
}

/// Sorts the pieces and joins neighbours of one kind, in place; returns how many are left, at the
/// beginning. Pieces of nothing are left out. Allocates nothing: the firmware is gone by now.
pub fn joined(pieces: &mut [MapEntry]) -> usize {
    pieces.sort_unstable_by_key(|piece| piece.start);
    let mut count = 0;
    for index in 0..pieces.len() {
        let piece = pieces[index];
        if piece.size == 0 {
            continue;
        }
        match pieces[..count].last_mut() {
            Some(last) if last.kind == piece.kind && last.end() == piece.start => {
                last.size += piece.size;
            }
            _ => {
                pieces[count] = piece;
                count += 1;
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_one_kind_are_one_piece() {
        let piece = |start, size, memory_type| MapEntry::new(start, size, kind_of(memory_type));
        let mut pieces = [
            piece(0x3000, 0x1000, 7),
            piece(0x1000, 0x2000, 4),
            piece(0x4000, 0x1000, 5),
            piece(0x6000, 0x1000, 2),
            piece(0x5000, 0, 7),
            piece(0x7000, 0x1000, KEPT),
        ];
        let count = joined(&mut pieces);
        assert_eq!(
            pieces[..count],
            [
                MapEntry::new(0x1000, 0x3000, kind::RAM),
                MapEntry::new(0x4000, 0x1000, kind::RESERVED),
                MapEntry::new(0x6000, 0x1000, kind::RAM),
                MapEntry::new(0x7000, 0x1000, kind::RESERVED),
            ]
        );
    }

    #[test]
    fn what_is_not_known_is_left_alone() {
        for memory_type in [0, 5, 6, 11, 12, 13, 14, 15, 99, KEPT, u32::MAX] {
            assert_eq!(kind_of(memory_type), kind::RESERVED, "{memory_type}");
        }
    }
}
