//! What a disk says of itself in answer to IDENTIFY DEVICE (ATA/ATAPI Command Set 3, 7.12.7).

/// What this driver wants to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// What its maker calls it.
    pub model: String,
    /// Bytes of a block.
    pub block: usize,
    /// How many blocks.
    pub blocks: u64,
    /// Whether it keeps written blocks back until it is told to flush.
    pub has_cache: bool,
}

impl Identity {
    /// Reads the 512 bytes. `None` when it is no disk with 48-bit addresses.
    pub fn read(bytes: &[u8; 512]) -> Option<Self> {
        let word = |index: usize| u16::from_le_bytes([bytes[2 * index], bytes[2 * index + 1]]);
        // Bit 15: no ATA device. Bit 10 of word 83: 48-bit addresses.
        if word(0) >> 15 != 0 || word(83) >> 10 & 1 == 0 {
            return None;
        }
        let blocks = (100..104).rev().fold(0, |sum, index| sum << 16 | u64::from(word(index)));
        // Word 106 is valid when its upper bits are 01; bit 12: blocks longer than 256 words.
        let block = match word(106) >> 12 {
            0b0101 | 0b0111 => (usize::from(word(117)) | usize::from(word(118)) << 16) * 2,
            _ => 512,
        };
        if !block.is_power_of_two() || !(512..=65536).contains(&block) {
            return None;
        }
        // Two characters in each word, the first in the upper half.
        let model = (27..47).flat_map(|index| word(index).to_be_bytes());
        let model = model.filter(|byte| matches!(byte, 0x20..=0x7E)).map(char::from);
        let model = model.collect::<String>().trim().to_owned();
        Some(Self { model, block, blocks, has_cache: word(82) >> 5 & 1 == 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> [u8; 512] {
        let mut bytes = [0; 512];
        bytes[83 * 2 + 1] = 4;
        bytes[100 * 2..100 * 2 + 8].copy_from_slice(&0x1234_5678_u64.to_le_bytes());
        bytes[54..58].copy_from_slice(b"oF o");
        bytes
    }

    #[test]
    fn size_and_name_are_read() {
        let identity = Identity::read(&disk()).unwrap();
        assert_eq!((identity.block, identity.blocks), (512, 0x1234_5678));
        assert_eq!(identity.model, "Foo");
    }

    #[test]
    fn long_blocks_are_known() {
        let mut bytes = disk();
        bytes[106 * 2 + 1] = 0x50;
        bytes[117 * 2 + 1] = 8;
        assert_eq!(Identity::read(&bytes).unwrap().block, 4096);
        bytes[117 * 2] = 1;
        assert_eq!(Identity::read(&bytes), None);
    }

    #[test]
    fn what_is_no_disk_is_not_driven() {
        assert_eq!(Identity::read(&[0; 512]), None);
        assert_eq!(Identity::read(&[0xFF; 512]), None);
    }
}
