//! One character in its colours, and how it becomes pixels.

use crate::font::{Glyph, WIDTH_MAX};
use crate::{Font, Mode, Pixels, colour};

/// A larger screen has text in a part of it: the memory for more would be missed elsewhere.
const COLUMNS_MAX: usize = 240;
const ROWS_MAX: usize = 75;

/// A character as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// What. `\0` is the right half of a wide character, and shows nothing.
    pub character: char,
    /// Colour of the character.
    pub foreground: u32,
    /// Colour behind it.
    pub background: u32,
    /// A line below it.
    pub is_underlined: bool,
}

impl Default for Cell {
    fn default() -> Self {
        Self::plain(' ')
    }
}

impl Cell {
    /// A character in the usual colours.
    pub const fn plain(character: char) -> Self {
        Self {
            character,
            foreground: colour::TEXT,
            background: colour::BACKGROUND,
            is_underlined: false,
        }
    }

    /// The same with its colours exchanged.
    pub const fn reversed(self) -> Self {
        Self { foreground: self.background, background: self.foreground, ..self }
    }
}

/// Draws cells on a screen of some mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Painter {
    mode: Mode,
    font: Font,
    /// The first cell's corner: what the cells do not fill is left and right, above and below.
    origin: (usize, usize),
}

impl Painter {
    /// For a screen, in the size of text that fits it.
    pub fn new(mode: Mode) -> Self {
        Self::with_font(mode, Font::for_size(mode.width, mode.height))
    }

    /// In a size of text.
    pub fn with_font(mode: Mode, font: Font) -> Self {
        Self { mode, font, origin: (0, 0) }
    }

    /// With a grid of so many columns and rows in the middle of the screen, as far as they fit. Its
    /// cells are where those of a grid over the whole screen would be.
    pub fn centred(mode: Mode, columns: usize, rows: usize) -> Self {
        let mut painter = Self::new(mode);
        let margin = |all: usize, cells: usize, size: usize| {
            all.saturating_sub(cells * size) / 2 / size * size
        };
        painter.origin = (
            margin(mode.width, columns, painter.font.cell_width),
            margin(mode.height, rows, painter.font.cell_height),
        );
        painter
    }

    /// Columns and rows that fit, on very large screens a part of them.
    pub fn grid(&self) -> (usize, usize) {
        let (columns, rows) = self.font.grid(self.mode.width, self.mode.height);
        (columns.min(COLUMNS_MAX), rows.min(ROWS_MAX))
    }

    /// Draws a cell. One that is outside the screen is not drawn.
    pub fn draw(&self, pixels: &mut impl Pixels, column: usize, row: usize, cell: Cell) {
        let Font { cell_width, cell_height, .. } = self.font;
        let (x, y) = (self.origin.0 + column * cell_width, self.origin.1 + row * cell_height);
        if x + cell_width > self.mode.width || y + cell_height > self.mode.height {
            return;
        }
        let (fore, back) = (self.mode.pixel(cell.foreground), self.mode.pixel(cell.background));
        let mut line = [back; WIDTH_MAX];
        let line = &mut line[..cell_width];
        let is_blank = matches!(cell.character, ' ' | '\0');
        let glyph = if is_blank { None } else { Some(self.font.glyph(cell.character)) };
        for within in 0..cell_height {
            if cell.is_underlined && within + 2 == cell_height {
                line.fill(fore);
            } else if let Some(glyph) = &glyph {
                self.line(glyph, within, cell, [fore, back], line);
            } else {
                line.fill(back);
            }
            pixels.put(x, y + within, line);
        }
    }

    /// One row of a cell that has something in it.
    fn line(&self, glyph: &Glyph, y: usize, cell: Cell, [fore, back]: [u32; 2], line: &mut [u32]) {
        let mut coverage = [0; WIDTH_MAX];
        let coverage = &mut coverage[..line.len()];
        self.font.row(glyph, y, coverage);
        for (pixel, covered) in line.iter_mut().zip(coverage) {
            *pixel = match *covered {
                0 => back,
                255 => fore,
                covered => self.mode.pixel(mixed(cell.foreground, cell.background, covered)),
            };
        }
    }

    /// Paints the whole screen in one colour.
    pub fn clear(&self, pixels: &mut impl Pixels, colour: u32) {
        let line = [self.mode.pixel(colour); 64];
        for y in 0..self.mode.height {
            for x in (0..self.mode.width).step_by(line.len()) {
                pixels.put(x, y, &line[..line.len().min(self.mode.width - x)]);
            }
        }
    }
}

/// A colour between two.
pub(crate) fn mixed(fore: u32, back: u32, coverage: u8) -> u32 {
    let coverage = u32::from(coverage);
    let part = |shift: u32| {
        let (fore, back) = (fore >> shift & 0xFF, back >> shift & 0xFF);
        ((fore * coverage + back * (255 - coverage)) / 255) << shift
    };
    part(16) | part(8) | part(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Picture;

    #[test]
    fn colours_mix() {
        assert_eq!(mixed(0xFF_FF00, 0x00_00FF, 255), 0xFF_FF00);
        assert_eq!(mixed(0xFF_FF00, 0x00_00FF, 0), 0x00_00FF);
        assert_eq!(mixed(0xFF_0000, 0x00_0000, 128), 0x80_0000);
    }

    #[test]
    fn a_cell_outside_the_screen_is_not_drawn() {
        let mut picture = Picture::new(100, 50);
        let painter = Painter::new(picture.mode);
        let (columns, rows) = painter.grid();
        painter.draw(&mut picture, columns, 0, Cell::plain('x'));
        painter.draw(&mut picture, 0, rows, Cell::plain('x'));
        assert_eq!(picture.written, 0);
        painter.draw(&mut picture, columns - 1, rows - 1, Cell::plain('x'));
        assert!(picture.written > 0);
    }

    #[test]
    fn a_grid_in_the_middle_keeps_its_distance() {
        let mut picture = Picture::new(1280, 800);
        Painter::centred(picture.mode, 80, 25).draw(
            &mut picture,
            0,
            0,
            Cell::plain('█').reversed(),
        );
        let first = picture.pixels.iter().position(|pixel| *pixel != 0).unwrap();
        assert_eq!((first % 1280, first / 1280), (31 * 9, 7 * 20));
    }

    #[test]
    fn the_whole_screen_is_cleared() {
        let mut picture = Picture::new(101, 7);
        Painter::new(picture.mode).clear(&mut picture, 0x11_2233);
        assert!(picture.pixels.iter().all(|pixel| *pixel == 0x11_2233));
        assert_eq!(picture.written, 707);
    }
}
