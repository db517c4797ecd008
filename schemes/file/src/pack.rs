//! Records that take less room on the disk, in RedoxFS's way: their length in two bytes, and then
//! what LZ4 made of them, in a run of blocks half as long or shorter.

use redoxfs::{BLOCK_SIZE, BlockLevel, BlockPtr, BlockRaw, RECORD_SIZE};

/// Bytes before what LZ4 made.
const HEAD: usize = 2;
/// The most that the length in front can be, and the head.
const MOST: usize = 64 << 10;
/// How many pieces of a record are tried first, and how long they are.
const PIECES: usize = 4;
const PIECE: usize = 4096;

/// The level of the shortest run of blocks that holds so many bytes, up to a record.
pub fn level_for(length: usize) -> BlockLevel {
    let blocks = length.div_ceil(BLOCK_SIZE as usize).max(1).next_power_of_two();
    // There is no other way to make a level.
    BlockPtr::<BlockRaw>::marker(blocks.trailing_zeros() as u8).addr().level()
}

/// Packs, into memory of its own.
#[derive(Default)]
pub struct Packer {
    sample: Vec<u8>,
    packed: Vec<u8>,
}

impl Packer {
    /// The blocks that a run of them can be packed into; none if that does not save any.
    pub fn pack(&mut self, bytes: &[u8]) -> Option<&[u8]> {
        if bytes.len() <= BLOCK_SIZE as usize || self.is_noise(bytes) {
            return None;
        }
        self.make_room();
        let length = lz4_flex::compress_into(bytes, &mut self.packed[HEAD..]).ok()?;
        let total = length + HEAD;
        let whole = level_for(total.min(RECORD_SIZE as usize)).bytes() as usize;
        if total > MOST || whole >= bytes.len() {
            return None;
        }
        self.packed[..HEAD].copy_from_slice(&(length as u16).to_le_bytes());
        self.packed[total..whole].fill(0);
        Some(&self.packed[..whole])
    }

    /// Whether pieces from all over a long run cannot be packed at all; then the rest is not tried.
    fn is_noise(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() < 2 * PIECES * PIECE {
            return false;
        }
        self.make_room();
        self.sample.clear();
        let pieces = bytes.chunks_exact(bytes.len() / PIECES);
        pieces.for_each(|piece| self.sample.extend_from_slice(&piece[..PIECE]));
        lz4_flex::compress_into(&self.sample, &mut self.packed)
            .is_ok_and(|length| length >= self.sample.len())
    }

    fn make_room(&mut self) {
        let most = lz4_flex::block::get_maximum_output_size(RECORD_SIZE as usize);
        self.packed.resize(HEAD + most, 0);
    }
}

/// Fills `into` with what was packed; false when nobody can have packed that.
pub fn unpack(packed: &[u8], into: &mut [u8]) -> bool {
    let Some((head, rest)) = packed.split_first_chunk::<HEAD>() else { return false };
    let bytes = rest.get(..u16::from_le_bytes(*head).into());
    let length = bytes.and_then(|bytes| lz4_flex::decompress_into(bytes, into).ok());
    length.is_some_and(|length| {
        into[length..].fill(0);
        true
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn levels_are_the_shortest_runs() {
        for (length, blocks) in [(0, 1), (1, 1), (4096, 1), (4097, 2), (9000, 4), (131_072, 32)] {
            assert_eq!(level_for(length).blocks::<u64>(), blocks, "{length}");
        }
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        let mut packer = Packer::default();
        let mut bytes = noise(131_072);
        assert!(packer.pack(&bytes).is_none(), "noise");
        bytes[40_000..].fill(3);
        let packed = packer.pack(&bytes).expect("it saves blocks").to_vec();
        assert_eq!(packed.len(), 65_536);
        let mut again = vec![9; bytes.len()];
        assert!(unpack(&packed, &mut again) && again == bytes);
        assert!(packer.pack(&[0; 4096]).is_none(), "one block is as short as it gets");
    }

    #[test]
    fn what_nobody_packed_is_refused() {
        let mut into = [0; 8192];
        for packed in [&[][..], &[9], &[255, 255, 1, 2], &[3, 0, 0xF0, 0xFF, 0xFF]] {
            assert!(!unpack(packed, &mut into), "{packed:?}");
        }
    }
}
