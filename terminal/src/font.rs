//! Noto Sans Mono in two sizes, and the lines that frames are made of, which it lacks.
//!
//! A glyph is a coverage of 0 to 255 for each pixel of a cell.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

/// The widest and the highest cell.
pub const WIDTH_MAX: usize = 9;
/// See [`WIDTH_MAX`].
pub const HEIGHT_MAX: usize = 20;

/// The smallest grid that the larger size is used for.
const COMFORT: (usize, usize) = (80, 25);

/// A size of the font.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Font {
    height: RasterHeight,
    /// Pixels from one character to the next.
    pub cell_width: usize,
    /// Pixels from one line to the next.
    pub cell_height: usize,
}

/// How a character looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyph {
    /// The coverage of every pixel, row by row.
    Picture(&'static [u8]),
    /// A frame's lines, from the cell's middle up, right, down, left.
    Line([bool; 4]),
    /// A box, for what the font lacks.
    Box,
}

/// The small size: most text on a screen.
pub const SMALL: Font = Font::new(RasterHeight::Size16);
/// The size to read comfortably.
pub const LARGE: Font = Font::new(RasterHeight::Size20);

impl Font {
    const fn new(height: RasterHeight) -> Self {
        let cell_width = get_raster_width(FontWeight::Regular, height);
        Self { height, cell_width, cell_height: height.val() }
    }

    /// The larger size, if 80 columns and 25 rows of it fit.
    pub fn for_size(width: usize, height: usize) -> Self {
        let fits = |font: &Font| {
            let (columns, rows) = font.grid(width, height);
            columns >= COMFORT.0 && rows >= COMFORT.1
        };
        if fits(&LARGE) { LARGE } else { SMALL }
    }

    /// Columns and rows on a screen of this size.
    pub fn grid(&self, width: usize, height: usize) -> (usize, usize) {
        (width / self.cell_width, height / self.cell_height)
    }

    /// How a character looks. One that the font lacks is a box.
    pub fn glyph(&self, character: char) -> Glyph {
        match (get_raster(character, FontWeight::Regular, self.height), arms(character)) {
            (Some(raster), _) => Glyph::Picture(raster.pixels()),
            (None, Some(arms)) => Glyph::Line(arms),
            (None, None) => Glyph::Box,
        }
    }

    /// Writes a row of a glyph into `coverage`, which is as wide as a cell.
    pub fn row(&self, glyph: &Glyph, y: usize, coverage: &mut [u8]) {
        match glyph {
            Glyph::Picture(pixels) => {
                coverage.copy_from_slice(&pixels[y * self.cell_width..][..self.cell_width]);
            }
            Glyph::Line(arms) => self.line(*arms, y, coverage),
            Glyph::Box => self.unknown(y, coverage),
        }
    }

    /// Whether the font has a picture of a character.
    pub fn has(&self, character: char) -> bool {
        arms(character).is_some()
            || get_raster(character, FontWeight::Regular, self.height).is_some()
    }

    fn line(&self, [up, right, down, left]: [bool; 4], y: usize, coverage: &mut [u8]) {
        let (middle_x, middle_y) = (self.cell_width / 2, self.cell_height / 2);
        for (x, value) in coverage.iter_mut().enumerate() {
            let is_vertical = x == middle_x && (up && y <= middle_y || down && y >= middle_y);
            let is_level = y == middle_y && (left && x <= middle_x || right && x >= middle_x);
            *value = if is_vertical || is_level { 255 } else { 0 };
        }
    }

    fn unknown(&self, y: usize, coverage: &mut [u8]) {
        let (top, bottom) = (self.cell_height / 5, self.cell_height * 4 / 5);
        let last = self.cell_width - 2;
        for (x, value) in coverage.iter_mut().enumerate() {
            let is_level = (y == top || y == bottom) && (1..=last).contains(&x);
            let is_side = (top..=bottom).contains(&y) && (x == 1 || x == last);
            *value = if is_level || is_side { 255 } else { 0 };
        }
    }
}

/// Where the line of a frame character leads from the cell's middle: up, right, down, left.
fn arms(character: char) -> Option<[bool; 4]> {
    let arms = match character {
        '─' | '━' | '═' => 0b0101,
        '│' | '┃' | '║' => 0b1010,
        '┌' | '╔' | '╭' => 0b0110,
        '┐' | '╗' | '╮' => 0b0011,
        '└' | '╚' | '╰' => 0b1100,
        '┘' | '╝' | '╯' => 0b1001,
        '├' | '╠' => 0b1110,
        '┤' | '╣' => 0b1011,
        '┬' | '╦' => 0b0111,
        '┴' | '╩' => 0b1101,
        '┼' | '╬' => 0b1111,
        _ => return None,
    };
    Some([8, 4, 2, 1].map(|bit| arms & bit != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sizes_fit_the_largest_cell() {
        for font in [SMALL, LARGE] {
            assert!(font.cell_width <= WIDTH_MAX && font.cell_height <= HEIGHT_MAX);
            for character in (' '..='~').chain("äÖßéñ─│┌┼".chars()) {
                assert!(font.has(character), "{character}");
            }
        }
    }

    #[test]
    fn the_size_follows_the_screen() {
        assert_eq!(Font::for_size(1280, 800), LARGE);
        assert_eq!(Font::for_size(720, 500), LARGE);
        assert_eq!(Font::for_size(640, 480), SMALL);
        assert_eq!(SMALL.grid(640, 480), (91, 30));
    }

    #[test]
    fn frames_join() {
        let middle = |character| {
            let mut coverage = [0; WIDTH_MAX];
            LARGE.row(&LARGE.glyph(character), LARGE.cell_height / 2, &mut coverage);
            (coverage[0], coverage[WIDTH_MAX - 1])
        };
        assert_eq!(middle('─'), (255, 255));
        assert_eq!(middle('┌'), (0, 255));
        assert_eq!(middle('┤'), (255, 0));
    }
}
