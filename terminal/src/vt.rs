//! The terminal itself: bytes in, text on a [`Grid`] out. A VT100 with colours (ECMA-48), as far
//! as programs for `TERM=xterm` use it: `vte` takes the stream apart, this gives it a meaning.
//!
//! It answers no questions: whoever asks for the cursor's position is told by the terminal at the
//! other end of the serial line, if there is one.

use crate::{Cell, Grid, Painter, Pixels, colour};
use unicode_width::UnicodeWidthChar as _;
use vte::{Params, Parser, Perform};

/// Columns between tab stops.
const TAB: usize = 8;

/// A terminal with its screen.
pub struct Vt {
    parser: Parser,
    page: Page,
}

impl Vt {
    /// An empty screen. When it is full, it makes room for `jump` lines at once: more than one
    /// saves drawing where nobody watches every line.
    pub fn new(columns: usize, rows: usize, jump: usize) -> Self {
        Self { parser: Parser::new(), page: Page::new(columns.max(1), rows.max(1), jump.max(1)) }
    }

    /// Takes what a program wrote.
    pub fn write(&mut self, bytes: &[u8]) {
        self.parser.advance(&mut self.page, bytes);
    }

    /// Draws what has changed.
    pub fn draw(&mut self, pixels: &mut impl Pixels, painter: &Painter) {
        let cursor = self.page.has_cursor.then(|| self.page.visible_cursor());
        self.page.grid.draw(pixels, painter, cursor);
    }

    /// Somebody else drew on the screen.
    pub fn forget_shown(&mut self) {
        self.page.grid.forget_shown();
    }

    /// The text on the screen, a line for each row.
    pub fn text(&self) -> alloc::string::String {
        self.page.grid.text()
    }

    /// Where the cursor is: column and row.
    pub fn cursor(&self) -> (usize, usize) {
        self.page.visible_cursor()
    }
}

/// What characters look like from here on.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Look {
    foreground: Colour,
    background: Colour,
    is_bold: bool,
    is_dim: bool,
    is_underlined: bool,
    is_reversed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Colour {
    Usual,
    /// One of the sixteen.
    Ansi(u8),
    /// 0x00RRGGBB.
    Exact(u32),
}

impl Look {
    const PLAIN: Self = Self {
        foreground: Colour::Usual,
        background: Colour::Usual,
        is_bold: false,
        is_dim: false,
        is_underlined: false,
        is_reversed: false,
    };

    fn cell(self, character: char) -> Cell {
        let foreground = match self.foreground {
            Colour::Usual if self.is_dim => colour::ANSI[8],
            Colour::Usual if self.is_bold => colour::ANSI[15],
            Colour::Usual => colour::TEXT,
            Colour::Ansi(number) if self.is_bold && number < 8 => {
                colour::ANSI[usize::from(number) + 8]
            }
            Colour::Ansi(number) => colour::ANSI[usize::from(number & 15)],
            Colour::Exact(exact) => exact,
        };
        let background = match self.background {
            Colour::Usual => colour::BACKGROUND,
            Colour::Ansi(number) => colour::ANSI[usize::from(number & 15)],
            Colour::Exact(exact) => exact,
        };
        let cell = Cell { character, foreground, background, is_underlined: self.is_underlined };
        if self.is_reversed { cell.reversed() } else { cell }
    }
}

/// What ESC 7 keeps and ESC 8 brings back.
#[derive(Clone, Copy)]
struct Saved {
    column: usize,
    row: usize,
    look: Look,
}

/// The screen and everything that decides where the next character goes.
struct Page {
    grid: Grid,
    /// The screen beside which a full-screen program draws.
    other: Option<Grid>,
    jump: usize,
    /// May be one past the last column: the next character then goes to the next line.
    column: usize,
    row: usize,
    look: Look,
    saved: Saved,
    /// The rows that scroll: from, up to.
    region: (usize, usize),
    wraps: bool,
    has_cursor: bool,
}

impl Page {
    fn new(columns: usize, rows: usize, jump: usize) -> Self {
        let saved = Saved { column: 0, row: 0, look: Look::PLAIN };
        Self {
            grid: Grid::new(columns, rows),
            other: None,
            jump: jump.min(rows),
            column: 0,
            row: 0,
            look: Look::PLAIN,
            saved,
            region: (0, rows),
            wraps: true,
            has_cursor: true,
        }
    }

