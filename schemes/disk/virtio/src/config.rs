//! Configuration space as the `virtio-drivers` crate wants to see it: a copy of what `pci:` shows.
//!
//! The crate learns the sizes of registers by writing ones to them. A driver may not do that, and
//! need not: `pci:` knows the sizes. So the copy plays the device's part.

use pcid::info::Info;
use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction};

/// Offset of the first base address register, and of what follows the last.
const BARS: std::ops::Range<u8> = 0x10..0x28;

/// A function's first 256 bytes of configuration space.
#[derive(Clone)]
pub(super) struct Config {
    words: [u32; 64],
    sizes: [u64; 6],
    /// Base address registers that were written with ones.
    asked: [bool; 6],
}

impl Config {
    /// Takes over what `pci:NAME/config` shows; `None` when that is too short.
    pub(super) fn new(bytes: &[u8], info: &Info) -> Option<Self> {
        let mut words = [0; 64];
        for (word, bytes) in words.iter_mut().zip(bytes.get(..256)?.chunks_exact(4)) {
            *word = u32::from_le_bytes(bytes.try_into().ok()?);
        }
        let sizes = info.bars.map(|bar| bar.map_or(0, |bar| bar.size));
        Some(Self { words, sizes, asked: [false; 6] })
    }

    /// What a register answers that was written with ones: the bits that can be changed.
    fn mask(&self, index: usize) -> u32 {
        let word = self.words[usize::from(BARS.start) / 4 + index];
        if self.sizes[index] > 0 {
            return !(self.sizes[index] - 1) as u32 | word & 0xF;
        }
        // The upper half of the register before it, or nothing at all.
        match index.checked_sub(1).map(|before| self.sizes[before]) {
            Some(size) if size > 0 => (!(size - 1) >> 32) as u32,
            _ => 0,
        }
    }
}

impl ConfigurationAccess for Config {
    fn read_word(&self, _: DeviceFunction, offset: u8) -> u32 {
        let index = usize::from(offset.wrapping_sub(BARS.start)) / 4;
        match BARS.contains(&offset) && self.asked[index] {
            true => self.mask(index),
            false => self.words[usize::from(offset) / 4],
        }
    }

    fn write_word(&mut self, _: DeviceFunction, offset: u8, data: u32) {
        if BARS.contains(&offset) {
            self.asked[usize::from(offset - BARS.start) / 4] = data == u32::MAX;
        }
    }

    unsafe fn unsafe_clone(&self) -> Self {
        self.clone()
    }
}
