//! What a page looks like in its slot when nobody is to read it there.

use chacha20::cipher::{KeyIvInit, StreamCipher};
use chacha20::{ChaCha8, Key, Nonce};

/// ChaCha with 8 rounds (Bernstein 2008; Aumasson 2019 on why 8 suffice) under a key that lives in
/// memory only. No page is ever enciphered with the key stream of another: slot and generation are
/// the nonce.
pub struct Cipher(Key);

impl Cipher {
    /// A cipher under this key.
    pub fn new(key: [u64; 4]) -> Self {
        let mut bytes = Key::default();
        for (bytes, word) in bytes.chunks_exact_mut(8).zip(key) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Self(bytes)
    }

    /// The key stream of one slot in one emergency.
    pub fn stream(&self, slot: u32, generation: u64) -> Stream {
        let mut nonce = Nonce::default();
        nonce[..4].copy_from_slice(&slot.to_le_bytes());
        nonce[4..].copy_from_slice(&generation.to_le_bytes());
        Stream(ChaCha8::new(&self.0, &nonce))
    }
}

/// A page's key stream.
pub struct Stream(ChaCha8);

impl Stream {
    /// Turns the page's next bytes into noise, or back.
    pub fn apply(&mut self, bytes: &mut [u8]) {
        self.0.apply_keystream(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PAGE;

    fn applied(key: u64, slot: u32, generation: u64, page: [u8; PAGE]) -> [u8; PAGE] {
        let mut page = page;
        let mut stream = Cipher::new([key, 2, 3, 4]).stream(slot, generation);
        // In pieces, as the kernel does it.
        page.chunks_mut(1024).for_each(|piece| stream.apply(piece));
        page
    }

    #[test]
    fn what_was_made_noise_becomes_readable_again_and_everything_counts() {
        let noise = applied(1, 5, 6, [7; PAGE]);
        assert_eq!(applied(1, 5, 6, noise), [7; PAGE]);
        for other in
            [applied(9, 5, 6, [7; PAGE]), applied(1, 9, 6, [7; PAGE]), applied(1, 5, 9, [7; PAGE])]
        {
            let same = noise.iter().zip(other).filter(|(a, b)| **a == *b).count();
            assert!(same < PAGE / 100, "{same} bytes are the same");
        }
    }
}
