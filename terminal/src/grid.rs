//! A grid of cells that scrolls, and draws only what has changed since it was drawn last.

use crate::{Cell, Painter, Pixels};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// Text on a screen.
#[derive(Clone, Debug)]
pub struct Grid {
    columns: usize,
    rows: usize,
    /// What is to be seen, row by row.
    cells: Vec<Cell>,
    /// What the screen shows; `None` for anything.
    shown: Vec<Option<Cell>>,
    /// The rows that may have changed since they were drawn: from, up to.
    changed: (usize, usize),
    /// The cell that was drawn as the cursor.
    cursor: Option<usize>,
}

impl Grid {
    /// An empty grid; nothing is drawn yet.
    pub fn new(columns: usize, rows: usize) -> Self {
        let count = columns * rows;
        Self {
            columns,
            rows,
            cells: vec![Cell::default(); count],
            shown: vec![None; count],
            changed: (0, rows),
            cursor: None,
        }
    }

    /// How many columns there are.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// A cell; one that is not there is blank.
    pub fn get(&self, column: usize, row: usize) -> Cell {
        match column < self.columns && row < self.rows {
            true => self.cells[row * self.columns + column],
            false => Cell::default(),
        }
    }

    /// Changes a cell, if it is there.
    pub fn set(&mut self, column: usize, row: usize, cell: Cell) {
        if column < self.columns && row < self.rows {
            self.cells[row * self.columns + column] = cell;
            self.touch(row, row + 1);
        }
    }

    /// Rows `[from, to)` may have changed.
    fn touch(&mut self, from: usize, to: usize) {
        self.changed = (self.changed.0.min(from), self.changed.1.max(to));
    }

    /// Fills a part of a row.
    pub fn fill(&mut self, row: usize, from: usize, to: usize, cell: Cell) {
        let to = to.min(self.columns);
        if row < self.rows && from < to {
            self.cells[row * self.columns..][from..to].fill(cell);
            self.touch(row, row + 1);
        }
    }

    /// Moves rows `[top, bottom)` up by `count`; what becomes free looks like `blank`.
    pub fn scroll_up(&mut self, top: usize, bottom: usize, count: usize, blank: Cell) {
        let (top, bottom, count) = self.part(top, bottom, count);
        self.touch(top, bottom);
        let range = top * self.columns..bottom * self.columns;
        let part = &mut self.cells[range];
        part.copy_within(count * self.columns.., 0);
        let kept = part.len() - count * self.columns;
        part[kept..].fill(blank);
    }

    /// Moves rows `[top, bottom)` down by `count`.
    pub fn scroll_down(&mut self, top: usize, bottom: usize, count: usize, blank: Cell) {
        let (top, bottom, count) = self.part(top, bottom, count);
        self.touch(top, bottom);
        let range = top * self.columns..bottom * self.columns;
        let part = &mut self.cells[range];
        let kept = part.len() - count * self.columns;
        part.copy_within(..kept, count * self.columns);
        part[..count * self.columns].fill(blank);
    }

    fn part(&self, top: usize, bottom: usize, count: usize) -> (usize, usize, usize) {
        let bottom = bottom.min(self.rows);
        let top = top.min(bottom);
        (top, bottom, count.min(bottom - top))
    }

    /// Moves the cells of a row from column `from` on to the right by `count`, or to the left when
    /// `count` is negative.
    pub fn shift(&mut self, row: usize, from: usize, count: isize, blank: Cell) {
        if row >= self.rows || from >= self.columns {
            return;
        }
        self.touch(row, row + 1);
        let part = &mut self.cells[row * self.columns..][from..self.columns];
        let by = count.unsigned_abs().min(part.len());
        let kept = part.len() - by;
        if count >= 0 {
            part.copy_within(..kept, by);
            part[..by].fill(blank);
        } else {
            part.copy_within(by.., 0);
            part[kept..].fill(blank);
        }
    }

    /// Somebody else drew on the screen: everything has to be drawn again.
    pub fn forget_shown(&mut self) {
        self.shown.fill(None);
        self.changed = (0, self.rows);
    }

    /// Takes over what `other` knows of the screen, which is drawn by this one from now on.
    pub fn adopt_shown(&mut self, other: &mut Self) {
        if other.shown.len() == self.shown.len() {
            self.shown.clone_from(&other.shown);
        }
        self.changed = (0, self.rows);
    }

