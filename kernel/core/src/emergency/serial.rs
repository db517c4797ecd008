//! The picker on a terminal behind a serial line: what has changed is sent, and nothing else.
//!
//! Sending allocates nothing and never waits: what the line does not take now is tried again.

use super::screen::{COLUMNS, Cell, Cells, ROWS, Screen, Style};
use core::fmt;

/// Most bytes waiting to be sent: one row with its colours.
const PENDING: usize = 512;

/// No cell looks like this, so whatever is drawn over it is sent.
const UNKNOWN: Cell = Cell { byte: 0, style: Style::Plain };

/// Select graphic rendition (ECMA-48, 8.3.117).
fn sequence(style: Style) -> &'static str {
    match style {
        Style::Plain => "\x1b[0m",
        Style::Bold => "\x1b[0;1m",
        Style::Reverse => "\x1b[0;7m",
        Style::Red => "\x1b[0;1;31m",
        Style::Green => "\x1b[0;32m",
        Style::Dim => "\x1b[0;2m",
    }
}

/// What the terminal shows, and what is on its way there.
pub struct Serial {
    shown: Cells,
    pending: Bytes,
    is_open: bool,
}

impl Default for Serial {
    fn default() -> Self {
        Self { shown: [[UNKNOWN; COLUMNS]; ROWS], pending: Bytes::default(), is_open: false }
    }
}

impl Serial {
    /// Whether it has the terminal.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// Takes over the terminal: what it shows now comes back with [`Serial::close`].
    pub fn open(&mut self) {
        *self = Self { is_open: true, ..Self::default() };
        // The other screen buffer, cleared, without cursor (xterm control sequences).
        self.pending.add("\x1b[?1049h\x1b[0m\x1b[2J\x1b[?25l");
    }

    /// Gives the terminal back as it was.
    pub fn close(&mut self) {
        self.is_open = false;
        self.pending.add("\x1b[0m\x1b[?25h\x1b[?1049l");
    }

    /// Sends what has changed, as far as `send` takes it. True when all has been sent.
    pub fn show(&mut self, screen: &Screen, mut send: impl FnMut(&[u8]) -> usize) -> bool {
        let cells = screen.cells();
        loop {
            if !self.pending.send(&mut send) {
                return false;
            }
            let changed = (0..ROWS).find(|row| cells[*row] != self.shown[*row]);
            let Some(row) = changed.filter(|_| self.is_open) else { return true };
            self.queue_row(cells, row);
        }
    }

    /// Queues the changed part of a row, as much as there is room for.
    fn queue_row(&mut self, cells: &Cells, row: usize) {
        let (cells, shown) = (&cells[row], &mut self.shown[row]);
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
                self.pending.add(sequence(cell.style));
                style = Some(cell.style);
            }
            self.pending.push(cell.byte);
            shown[column] = cell;
        }
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

    fn sent(serial: &mut Serial, screen: &Screen) -> String {
        let mut bytes = Vec::new();
        let all = serial.show(screen, |piece| {
            bytes.extend_from_slice(piece);
            piece.len()
        });
        assert!(all);
        String::from_utf8(bytes).unwrap()
    }

    fn opened() -> (Serial, Screen) {
        let (mut serial, screen) = (Serial::default(), Screen::default());
        serial.open();
        (serial, screen)
    }

    #[test]
    fn only_what_changed_is_sent() {
        let (mut serial, mut screen) = opened();
        assert!(sent(&mut serial, &screen).contains("\x1b[?1049h"));
        assert_eq!(sent(&mut serial, &screen), "");
        screen.at(3, 10, Style::Bold).text(format_args!("leak"));
        assert_eq!(sent(&mut serial, &screen), "\x1b[4;11H\x1b[0;1mleak");
        screen.at(3, 12, Style::Bold).text(format_args!("ss"));
        assert_eq!(sent(&mut serial, &screen), "\x1b[4;13H\x1b[0;1mss");
        serial.close();
        assert_eq!(sent(&mut serial, &screen), "\x1b[0m\x1b[?25h\x1b[?1049l");
    }

    #[test]
    fn a_slow_terminal_gets_everything_in_the_end() {
        let (mut serial, mut screen) = opened();
        (0..ROWS).for_each(|row| screen.at(row, 0, Style::Red).text(format_args!("{row:>80}")));
        let whole = sent(&mut opened().0, &screen);
        let mut bytes = Vec::new();
        while !serial.show(&screen, |piece| {
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
}