    fn columns(&self) -> usize {
        self.grid.columns()
    }

    fn rows(&self) -> usize {
        self.grid.rows()
    }

    fn blank(&self) -> Cell {
        Look { background: self.look.background, ..Look::PLAIN }.cell(' ')
    }

    fn visible_cursor(&self) -> (usize, usize) {
        (self.column.min(self.columns() - 1), self.row)
    }

    fn go_to(&mut self, column: usize, row: usize) {
        self.column = column.min(self.columns() - 1);
        self.row = row.min(self.rows() - 1);
    }

    /// Down a line; at the end of the scrolling part that moves up.
    fn feed(&mut self) {
        if self.row + 1 == self.region.1 {
            let jump = if self.region == (0, self.rows()) { self.jump } else { 1 };
            self.grid.scroll_up(self.region.0, self.region.1, jump, self.blank());
            self.row -= jump - 1;
        } else if self.row + 1 < self.rows() {
            self.row += 1;
        }
    }

    /// Up a line; at the top of the scrolling part that moves down.
    fn feed_back(&mut self) {
        if self.row == self.region.0 {
            self.grid.scroll_down(self.region.0, self.region.1, 1, self.blank());
        } else {
            self.row = self.row.saturating_sub(1);
        }
    }

    fn erase_line(&mut self, what: usize) {
        let (column, row) = self.visible_cursor();
        let (from, to) = match what {
            0 => (column, self.columns()),
            1 => (0, column + 1),
            2 => (0, self.columns()),
            _ => return,
        };
        self.grid.fill(row, from, to, self.blank());
    }

    fn erase_screen(&mut self, what: usize) {
        let rows = match what {
            0 => self.row + 1..self.rows(),
            1 => 0..self.row,
            2 | 3 => 0..self.rows(),
            _ => return,
        };
        for row in rows {
            self.grid.fill(row, 0, self.columns(), self.blank());
        }
        if what < 2 {
            self.erase_line(what);
        }
    }

    /// Lines put in or taken out at the cursor.
    fn move_lines(&mut self, count: usize, is_down: bool) {
        if !(self.region.0..self.region.1).contains(&self.row) {
            return;
        }
        let (top, bottom, blank) = (self.row, self.region.1, self.blank());
        match is_down {
            true => self.grid.scroll_down(top, bottom, count, blank),
            false => self.grid.scroll_up(top, bottom, count, blank),
        }
        self.column = 0;
    }

    fn save(&mut self) {
        self.saved = Saved { column: self.column, row: self.row, look: self.look };
    }

    fn restore(&mut self) {
        let Saved { column, row, look } = self.saved;
        self.go_to(column, row);
        self.look = look;
    }

    /// The screen for full-screen programs, or back from it.
    fn use_other(&mut self, is_on: bool) {
        match (is_on, self.other.take()) {
            (true, None) => {
                let mut fresh = Grid::new(self.columns(), self.rows());
                fresh.adopt_shown(&mut self.grid);
                self.other = Some(core::mem::replace(&mut self.grid, fresh));
            }
            (false, Some(mut first)) => {
                first.adopt_shown(&mut self.grid);
                self.grid = first;
            }
            (_, other) => self.other = other,
        }
    }

    fn set_mode(&mut self, number: u16, is_on: bool) {
        match number {
            7 => self.wraps = is_on,
            25 => self.has_cursor = is_on,
            47 | 1047 => self.use_other(is_on),
            1049 if is_on => {
                self.save();
                self.use_other(true);
                self.go_to(0, 0);
            }
            1049 => {
                self.use_other(false);
                self.restore();
            }
            _ => {}
        }
    }

