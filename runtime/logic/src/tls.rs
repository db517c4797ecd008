//! Where a thread's variables lie below its thread pointer.
//!
//! x86-64 uses variant II (Drepper, "ELF Handling For Thread-Local Storage", 3.4.6): the program's
//! block ends at the thread pointer, which itself points at a word holding its own address.

/// The `PT_TLS` program header, as far as the layout needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// `p_vaddr`.
    pub address: usize,
    /// `p_filesz`: bytes that have a first value.
    pub file_size: usize,
    /// `p_memsz`: all bytes; the rest begins as zero.
    pub memory_size: usize,
    /// `p_align`.
    pub align: usize,
}

impl Segment {
    /// Bytes from the beginning of the block to the thread pointer. The linker counts variables
    /// back from the thread pointer with the same formula.
    pub fn offset(self) -> usize {
        let mask = self.alignment() - 1;
        let gap = self.address.wrapping_add(self.memory_size).wrapping_neg() & mask;
        self.memory_size + gap
    }

    /// What the thread pointer must be a multiple of: the segment's own wish, and 16 at least.
    pub fn pointer_align(self) -> usize {
        self.alignment().max(16)
    }

    fn alignment(self) -> usize {
        self.align.max(1).next_power_of_two()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_keeps_the_alignment_of_its_address() {
        for (address, memory_size, align) in
            [(0x1000, 0x28, 8), (0x1008, 0x30, 32), (0x2010, 1, 64), (0, 0, 0), (5, 3, 1)]
        {
            let segment = Segment { address, file_size: 0, memory_size, align };
            let pointer = 0x10_0000;
            let start = pointer - segment.offset();
            assert_eq!(start % align.max(1), address % align.max(1), "{segment:x?}");
            assert!(segment.offset() >= memory_size);
            assert!(segment.offset() < memory_size + align.max(1));
        }
    }
}