    /// Draws what has changed; the cell at `cursor` is shown reversed.
    pub fn draw(
        &mut self,
        pixels: &mut impl Pixels,
        painter: &Painter,
        cursor: Option<(usize, usize)>,
    ) {
        let cursor = cursor.map(|(column, row)| row * self.columns + column);
        for at in [self.cursor, cursor].into_iter().flatten() {
            self.touch(at / self.columns, at / self.columns + 1);
        }
        self.cursor = cursor;
        let (from, to) = core::mem::replace(&mut self.changed, (self.rows, 0));
        let cells = from.min(to) * self.columns..to.min(self.rows) * self.columns;
        for at in cells {
            let (cell, shown) = (&self.cells[at], &mut self.shown[at]);
            let cell = if cursor == Some(at) { cell.reversed() } else { *cell };
            if *shown != Some(cell) {
                *shown = Some(cell);
                painter.draw(pixels, at % self.columns, at / self.columns, cell);
            }
        }
    }

    /// The text, a line for each row, without blanks at the ends of lines.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for row in self.cells.chunks_exact(self.columns.max(1)) {
            let line = row.iter().map(|cell| cell.character).filter(|character| *character != '\0');
            let line: String = line.collect();
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Picture;

    fn grid(lines: &[&str]) -> Grid {
        let mut grid = Grid::new(lines[0].len(), lines.len());
        for (row, line) in lines.iter().enumerate() {
            for (column, character) in line.chars().enumerate() {
                grid.set(column, row, Cell::plain(character));
            }
        }
        grid
    }

    #[test]
    fn rows_scroll_within_their_part() {
        let blank = Cell::plain('.');
        let mut up = grid(&["aa", "bb", "cc", "dd"]);
        up.scroll_up(1, 4, 1, blank);
        assert_eq!(up.text(), "aa\ncc\ndd\n..\n");
        up.scroll_down(0, 2, 9, blank);
        assert_eq!(up.text(), "..\n..\ndd\n..\n");
        let mut down = grid(&["aa", "bb", "cc"]);
        down.scroll_down(0, 3, 1, blank);
        assert_eq!(down.text(), "..\naa\nbb\n");
        down.scroll_up(7, 3, 1, blank);
        assert_eq!(down.text(), "..\naa\nbb\n", "a part that is none");
    }

    #[test]
    fn a_row_shifts_both_ways() {
        let blank = Cell::plain('.');
        let mut grid = grid(&["abcd"]);
        grid.shift(0, 1, 1, blank);
        assert_eq!(grid.text(), "a.bc\n");
        grid.shift(0, 1, -2, blank);
        assert_eq!(grid.text(), "ac..\n");
        grid.shift(0, 2, 99, blank);
        grid.shift(0, 9, 1, blank);
        grid.shift(3, 0, 1, blank);
        assert_eq!(grid.text(), "ac..\n");
    }

    #[test]
    fn only_changes_are_drawn() {
        let mut picture = Picture::new(90, 60);
        let painter = Painter::new(picture.mode);
        let (columns, rows) = painter.grid();
        let mut grid = Grid::new(columns, rows);
        grid.draw(&mut picture, &painter, Some((0, 0)));
        let all = picture.written;
        grid.draw(&mut picture, &painter, Some((0, 0)));
        assert_eq!(picture.written, all);
        grid.set(3, 1, Cell::plain('x'));
        grid.draw(&mut picture, &painter, Some((1, 0)));
        assert_eq!(picture.written - all, 3 * all / (columns * rows), "a letter, the cursor twice");
        grid.forget_shown();
        grid.draw(&mut picture, &painter, None);
        assert_eq!(picture.written - all, all + 3 * all / (columns * rows));
    }

    #[test]
    fn places_that_are_not_there_are_ignored() {
        let mut grid = Grid::new(2, 2);
        grid.set(2, 0, Cell::plain('x'));
        grid.set(0, 2, Cell::plain('x'));
        grid.fill(0, 1, 99, Cell::plain('y'));
        grid.fill(5, 0, 1, Cell::plain('z'));
        assert_eq!(grid.text(), " y\n\n");
        assert_eq!(grid.get(7, 7), Cell::default());
    }
}
