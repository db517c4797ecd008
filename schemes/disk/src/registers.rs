//! A device's registers.

/// Registers of 32 bits, by their offset.
pub trait Registers {
    /// Reads one.
    fn read(&self, offset: usize) -> u32;
    /// Writes one.
    fn write(&self, offset: usize, value: u32);

    /// Reads one of 64 bits, low half first.
    fn read_long(&self, offset: usize) -> u64 {
        let low = u64::from(self.read(offset));
        low | u64::from(self.read(offset + 4)) << 32
    }

    /// Writes one of 64 bits, low half first.
    fn write_long(&self, offset: usize, value: u64) {
        self.write(offset, value as u32);
        self.write(offset + 4, (value >> 32) as u32);
    }
}
