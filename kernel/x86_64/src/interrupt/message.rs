//! Interrupts that devices send by writing to memory (SDM 3A, 11.11).
//!
//! Every line behind those that the I/O APICs may have is one: its vector is the line's, and the CPU
//! it goes to is part of what the device writes. They are edges, so there is nothing to mask.

use super::{io, vector};
use kernel_core::machine::Message;

/// The first line that is no wire: two I/O APICs of 24 pins come before it, as many as PC
/// chipsets without message interrupts have needed.
const FIRST: u8 = 64;
/// Writes to these addresses are interrupts; the destination is in bits 12 to 19.
const ADDRESS: u64 = 0xFEE0_0000;

/// What to write where to make `line` fire on the CPU addressed by `destination`.
pub(crate) fn of(line: u8, destination: u32) -> Option<Message> {
    // An address beyond one byte needs interrupt remapping, which this kernel does not set up.
    if !(FIRST..io::LINES).contains(&line) || destination > 0xFF {
        return None;
    }
    let address = ADDRESS | u64::from(destination) << 12;
    Some(Message { address, data: u32::from(vector::LINES + line) })
}
