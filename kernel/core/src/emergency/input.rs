//! What is typed while the world stands still.
//!
//! A ring that drops the newest byte when it is full. Bytes come from the console's interrupt
//! or a keyboard's; the picker takes them as keys. What was typed before the picker could be seen is thrown away.

use terminal::Keyboard;

/// Bytes kept.
const SIZE: usize = 64;

/// Bytes typed and not looked at yet.
pub struct Input {
    bytes: [u8; SIZE],
    first: usize,
    count: usize,
    escape: Escape,
    keyboard: Keyboard,
}

/// How much of an escape sequence (ECMA-48, 5.4) has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Escape {
    None,
    Begun,
    /// After `ESC [`, with the first digit, if any.
    Control(u8),
}

/// What a person did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Key {
    /// One row up.
    Up,
    /// One row down.
    Down,
    /// One screen up.
    PageUp,
    /// One screen down.
    PageDown,
    /// Enter.
    Enter,
    /// The escape key, or a sequence that means nothing here.
    Escape,
    /// A printable character.
    Char(u8),
}

impl Default for Input {
    fn default() -> Self {
        Self {
            bytes: [0; SIZE],
            first: 0,
            count: 0,
            escape: Escape::None,
            keyboard: Keyboard::us(),
        }
    }
}

impl Input {
    /// A PS/2 keyboard sent a byte. A key of it counts as the bytes that a terminal sends for it.
    pub fn push_code(&mut self, code: u8) {
        if let Some(bytes) = self.keyboard.byte(code) {
            bytes.as_slice().iter().for_each(|byte| self.push_irq(*byte));
        }
    }

    /// A byte came. Dropped when the ring is full.
    pub fn push_irq(&mut self, byte: u8) {
        if self.count < SIZE {
            self.bytes[(self.first + self.count) % SIZE] = byte;
            self.count += 1;
        }
    }

    /// The next byte.
    pub fn poll(&mut self) -> Option<u8> {
        let byte = self.bytes[self.first];
        self.count = self.count.checked_sub(1)?;
        self.first = (self.first + 1) % SIZE;
        Some(byte)
    }

    /// Forgets everything typed.
    pub fn clear(&mut self) {
        self.count = 0;
        self.escape = Escape::None;
    }

    /// The next key, if all its bytes have come. A lone escape byte is a key once nothing follows.
    pub fn key(&mut self) -> Option<Key> {
        while let Some(byte) = self.poll() {
            let (escape, key) = match (self.escape, byte) {
                (Escape::None, 0x1B) => (Escape::Begun, None),
                (Escape::None, b'\r' | b'\n') => (Escape::None, Some(Key::Enter)),
                (Escape::None, b' '..=b'~') => (Escape::None, Some(Key::Char(byte))),
                (Escape::None, _) => (Escape::None, None),
                (Escape::Begun, b'[' | b'O') => (Escape::Control(0), None),
                (Escape::Begun, _) => (Escape::None, Some(Key::Escape)),
                (Escape::Control(0), b'0'..=b'9') => (Escape::Control(byte), None),
                (Escape::Control(_), 0x20..=0x3F) => (self.escape, None),
                (Escape::Control(digit), end) => (Escape::None, Some(control(digit, end))),
            };
            self.escape = escape;
            if key.is_some() {
                return key;
            }
        }
        if self.escape == Escape::Begun {
            self.escape = Escape::None;
            return Some(Key::Escape);
        }
        None
    }
}

/// The key of a sequence `ESC [ digit end`.
fn control(digit: u8, end: u8) -> Key {
    match (digit, end) {
        (_, b'A') => Key::Up,
        (_, b'B') => Key::Down,
        (b'5', b'~') => Key::PageUp,
        (b'6', b'~') => Key::PageDown,
        _ => Key::Escape,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut input = Input::default();
        bytes.iter().for_each(|byte| input.push_irq(*byte));
        core::iter::from_fn(|| input.key()).collect()
    }

    #[test]
    fn bytes_become_keys() {
        let expected =
            [Key::Up, Key::Char(b'j'), Key::Down, Key::PageDown, Key::Enter, Key::Escape];
        assert_eq!(keys(b"\x1b[Aj\x1bOB\x1b[6~\r\x1b"), expected);
        assert_eq!(keys(b"\x00\x7f\xffy"), [Key::Char(b'y')]);
        assert_eq!(keys(b"\x1b[1;5Hx"), [Key::Escape, Key::Char(b'x')]);
    }

    #[test]
    fn a_full_ring_drops_the_newest_and_clearing_empties_it() {
        let mut input = Input::default();
        (0..100).for_each(|byte| input.push_irq(byte));
        assert_eq!(input.poll(), Some(0));
        assert_eq!(core::iter::from_fn(|| input.poll()).last(), Some(63));
        input.push_irq(1);
        input.clear();
        assert_eq!(input.poll(), None);
    }
}