    /// Colours and the like (SGR).
    fn set_look(&mut self, params: &Params) {
        let mut params = params.iter();
        while let Some(param) = params.next() {
            let look = &mut self.look;
            match param[0] {
                0 => *look = Look::PLAIN,
                1 => look.is_bold = true,
                2 => look.is_dim = true,
                4 => look.is_underlined = true,
                7 => look.is_reversed = true,
                22 => (look.is_bold, look.is_dim) = (false, false),
                24 => look.is_underlined = false,
                27 => look.is_reversed = false,
                number @ 30..=37 => look.foreground = Colour::Ansi(number as u8 - 30),
                39 => look.foreground = Colour::Usual,
                number @ 40..=47 => look.background = Colour::Ansi(number as u8 - 40),
                49 => look.background = Colour::Usual,
                number @ 90..=97 => look.foreground = Colour::Ansi(number as u8 - 82),
                number @ 100..=107 => look.background = Colour::Ansi(number as u8 - 92),
                which @ (38 | 48) => {
                    let chosen = match param.get(1..) {
                        Some(rest @ [_, ..]) => chosen(&mut rest.iter().copied()),
                        _ => chosen(&mut params.by_ref().map(|param| param[0])),
                    };
                    let Some(chosen) = chosen else { continue };
                    match which {
                        38 => look.foreground = chosen,
                        _ => look.background = chosen,
                    }
                }
                _ => {}
            }
        }
    }
}

/// A colour as 38 and 48 name it: `5;N` of 256, or `2;R;G;B`.
fn chosen(numbers: &mut dyn Iterator<Item = u16>) -> Option<Colour> {
    match numbers.next()? {
        5 => Some(of_256(numbers.next()?.min(255) as u8)),
        2 => {
            let mut part = || Some(u32::from(numbers.next()?.min(255)));
            Some(Colour::Exact(part()? << 16 | part()? << 8 | part()?))
        }
        _ => None,
    }
}

/// xterm's palette: the sixteen, a cube of six steps, 24 greys.
fn of_256(number: u8) -> Colour {
    match number {
        0..=15 => Colour::Ansi(number),
        16..=231 => {
            let at = u32::from(number) - 16;
            let step = |step: u32| if step == 0 { 0 } else { 55 + 40 * step };
            Colour::Exact(step(at / 36) << 16 | step(at / 6 % 6) << 8 | step(at % 6))
        }
        232..=255 => Colour::Exact((8 + 10 * (u32::from(number) - 232)) * 0x01_0101),
    }
}

