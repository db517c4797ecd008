//! The keyed hash that guards a page while it is away.
//!
//! The key is random, made at boot and never leaves memory, so whoever can write to the disk
//! cannot make a page that passes. Five instructions for 16 bytes: a folded 128-bit product of the
//! state with the data, the mixing step of wyhash (Wang Yi, 2019).

/// Words of a page.
pub const WORDS: usize = 512;

/// The secret of one boot.
#[derive(Clone, Copy, Debug, Default)]
pub struct Key(pub [u64; 2]);

impl Key {
    /// The hash of a page that belongs into `slot` in this `generation`.
    #[inline]
    pub fn page(self, slot: u64, generation: u64, words: &[u64; WORDS]) -> u64 {
        let [start, step] = self.0;
        let mut state = fold(start ^ slot, step ^ generation.rotate_left(32));
        for pair in words.chunks_exact(2) {
            state = fold(state ^ pair[0], step ^ pair[1]);
        }
        fold(state ^ start, step)
    }
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key([0x9E37_79B9_7F4A_7C15, 0xD1B5_4A32_D192_ED03]);

    #[test]
    fn every_single_bit_and_every_pair_of_top_bits_counts() {
        for base in [[0; WORDS], [u64::MAX; WORDS]] {
            let good = KEY.page(1, 1, &base);
            for bit in 0..WORDS * 64 {
                let mut page = base;
                page[bit / 64] ^= 1 << (bit % 64);
                assert_ne!(KEY.page(1, 1, &page), good, "bit {bit}");
            }
            for word in 0..WORDS - 1 {
                let mut page = base;
                page[word] ^= 1 << 63;
                page[word + 1] ^= 1 << 63;
                assert_ne!(KEY.page(1, 1, &page), good, "word {word}");
            }
        }
    }

    #[test]
    fn the_slot_the_emergency_and_the_key_count() {
        let page = [7; WORDS];
        let good = KEY.page(5, 2, &page);
        assert_ne!(KEY.page(6, 2, &page), good);
        assert_ne!(KEY.page(5, 3, &page), good);
        assert_ne!(Key([1, 2]).page(5, 2, &page), good);
    }
}
