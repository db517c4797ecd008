//! What a driver of a disk does.

use syscall::error::Result;

/// Bytes of a block. Disks with larger ones are driven in multiples of this.
pub const BLOCK: usize = 512;

/// A disk.
pub trait Drive {
    /// What it is, in a word.
    fn kind(&self) -> &'static str;

    /// How many blocks it has.
    fn blocks(&self) -> u64;

    /// Whether it refuses to be written.
    fn is_read_only(&self) -> bool;

    /// Reads whole blocks.
    fn read(&mut self, first: u64, into: &mut [u8]) -> Result<()>;

    /// Writes whole blocks. They are safe from a power cut after the next [`Drive::flush`].
    fn write(&mut self, first: u64, from: &[u8]) -> Result<()>;

    /// Returns when everything that was written before is safe from a power cut.
    fn flush(&mut self) -> Result<()>;
}