impl Perform for Page {
    fn print(&mut self, character: char) {
        // Marks that join the character before them are not shown.
        let width = character.width().unwrap_or(0).min(self.columns());
        if width == 0 {
            return;
        }
        if self.column + width > self.columns() {
            if self.wraps {
                self.column = 0;
                self.feed();
            } else {
                self.column = self.columns() - width;
            }
        }
        self.grid.set(self.column, self.row, self.look.cell(character));
        if width == 2 {
            self.grid.set(self.column + 1, self.row, self.look.cell('\0'));
        }
        self.column += width;
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            0x08 => self.column = self.visible_cursor().0.saturating_sub(1),
            b'\t' => {
                let next = (self.column / TAB + 1) * TAB;
                self.column = next.min(self.columns() - 1);
            }
            b'\n' | 0x0B | 0x0C => self.feed(),
            b'\r' => self.column = 0,
            _ => {}
        }
    }

    fn csi_dispatch(&mut self, params: &Params, marks: &[u8], _ignore: bool, action: char) {
        let number = |index: usize| params.iter().nth(index).map_or(0, |param| param[0]);
        let count = |index: usize| usize::from(number(index)).max(1);
        let (column, row) = self.visible_cursor();
        match (marks, action) {
            ([b'?'], 'h' | 'l') => {
                params.iter().for_each(|param| self.set_mode(param[0], action == 'h'));
            }
            ([], 'A') => self.go_to(column, row.saturating_sub(count(0))),
            ([], 'B' | 'e') => self.go_to(column, row + count(0)),
            ([], 'C' | 'a') => self.go_to(column + count(0), row),
            ([], 'D') => self.go_to(column.saturating_sub(count(0)), row),
            ([], 'E') => self.go_to(0, row + count(0)),
            ([], 'F') => self.go_to(0, row.saturating_sub(count(0))),
            ([], 'G' | '`') => self.go_to(count(0) - 1, row),
            ([], 'd') => self.go_to(column, count(0) - 1),
            ([], 'H' | 'f') => self.go_to(count(1) - 1, count(0) - 1),
            ([], 'J') => self.erase_screen(number(0).into()),
            ([], 'K') => self.erase_line(number(0).into()),
            ([], 'L') => self.move_lines(count(0), true),
            ([], 'M') => self.move_lines(count(0), false),
            ([], '@') => self.grid.shift(row, column, count(0) as isize, self.blank()),
            ([], 'P') => self.grid.shift(row, column, -(count(0) as isize), self.blank()),
            ([], 'X') => self.grid.fill(row, column, column + count(0), self.blank()),
            ([], 'S') => {
                self.grid.scroll_up(self.region.0, self.region.1, count(0), self.blank());
            }
            ([], 'T') => {
                self.grid.scroll_down(self.region.0, self.region.1, count(0), self.blank());
            }
            ([], 'm') => self.set_look(params),
            ([], 'r') => {
                let bottom = match number(1) {
                    0 => self.rows(),
                    bottom => usize::from(bottom).min(self.rows()),
                };
                let top = count(0) - 1;
                if top + 1 < bottom {
                    self.region = (top, bottom);
                    self.go_to(0, 0);
                }
            }
            ([], 's') => self.save(),
            ([], 'u') => self.restore(),
            _ => {}
        }
    }

    fn esc_dispatch(&mut self, marks: &[u8], _ignore: bool, byte: u8) {
        match (marks, byte) {
            ([], b'7') => self.save(),
            ([], b'8') => self.restore(),
            ([], b'D') => self.feed(),
            ([], b'E') => {
                self.column = 0;
                self.feed();
            }
            ([], b'M') => self.feed_back(),
            ([], b'c') => {
                let mut fresh = Page::new(self.columns(), self.rows(), self.jump);
                fresh.grid.adopt_shown(&mut self.grid);
                *self = fresh;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;

    fn shown(columns: usize, rows: usize, text: &str) -> String {
        let mut vt = Vt::new(columns, rows, 1);
        vt.write(text.as_bytes());
        vt.text()
    }

    #[test]
    fn text_wraps_and_scrolls() {
        assert_eq!(shown(5, 3, "hello"), "hello\n\n\n");
        assert_eq!(shown(5, 3, "hello!"), "hello\n!\n\n");
        assert_eq!(shown(5, 2, "one\r\ntwo\r\nthree"), "two\nthree\n");
        assert_eq!(shown(5, 2, "hello\r\nx"), "hello\nx\n", "no empty line between");
        assert_eq!(shown(5, 2, "\x1b[?7lhello!!"), "hell!\n\n");
        assert_eq!(shown(20, 1, "a\tb\x08c"), "a       c\n");
        assert_eq!(shown(5, 2, "abc\u{65e5}\u{672c}x"), "abc\u{65e5}\n\u{672c}x\n", "two columns");
        assert_eq!(shown(5, 1, "e\u{301}x"), "ex\n", "marks are left out");
        assert_eq!(shown(9, 1, "gr\u{fc}\u{df}e"), "gr\u{fc}\u{df}e\n");
    }

    #[test]
    fn a_screen_that_jumps_makes_room_for_several_lines() {
        let mut vt = Vt::new(5, 4, 2);
        vt.write(b"1\r\n2\r\n3\r\n4\r\n5");
        assert_eq!(vt.text(), "3\n4\n5\n\n");
        vt.write(b"\r\n6\r\n7");
        assert_eq!(vt.text(), "5\n6\n7\n\n");
    }

    #[test]
    fn the_cursor_goes_where_it_is_told() {
        assert_eq!(shown(9, 3, "\x1b[2;3Hx\x1b[Ay\x1b[2Dz\x1b[1;1Ha"), "a zy\n  x\n\n");
        assert_eq!(shown(5, 2, "\x1b[99;99Hx"), "\n    x\n");
        assert_eq!(shown(5, 2, "ab\x1b[sc\x1b[2;1Hd\x1b[ue"), "abe\nd\n");
        assert_eq!(shown(5, 2, "\x1b[3Gx\x1b[2dy"), "  x\n   y\n");
    }

    #[test]
    fn parts_are_erased() {
        assert_eq!(shown(5, 2, "abcde\x1b[1;3H\x1b[K"), "ab\n\n");
        assert_eq!(shown(5, 2, "abcde\x1b[1;3H\x1b[1K"), "   de\n\n");
        assert_eq!(shown(5, 3, "a\r\nb\r\nc\x1b[2;1H\x1b[J"), "a\n\n\n");
        assert_eq!(shown(5, 3, "a\r\nb\r\nc\x1b[2;1H\x1b[1J"), "\n\nc\n");
        assert_eq!(shown(5, 3, "a\r\nb\r\nc\x1b[2J"), "\n\n\n");
        assert_eq!(shown(5, 1, "abcde\x1b[1;2H\x1b[2X"), "a  de\n");
    }

    #[test]
    fn lines_and_characters_are_put_in_and_taken_out() {
        assert_eq!(shown(5, 3, "a\r\nb\r\nc\x1b[1;1H\x1b[L"), "\na\nb\n");
        assert_eq!(shown(5, 3, "a\r\nb\r\nc\x1b[1;1H\x1b[M"), "b\nc\n\n");
        assert_eq!(shown(5, 1, "abcd\x1b[1;2H\x1b[@x"), "axbcd\n");
        assert_eq!(shown(5, 1, "abcd\x1b[1;2H\x1b[2P"), "ad\n");
    }

    #[test]
    fn a_part_scrolls_by_itself() {
        let text = "a\r\nb\r\nc\r\nd\x1b[2;3r\x1b[3;1H\nx";
        assert_eq!(shown(5, 4, text), "a\nc\nx\nd\n");
        assert_eq!(shown(5, 3, "a\r\nb\x1b[1;1H\x1bMx"), "x\na\nb\n");
    }

    #[test]
    fn a_full_screen_program_leaves_the_screen_as_it_was() {
        assert_eq!(shown(9, 2, "shell$ \x1b[?1049hedit\x1b[?1049lx"), "shell$ x\n\n");
        assert_eq!(shown(9, 2, "shell\x1b[?1049hedit"), "edit\n\n");
    }

    #[test]
    fn colours() {
        let look = |text: &str| {
            let mut vt = Vt::new(9, 1, 1);
            vt.write(text.as_bytes());
            let cell = vt.page.grid.get(0, 0);
            (cell.foreground, cell.background)
        };
        assert_eq!(look("x"), (colour::TEXT, colour::BACKGROUND));
        assert_eq!(look("\x1b[31mx"), (colour::ANSI[1], colour::BACKGROUND));
        assert_eq!(look("\x1b[1;31mx"), (colour::ANSI[9], colour::BACKGROUND));
        assert_eq!(look("\x1b[7mx"), (colour::BACKGROUND, colour::TEXT));
        assert_eq!(look("\x1b[38;5;196;48;5;232mx"), (0xFF_0000, 0x08_0808));
        assert_eq!(look("\x1b[38;2;1;2;3mx"), (0x01_0203, colour::BACKGROUND));
        assert_eq!(look("\x1b[38:2:1:2:3mx"), (0x01_0203, colour::BACKGROUND));
        assert_eq!(look("\x1b[95;104;0mx"), (colour::TEXT, colour::BACKGROUND));
        assert_eq!(look("\x1b[38;5mx"), (colour::TEXT, colour::BACKGROUND));
    }

    #[test]
    fn nonsense_does_no_harm() {
        // Marsaglia's xorshift: the same nonsense in every run.
        let mut state = 0x2545_F491_4F6C_DD1Du64;
        for (columns, rows) in [(1, 1), (2, 3), (40, 10)] {
            let mut vt = Vt::new(columns, rows, 3);
            for _ in 0..20_000 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let letters =
                    b"\x1b[;?0123456789999ABCDEFGHJKLMPSTXr@mhlsu78McD\n\r\t\x08x\xc3\xa4";
                let piece: Vec<u8> = state
                    .to_le_bytes()
                    .map(|byte| letters[usize::from(byte) % letters.len()])
                    .to_vec();
                vt.write(&piece);
                let (column, row) = vt.cursor();
                assert!(column < columns && row < rows);
            }
        }
    }
}
