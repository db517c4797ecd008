//! Text straight onto the screen, for when nothing else works any more: a panic.
//!
//! Remembers a position and nothing else, so it needs no memory. Text runs down the screen and goes
//! on in a second column beside the first; when that is full, the rest is not shown.

use crate::font::SMALL;
use crate::{Cell, Mode, Painter, Pixels};
use core::fmt;

/// Characters of a line; longer ones go on in the next.
const LINE: usize = 88;

/// A screen that is being written on.
pub struct Sheet<P> {
    pixels: P,
    painter: Painter,
    look: Cell,
    /// The columns of text, and which one this is.
    columns: usize,
    column: usize,
    rows: usize,
    width: usize,
    at: usize,
    row: usize,
}

impl<P: Pixels> Sheet<P> {
    /// A screen cleared to the background of `look`.
    pub fn new(mut pixels: P, mode: Mode, look: Cell) -> Self {
        let painter = Painter::with_font(mode, SMALL);
        painter.clear(&mut pixels, look.background);
        let (all, rows) = painter.grid();
        let width = LINE.min(all);
        let columns = all.checked_div(width).unwrap_or(0);
        Self { pixels, painter, look, columns, column: 0, rows, width, at: 0, row: 0 }
    }

    fn put(&mut self, character: char) {
        if character == '\n' {
            return self.feed();
        }
        if self.at == self.width {
            self.feed();
        }
        if self.column < self.columns {
            let cell = Cell { character, ..self.look };
            let column = self.column * self.width + self.at;
            self.painter.draw(&mut self.pixels, column, self.row, cell);
        }
        self.at += 1;
    }

    fn feed(&mut self) {
        self.at = 0;
        self.row += 1;
        if self.row >= self.rows {
            self.row = 0;
            self.column = (self.column + 1).min(self.columns);
        }
    }
}

impl<P: Pixels> fmt::Write for Sheet<P> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().for_each(|character| self.put(character));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read;
    use crate::tests::Picture;
    use core::fmt::Write as _;

    impl Pixels for &mut Picture {
        fn put(&mut self, x: usize, y: usize, pixels: &[u32]) {
            Pixels::put(*self, x, y, pixels);
        }
    }

    #[test]
    fn text_goes_on_in_the_second_column_and_then_is_lost() {
        let mut picture = Picture::new(1280, 80);
        let mode = picture.mode;
        let mut sheet = Sheet::new(&mut picture, mode, Cell::plain(' '));
        for line in 1..20 {
            writeln!(sheet, "line {line}").unwrap();
        }
        let text = read::text(&picture.pixels, 1280, 80, SMALL);
        let first = alloc::format!("{:88}line 6", "line 1");
        assert_eq!(text.lines().next().unwrap().trim_end(), first);
        assert!(text.contains("line 10") && !text.contains("line 11"), "{text}");
    }

    #[test]
    fn a_long_line_goes_on_below() {
        let mut picture = Picture::new(640, 80);
        let mode = picture.mode;
        let mut sheet = Sheet::new(&mut picture, mode, Cell::plain(' '));
        write!(sheet, "{}end", "x".repeat(88)).unwrap();
        let text = read::text(&picture.pixels, 640, 80, SMALL);
        assert_eq!(text.lines().nth(1).unwrap().trim_end(), "end");
    }

    #[test]
    fn a_screen_too_small_for_text_shows_none() {
        let mut picture = Picture::new(3, 3);
        let mode = picture.mode;
        writeln!(Sheet::new(&mut picture, mode, Cell::plain(' ')), "text").unwrap();
    }
}
