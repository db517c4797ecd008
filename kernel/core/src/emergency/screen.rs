//! The picker's screen: 80 columns, 25 rows, drawn into memory and sent as differences.
//!
//! Everything here has its place from boot on: drawing and sending allocate nothing. Only
//! printable ASCII gets onto it, whatever a program calls itself.

use core::fmt;

/// Columns.
pub const COLUMNS: usize = 80;
/// Rows.
pub const ROWS: usize = 25;
/// Most bytes waiting to be sent: one row with its colours.
const PENDING: usize = 512;

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

impl Style {
    /// Select graphic rendition (ECMA-48, 8.3.117).
    fn sequence(self) -> &'static str {
        match self {
            Style::Plain => "\x1b[0m",
            Style::Bold => "\x1b[0;1m",
            Style::Reverse => "\x1b[0;7m",
            Style::Red => "\x1b[0;1;31m",
            Style::Green => "\x1b[0;32m",
            Style::Dim => "\x1b[0;2m",
        }
    }
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
/// No cell looks like this, so whatever is drawn over it is sent.
const UNKNOWN: Cell = Cell { byte: 0, style: Style::Plain };

type Rows = [[Cell; COLUMNS]; ROWS];

/// What is to be seen, and what the terminal shows.
pub struct Screen {
    cells: Rows,
    shown: Rows,
    pending: Bytes,
    is_open: bool,
}

impl Default for Screen {
    fn default() -> Self {
        Self {
            cells: [[BLANK; COLUMNS]; ROWS],
            shown: [[UNKNOWN; COLUMNS]; ROWS],
            pending: Bytes::default(),
            is_open: false,
        }
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

    /// Whether it has the terminal.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Takes over the terminal: what it shows now comes back with [`Screen::close`].
    pub fn open(&mut self) {
        *self = Self::default();
        self.is_open = true;
        // The other screen buffer, cleared, without cursor (xterm control sequences).
        self.pending.add("\x1b[?1049h\x1b[0m\x1b[2J\x1b[?25l");
    }

    /// Gives the terminal back as it was.
    pub fn close(&mut self) {
        self.is_open = false;
        self.pending.add("\x1b[0m\x1b[?25h\x1b[?1049l");
    }

    /// Sends what has changed, as far as `send` takes it. True when all has been sent.
    pub fn show(&mut self, mut send: impl FnMut(&[u8]) -> usize) -> bool {
        loop {
            if !self.pending.send(&mut send) {
                return false;
            }
            let changed = (0..ROWS).find(|row| self.cells[*row] != self.shown[*row]);
            let Some(row) = changed.filter(|_| self.is_open) else { return true };
            self.queue_row(row);
        }
    }

    /// Queues the changed part of a row, as much as there is room for.
    fn queue_row(&mut self, row: usize) {
        let (cells, shown) = (&self.cells[row], &mut self.shown[row]);
        let differs = |column: &usize| cells[*column] != shown[*column];
        let Some(first) = (0..COLUMNS).find(differs) else { return };
        let last = (first..COLUMNS).rfind(differs).unwrap_or(first);
        // Cursor position, counted from 1 (ECMA-48, 8.3.21). Writing cannot fail: the rest is cut
        // off when the queue is full, and that cannot be, since it was empty.
        let _ = fmt::Write::write_fmt(
            &mut self.pending,
            format_args!("\x1b[{};{}H", row + 1, first + 1),
        );
        let mut style = None;
        for column in first..=last {
            if self.pending.room() < 16 {
                break;
            }
            let cell = cells[column];
            if style != Some(cell.style) {
                self.pending.add(cell.style.sequence());
                style = Some(cell.style);
            }
            self.pending.push(cell.byte);
            shown[column] = cell;
        }
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

/// Bytes on their way.
struct Bytes {
    bytes: [u8; PENDING],
    start: usize,
    end: usize,
}

impl Default for Bytes {
    fn default() -> Self {
        Self { bytes: [0; PENDING], start: 0, end: 0 }
    }
}

impl Bytes {
    fn room(&self) -> usize {
        PENDING - self.end
    }

    fn push(&mut self, byte: u8) {
        if self.end < PENDING {
            self.bytes[self.end] = byte;
            self.end += 1;
        }
    }

    fn add(&mut self, text: &str) {
        text.bytes().for_each(|byte| self.push(byte));
    }

    /// True when everything has gone.
    fn send(&mut self, send: &mut impl FnMut(&[u8]) -> usize) -> bool {
        while self.start < self.end {
            let taken = send(&self.bytes[self.start..self.end]);
            if taken == 0 {
                return false;
            }
            self.start += taken;
        }
        (self.start, self.end) = (0, 0);
        true
    }
}

impl fmt::Write for Bytes {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.add(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;

    fn sent(screen: &mut Screen) -> String {
        let mut bytes = Vec::new();
        let all = screen.show(|piece| {
            bytes.extend_from_slice(piece);
            piece.len()
        });
        assert!(all);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn only_what_changed_is_sent() {
        let mut screen = Screen::default();
        screen.open();
        assert!(sent(&mut screen).contains("\x1b[?1049h"));
        assert_eq!(sent(&mut screen), "");
        screen.at(3, 10, Style::Bold).text(format_args!("leak"));
        assert_eq!(sent(&mut screen), "\x1b[4;11H\x1b[0;1mleak");
        screen.at(3, 12, Style::Bold).text(format_args!("ss"));
        assert_eq!(sent(&mut screen), "\x1b[4;13H\x1b[0;1mss");
        screen.close();
        assert_eq!(sent(&mut screen), "\x1b[0m\x1b[?25h\x1b[?1049l");
    }

    #[test]
    fn hostile_names_stay_inside_their_row() {
        let mut screen = Screen::default();
        screen.open();
        sent(&mut screen);
        let mut pen = screen.at(1, 70, Style::Plain);
        pen.bytes(b"\x1b[2J\r\n\xff and a lot more");
        assert_eq!(screen.text(1).trim_start(), "?[2J??? an");
        assert!(!sent(&mut screen)[6..].contains('\n'));
    }

    #[test]
    fn a_slow_terminal_gets_everything_in_the_end() {
        let mut screen = Screen::default();
        screen.open();
        (0..ROWS).for_each(|row| screen.at(row, 0, Style::Red).text(format_args!("{row:>80}")));
        let whole = sent(&mut Screen { is_open: true, ..clone_of(&screen) });
        let mut bytes = Vec::new();
        while !screen.show(|piece| {
            let count = if bytes.len() % 3 == 2 { 0 } else { piece.len().min(2) };
            bytes.extend_from_slice(&piece[..count]);
            if count == 0 {
                bytes.push(b'#');
            }
            count
        }) {}
        let text: String = String::from_utf8(bytes).unwrap().replace('#', "");
        assert_eq!(text, whole);
    }

    fn clone_of(screen: &Screen) -> Screen {
        let mut copy = Screen { cells: screen.cells, ..Screen::default() };
        copy.pending.add("\x1b[?1049h\x1b[0m\x1b[2J\x1b[?25l");
        copy
    }
}
