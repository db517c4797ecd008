//! `null:` and `zero:` — the endless sink and the endless source of zero bytes.
//!
//! Keeps nothing at all.

use scheme::device::Devices;
use syscall::error::Result;

/// Both devices.
#[derive(Clone, Copy, Debug)]
pub struct NullAndZero;

const NULL: usize = 0;

impl Devices for NullAndZero {
    const NAMES: &'static [&'static str] = &["null", "zero"];

    /// Nothing from `null:`, zeros from `zero:`.
    fn read(&mut self, index: usize, buffer: &mut [u8]) -> Result<usize> {
        if index == NULL {
            return Ok(0);
        }
        buffer.fill(0);
        Ok(buffer.len())
    }

    /// Swallows everything.
    fn write(&mut self, _index: usize, buffer: &[u8]) -> Result<usize> {
        Ok(buffer.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: usize = 1;

    #[test]
    fn null_is_empty_and_swallows_everything() {
        let mut buffer = *b"kept";
        assert_eq!(NullAndZero.read(NULL, &mut buffer), Ok(0));
        assert_eq!(&buffer, b"kept");
        assert_eq!(NullAndZero.write(NULL, &[1; 1000]), Ok(1000));
    }

    #[test]
    fn zero_fills_the_whole_buffer() {
        let mut buffer = [7; 300];
        assert_eq!(NullAndZero.read(ZERO, &mut buffer), Ok(300));
        assert_eq!(buffer, [0; 300]);
        assert_eq!(NullAndZero.write(ZERO, b"gone"), Ok(4));
    }

    #[test]
    fn names_are_where_the_indices_say() {
        assert_eq!(NullAndZero::NAMES[NULL], "null");
        assert_eq!(NullAndZero::NAMES[ZERO], "zero");
    }
}
