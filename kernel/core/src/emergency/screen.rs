//! The picker's screen: a grid of 80 columns and 25 rows, drawn into memory.
//!
//! It knows nothing of where it is shown: [`super::serial`] sends it to a terminal, and whatever
//! else has a picture of it looks at [`Screen::cells`]. Everything has its place from boot on:
//! drawing allocates nothing. Only printable ASCII gets onto it, whatever a program calls itself.

use core::fmt;

/// Columns.
pub const COLUMNS: usize = 80;
/// Rows.
pub const ROWS: usize = 25;

/// How a character looks. What it means is always written out as well.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Style {
    /// As the terminal has it.
    #[default]
    Plain,
    /// Stands out.
    Bold,
    /// Background and foreground exchanged.
    Reverse,
    /// A warning.
    Red,
    /// Good news.
    Green,
    /// Not important.
    Dim,
}

/// One character with its look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell {
    /// Printable ASCII.
    pub byte: u8,
    /// How it looks.
    pub style: Style,
}

const BLANK: Cell = Cell { byte: b' ', style: Style::Plain };

/// The whole grid, row by row.
pub type Cells = [[Cell; COLUMNS]; ROWS];

/// What is to be seen.
pub struct Screen {
    cells: Cells,
}

impl Default for Screen {
    fn default() -> Self {
        Self { cells: [[BLANK; COLUMNS]; ROWS] }
    }
}

impl Screen {
    /// Draws on row `row` from column `column` on.
    pub fn at(&mut self, row: usize, column: usize, style: Style) -> Pen<'_> {
        Pen { row: &mut self.cells[row], column, style }
    }

    /// Makes a whole row blank.
    pub fn clear_row(&mut self, row: usize) {
        self.cells[row] = [BLANK; COLUMNS];
    }

    /// Makes a whole row look so, its text left as it is.
    pub fn paint_row(&mut self, row: usize, style: Style) {
        self.cells[row].iter_mut().for_each(|cell| cell.style = style);
    }

    /// A row's text, without trailing blanks.
    pub fn text(&self, row: usize) -> alloc::string::String {
        let text: alloc::string::String =
            self.cells[row].iter().map(|cell| cell.byte as char).collect();
        alloc::string::String::from(text.trim_end())
    }

    /// The grid as it is now.
    pub fn cells(&self) -> &Cells {
        &self.cells
    }
}

/// Writes into one row. What does not fit is cut off; what is not printable ASCII becomes `?`.
pub struct Pen<'a> {
    row: &'a mut [Cell; COLUMNS],
    column: usize,
    style: Style,
}

impl Pen<'_> {
    /// Writes bytes from who knows where.
    pub fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let Some(cell) = self.row.get_mut(self.column) else { return };
            let byte = if matches!(byte, b' '..=b'~') { *byte } else { b'?' };
            *cell = Cell { byte, style: self.style };
            self.column += 1;
        }
    }

    /// Writes text.
    pub fn text(&mut self, text: fmt::Arguments<'_>) {
        // A pen takes everything.
        let _ = fmt::Write::write_fmt(self, text);
    }
}

impl fmt::Write for Pen<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_inside_their_row() {
        let mut screen = Screen::default();
        let mut pen = screen.at(1, 70, Style::Plain);
        pen.bytes(b"\x1b[2J\r\n\xff and a lot more");
        assert_eq!(screen.text(1).trim_start(), "?[2J??? an");
        assert_eq!(screen.text(2), "");
    }
}
