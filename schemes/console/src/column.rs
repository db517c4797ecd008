//! Where the cursor is: the column only, from what is sent to the screen.
//!
//! Needed to erase a tab, which is as wide as the place it starts at says. Escape sequences are
//! skipped, but for those that move within the line.

use crate::text::{self, TAB};

/// Longest escape sequence that is understood; a longer one is skipped all the same.
const ARGUMENTS: usize = 16;

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// After ESC `[`, with its arguments so far.
    Sequence(Vec<u8>),
    /// After ESC `]` and the like: text up to BEL or ESC `\`.
    String,
}

/// The cursor's column.
#[derive(Clone, Debug, Default)]
pub struct Column {
    at: usize,
    state: State,
    /// Bytes of a character that is not complete yet.
    partial: Vec<u8>,
}

impl Column {
    /// The column now, counted from 0.
    pub fn get(&self) -> usize {
        self.at
    }

    /// Follows bytes that go to the screen.
    pub fn follow(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.step(byte);
        }
    }

    fn step(&mut self, byte: u8) {
        match &mut self.state {
            State::Text => self.text(byte),
            State::Escape => {
                self.state = match byte {
                    b'[' => State::Sequence(Vec::new()),
                    b']' | b'P' | b'^' | b'_' | b'X' => State::String,
                    // ESC and one letter, perhaps with a blank-like byte between them.
                    0x20..=0x2F => State::Escape,
                    _ => State::Text,
                }
            }
            State::Sequence(arguments) => match byte {
                0x40..=0x7E => {
                    let arguments = std::mem::take(arguments);
                    self.state = State::Text;
                    self.sequence(byte, &arguments);
                }
                _ if arguments.len() < ARGUMENTS => arguments.push(byte),
                _ => {}
            },
            State::String => match byte {
                0x07 => self.state = State::Text,
                0x1B => self.state = State::Escape,
                _ => {}
            },
        }
    }

    fn text(&mut self, byte: u8) {
        if byte.is_ascii() {
            self.flush();
        }
        match byte {
            0x1B => self.state = State::Escape,
            b'\r' => self.at = 0,
            0x08 => self.at = self.at.saturating_sub(1),
            b'\t' => self.at = (self.at / TAB + 1) * TAB,
            0..0x20 | 0x7F => {}
            0x20..0x7F => self.at += 1,
            _ => {
                self.partial.push(byte);
                if str::from_utf8(&self.partial).is_ok() || self.partial.len() >= 4 {
                    self.flush();
                }
            }
        }
    }

    fn flush(&mut self) {
        self.at = text::advance(self.at, &self.partial);
        self.partial.clear();
    }

    /// ESC `[` arguments letter, as far as it changes the column (ECMA-48, 8.3).
    fn sequence(&mut self, letter: u8, arguments: &[u8]) {
        let argument = |index: usize| {
            let text = arguments.split(|&byte| byte == b';').nth(index);
            let number = text.and_then(|text| str::from_utf8(text).ok()?.parse().ok());
            number.unwrap_or(1usize).clamp(1, 10_000)
        };
        match letter {
            b'C' => self.at += argument(0),
            b'D' => self.at = self.at.saturating_sub(argument(0)),
            b'G' => self.at = argument(0) - 1,
            b'H' | b'f' => self.at = argument(1) - 1,
            b'E' | b'F' => self.at = 0,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> usize {
        let mut column = Column::default();
        column.follow(text.as_bytes());
        column.get()
    }

    #[test]
    fn plain_text_moves_by_its_width() {
        assert_eq!(after("abc"), 3);
        assert_eq!(after("日本"), 4);
        assert_eq!(after("abc\r"), 0);
        assert_eq!(after("abc\r\nx"), 1);
        assert_eq!(after("abc\n"), 3, "a bare line feed keeps the column");
        assert_eq!(after("ab\x08\x08\x08"), 0);
        assert_eq!(after("a\tb"), 9);
    }

    #[test]
    fn escape_sequences_take_no_room() {
        assert_eq!(after("\x1b[1;31mred\x1b[0m"), 3);
        assert_eq!(after("\x1b]0;title\x07$ "), 2);
        assert_eq!(after("\x1b]0;title\x1b\\$ "), 2);
        assert_eq!(after("\x1b(Bx"), 1);
    }

    #[test]
    fn sequences_that_move_are_followed() {
        assert_eq!(after("abc\x1b[2D"), 1);
        assert_eq!(after("\x1b[5C"), 5);
        assert_eq!(after("abc\x1b[10G"), 9);
        assert_eq!(after("abc\x1b[3;7H"), 6);
        assert_eq!(after("abc\x1b[H"), 0);
        assert_eq!(after("\x1b[999999999C"), 10_000, "no screen is wider");
        assert_eq!(after("\x1b[?C"), 1, "nonsense is like nothing given");
    }

    #[test]
    fn a_character_in_pieces_counts_once() {
        let mut column = Column::default();
        for byte in "本".bytes() {
            column.follow(&[byte]);
        }
        assert_eq!(column.get(), 2);
        column.follow(b"\xE6x");
        assert_eq!(column.get(), 4, "a broken one counts as one");
    }
}
