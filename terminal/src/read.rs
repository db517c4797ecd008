//! Reading a picture of text: for tests, which compare a screenshot with what is expected.
//!
//! A cell is the character whose glyph, in some pair of colours, gives its pixels. The background
//! is what the glyph leaves uncovered, the foreground is worked out from where it covers most.

use crate::font::{HEIGHT_MAX, WIDTH_MAX};
use crate::{Font, cell};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// What stands for a cell that is no character.
pub const UNKNOWN: char = '\u{FFFD}';

/// Colours that differ by no more than this in each part are the same.
const TOLERANCE: u32 = 3;

struct Glyph {
    character: char,
    coverage: Vec<u8>,
}

/// The text in a picture of `width` times `height` pixels as 0x00RRGGBB, a line for each row.
pub fn text(pixels: &[u32], width: usize, height: usize, font: Font) -> String {
    let glyphs = glyphs(font);
    let mut known: BTreeMap<Vec<u32>, char> = BTreeMap::new();
    let (columns, rows) = font.grid(width, height);
    let mut text = String::new();
    for row in 0..rows {
        let mut line = String::new();
        for column in 0..columns {
            let cell = cut(pixels, width, column, row, font);
            let found = known.get(&cell).copied();
            let character = found.unwrap_or_else(|| recognise(&cell, &glyphs));
            line.push(character);
            known.insert(cell, character);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn glyphs(font: Font) -> Vec<Glyph> {
    let drawn = ('!'..='~').chain('\u{A1}'..='\u{FF}').chain("─│┌┐└┘├┤┬┴┼".chars());
    let size = font.cell_width * font.cell_height;
    debug_assert!(size <= WIDTH_MAX * HEIGHT_MAX);
    let glyph = |character| {
        let look = font.glyph(character);
        let mut coverage = vec![0; size];
        for (y, row) in coverage.chunks_exact_mut(font.cell_width).enumerate() {
            font.row(&look, y, row);
        }
        Glyph { character, coverage }
    };
    drawn.filter(|character| font.has(*character)).map(glyph).collect()
}

fn cut(pixels: &[u32], width: usize, column: usize, row: usize, font: Font) -> Vec<u32> {
    let corner = row * font.cell_height * width + column * font.cell_width;
    (0..font.cell_height)
        .flat_map(|y| &pixels[corner + y * width..][..font.cell_width])
        .copied()
        .collect()
}

fn recognise(cell: &[u32], glyphs: &[Glyph]) -> char {
    if cell.iter().all(|pixel| *pixel == cell[0]) {
        return ' ';
    }
    let found = glyphs.iter().find(|glyph| shows(cell, &glyph.coverage));
    found.map_or(UNKNOWN, |glyph| glyph.character)
}

/// Whether some pair of colours makes the glyph this cell.
fn shows(cell: &[u32], coverage: &[u8]) -> bool {
    let Some(bare) = coverage.iter().position(|covered| *covered == 0) else { return false };
    let most = coverage.iter().enumerate().max_by_key(|(_, covered)| **covered);
    let Some((most, &covered)) = most.filter(|(_, covered)| **covered > 0) else { return false };
    let back = cell[bare];
    let fore = unmixed(cell[most], back, covered);
    let is_same = |(pixel, covered): (&u32, &u8)| {
        let wanted = cell::mixed(fore, back, *covered);
        parts(*pixel).zip(parts(wanted)).all(|(one, other)| one.abs_diff(other) <= TOLERANCE)
    };
    cell.iter().zip(coverage).all(is_same)
}

/// The foreground that, covering so much of `back`, gives `pixel`.
fn unmixed(pixel: u32, back: u32, covered: u8) -> u32 {
    let covered = u32::from(covered);
    let part = |(pixel, back): (u32, u32)| {
        ((pixel * 255).saturating_sub(back * (255 - covered)) / covered).min(255)
    };
    parts(pixel).zip(parts(back)).map(part).fold(0, |colour, part| colour << 8 | part)
}

fn parts(colour: u32) -> impl Iterator<Item = u32> {
    [16, 8, 0].into_iter().map(move |shift| colour >> shift & 0xFF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::font::{LARGE, SMALL};
    use crate::tests::Picture;
    use crate::{Cell, Grid, Painter};

    /// Draws text, and reads it.
    fn back(font: Font, lines: &str, look: Cell) -> String {
        let mut picture = Picture::new(font.cell_width * 100, font.cell_height * 5);
        let painter = Painter::with_font(picture.mode, font);
        let mut grid = Grid::new(100, 5);
        for (row, line) in lines.lines().enumerate() {
            for (column, character) in line.chars().enumerate() {
                grid.set(column, row, Cell { character, ..look });
            }
        }
        grid.draw(&mut picture, &painter, None);
        text(&picture.pixels, picture.mode.width, picture.mode.height, font)
    }

    #[test]
    fn what_is_drawn_can_be_read() {
        let all: String = (' '..='~').collect();
        let lines = alloc::format!("{all}\nöäüÖÄÜß éèñ\n┌──┬─┐│├┤┼└┴┘\n");
        let looks = [(0xFF_FFFF, 0), (0, 0xD0_D0D0), (0xCD_3131, 0x24_72C8), (0x66_6666, 0)];
        for font in [SMALL, LARGE] {
            for (foreground, background) in looks {
                let look = Cell { foreground, background, ..Cell::default() };
                let read = back(font, &lines, look);
                assert!(
                    read.starts_with(lines.trim_start_matches(' ')) || read.starts_with(&lines),
                    "{read}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_text_is_not_read_as_text() {
        let pixels: Vec<u32> = (0..9 * 20).map(|at| (at * 0x01_0305) & 0xFF_FFFF).collect();
        assert_eq!(text(&pixels, 9, 20, LARGE), "\u{FFFD}\n");
    }
}
