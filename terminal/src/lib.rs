//! What a video terminal is made of: text on a screen whose pixels are in memory, and the keys of a
//! keyboard.
//!
//! The kernel shows its log, panics and the picker with it, `consoled` its terminal, and the tests
//! read screenshots. It only writes pixels, row by row through [`Pixels`], and never reads any:
//! that is slow on real screens. Only [`Grid`], [`Vt`] and [`read`] allocate.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod cell;
pub mod font;
pub mod grid;
pub mod keys;
pub mod read;
pub mod sheet;
pub mod vt;

pub use cell::{Cell, Painter};
pub use font::Font;
pub use grid::Grid;
pub use keys::Keyboard;
pub use sheet::Sheet;
pub use vt::Vt;

/// Colours as 0x00RRGGBB.
pub mod colour {
    /// The sixteen of terminals: eight, and eight brighter ones.
    pub const ANSI: [u32; 16] = [
        0x00_0000, 0xCD_3131, 0x0D_BC79, 0xE5_E510, 0x24_72C8, 0xBC_3FBC, 0x11_A8CD, 0xD0_D0D0,
        0x66_6666, 0xF1_4C4C, 0x23_D18B, 0xF5_F543, 0x3B_8EEA, 0xD6_70D6, 0x29_B8DB, 0xFF_FFFF,
    ];
    /// Behind everything.
    pub const BACKGROUND: u32 = ANSI[0];
    /// Plain text.
    pub const TEXT: u32 = ANSI[7];
}

/// A screen's size, and what its pixels are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Where red, green and blue begin in a pixel's word.
    pub shifts: [u8; 3],
}

impl Mode {
    /// A colour as this screen's pixels have it.
    pub fn pixel(&self, colour: u32) -> u32 {
        let part = |index: usize| (colour >> (16 - 8 * index) & 0xFF) << self.shifts[index];
        part(0) | part(1) | part(2)
    }
}

/// Where pixels go.
pub trait Pixels {
    /// Writes a piece of row `y` from column `x` on, in the screen's own format. It lies inside the
    /// screen.
    fn put(&mut self, x: usize, y: usize, pixels: &[u32]);
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    /// A screen that only tests look at.
    pub(crate) struct Picture {
        pub(crate) mode: Mode,
        pub(crate) pixels: Vec<u32>,
        /// How many were written.
        pub(crate) written: usize,
    }

    impl Picture {
        pub(crate) fn new(width: usize, height: usize) -> Self {
            let mode = Mode { width, height, shifts: [16, 8, 0] };
            Self { mode, pixels: vec![0; width * height], written: 0 }
        }
    }

    impl Pixels for Picture {
        fn put(&mut self, x: usize, y: usize, pixels: &[u32]) {
            assert!(x + pixels.len() <= self.mode.width && y < self.mode.height);
            let at = y * self.mode.width + x;
            self.pixels[at..at + pixels.len()].copy_from_slice(pixels);
            self.written += pixels.len();
        }
    }

    #[test]
    fn colours_go_where_the_screen_wants_them() {
        let mode = |shifts| Mode { width: 1, height: 1, shifts };
        assert_eq!(mode([16, 8, 0]).pixel(0x12_3456), 0x12_3456);
        assert_eq!(mode([0, 8, 16]).pixel(0x12_3456), 0x56_3412);
    }
}
