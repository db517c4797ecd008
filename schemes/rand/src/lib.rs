//! `rand:` — random bytes for everyone, and the place to add entropy.
//!
//! [`generator`] stretches a secret key into bytes and forgets the key after every use;
//! [`entropy`] asks the processor and the clock for something nobody can guess. No state of this
//! daemon ever leaves it, and nothing a client writes can make the output less random.

pub mod entropy;
pub mod generator;

use scheme::device::Devices;
use syscall::error::Result;

use crate::generator::Generator;

/// Most bytes given or taken by one call, so that one client cannot keep the others waiting.
pub const CALL_MAX: usize = 1 << 20;

/// Most written bytes mixed in by one call.
pub const MIX_MAX: usize = 4096;

/// Bytes given out before fresh entropy is gathered again.
const FRESH_EVERY: usize = 1 << 20;

/// The device.
#[derive(Debug)]
pub struct Random {
    generator: Generator,
    until_fresh: usize,
}

impl Random {
    /// Starts from all the entropy the machine has to give now.
    pub fn new() -> Self {
        let mut generator = Generator::new();
        entropy::gather(&mut |bytes| generator.mix(bytes));
        Self { generator, until_fresh: FRESH_EVERY }
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

impl Devices for Random {
    const NAMES: &'static [&'static str] = &["rand"];

    /// Random bytes, at most [`CALL_MAX`] at a time.
    fn read(&mut self, _index: usize, buffer: &mut [u8]) -> Result<usize> {
        let length = buffer.len().min(CALL_MAX);
        match self.until_fresh.checked_sub(length) {
            Some(left) => self.until_fresh = left,
            None => {
                entropy::gather(&mut |bytes| self.generator.mix(bytes));
                self.until_fresh = FRESH_EVERY;
            }
        }
        self.generator.fill(&mut buffer[..length]);
        Ok(length)
    }

    /// Mixes the bytes into the state, at most [`MIX_MAX`] at a time.
    fn write(&mut self, _index: usize, buffer: &[u8]) -> Result<usize> {
        let length = buffer.len().min(MIX_MAX);
        self.generator.mix(&buffer[..length]);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(random: &mut Random, length: usize) -> Vec<u8> {
        let mut buffer = vec![0; length];
        assert_eq!(random.read(0, &mut buffer), Ok(length));
        buffer
    }

    #[test]
    fn two_daemons_never_agree() {
        assert_ne!(bytes(&mut Random::new(), 32), bytes(&mut Random::new(), 32));
    }

    #[test]
    fn two_reads_never_agree() {
        let mut random = Random::new();
        assert_ne!(bytes(&mut random, 32), bytes(&mut random, 32));
    }

    #[test]
    fn a_huge_call_is_cut_short_and_still_served() {
        let mut random = Random::new();
        let mut buffer = vec![0; CALL_MAX + 1];
        assert_eq!(random.read(0, &mut buffer), Ok(CALL_MAX));
        assert_eq!(buffer[CALL_MAX], 0, "nothing beyond what was promised");
        assert_eq!(random.write(0, &buffer), Ok(MIX_MAX));
        assert_eq!(random.read(0, &mut []), Ok(0));
    }

    /// A coarse look at the bits: enough to see a buffer that was never filled.
    #[test]
    fn about_half_of_the_bits_are_set() {
        let ones: u32 = bytes(&mut Random::new(), 1 << 16).iter().map(|b| b.count_ones()).sum();
        // 524288 bits: the mean is 262144, one standard deviation 362; allow ten.
        assert!(ones.abs_diff(262_144) < 3_620, "{ones} ones");
    }
}
