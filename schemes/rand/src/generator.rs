//! The stream of random bytes: ChaCha20 under a key that is used once.
//!
//! Every call first draws the next key and then its output from the old one ("fast key erasure",
//! D. J. Bernstein, 2017). So whoever reads the daemon's memory learns nothing about bytes that
//! were given out before. The crate wipes a dropped key.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};

const KEY: usize = 32;

/// A key, and the way to the next one.
pub struct Generator {
    stream: ChaCha20Rng,
}

impl std::fmt::Debug for Generator {
    /// Says nothing about the key.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Generator")
    }
}

impl Generator {
    /// A generator that anyone can predict until something is mixed in.
    pub fn new() -> Self {
        Self { stream: ChaCha20Rng::from_seed([0; KEY]) }
    }

    /// Fills the buffer and moves on to the next key.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        let mut key = [0; KEY];
        self.stream.fill_bytes(&mut key);
        self.stream.fill_bytes(buffer);
        self.stream = ChaCha20Rng::from_seed(key);
    }

    /// Mixes bytes into the key. Exclusive-or with a key the writer does not know loses nothing,
    /// whatever the bytes are; drawing a new key after each piece makes the order count.
    pub fn mix(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(KEY) {
            let mut key = [0; KEY];
            self.stream.fill_bytes(&mut key);
            for (byte, fresh) in key.iter_mut().zip(piece) {
                *byte ^= fresh;
            }
            self.stream = ChaCha20Rng::from_seed(key);
        }
    }
}

impl Default for Generator {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(generator: &mut Generator) -> [u8; 64] {
        let mut bytes = [0; 64];
        generator.fill(&mut bytes);
        bytes
    }

    fn after(pieces: &[&[u8]]) -> [u8; 64] {
        let mut generator = Generator::new();
        for piece in pieces {
            generator.mix(piece);
        }
        next(&mut generator)
    }

    #[test]
    fn the_same_history_gives_the_same_bytes() {
        assert_eq!(after(&[b"seed"]), after(&[b"seed"]));
    }

    #[test]
    fn every_bit_of_the_history_counts() {
        let long = [5; 100];
        let mut other = long;
        other[99] ^= 1;
        assert_ne!(after(&[b"seed"]), after(&[b"seee"]));
        assert_ne!(after(&[&long]), after(&[&other]));
        assert_ne!(after(&[b"a", b"b"]), after(&[b"b", b"a"]));
        assert_ne!(after(&[]), after(&[&[0; 32]]), "even zeros change the key");
    }

    #[test]
    fn a_call_does_not_repeat_the_one_before() {
        let mut generator = Generator::new();
        assert_ne!(next(&mut generator), next(&mut generator));
    }

    /// The known answer: RFC 8439's ChaCha20 with key and nonce zero begins 76b8e0ad... (A.1,
    /// test vector 1); its first 32 bytes become the next key, the following ones the output.
    #[test]
    fn the_stream_is_chacha20() {
        let mut bytes = [0; 32];
        Generator::new().fill(&mut bytes);
        let expected = [
            0xda, 0x41, 0x59, 0x7c, 0x51, 0x57, 0x48, 0x8d, 0x77, 0x24, 0xe0, 0x3f, 0xb8, 0xd8,
            0x4a, 0x37, 0x6a, 0x43, 0xb8, 0xf4, 0x15, 0x18, 0xa1, 0x1c, 0xc3, 0x87, 0xb6, 0x69,
            0xb2, 0xee, 0x65, 0x86,
        ];
        assert_eq!(bytes, expected);
    }
}
