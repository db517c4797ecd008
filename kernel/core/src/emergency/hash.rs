//! The keyed hash that guards a page while it is away.
//!
//! The key is random, made at boot and never leaves memory, so whoever can write to the disk
//! cannot make a page that passes. Three and a half instructions for 16 bytes: two words go into
//! the two halves of the state, the state becomes the product of its halves, all 128 bits of it.
//! Halves lose a bit or two each time while the words are zero, so the key comes in every 64 bytes,
//! into one half and the other by turns.

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
        let mut low = fold(start ^ slot, step);
        let mut high = fold(step ^ generation.rotate_left(32), start);
        for piece in words.as_chunks::<32>().0 {
            for (at, pair) in piece.as_chunks::<2>().0.iter().enumerate() {
                match at {
                    0 | 8 => low ^= start,
                    4 | 12 => high = high.wrapping_add(step),
                    _ => {}
                }
                // In this order the compiler multiplies the halves where they are, and moves none.
                let product = u128::from(high ^ pair[1]) * u128::from(low ^ pair[0]);
                (low, high) = (product as u64, (product >> 64) as u64);
            }
        }
        fold(low ^ start, high ^ step)
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
        for base in [[0; WORDS], [u64::MAX; WORDS], [KEY.0[0]; WORDS]] {
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
