//! A PS/2 keyboard: what it sends (scan code set 1) as the bytes that a terminal sends.

use pc_keyboard::layouts::{
    AnyLayout, Azerty, Colemak, De105Key, Dvorak104Key, FiSe105Key, Jis109Key, No105Key, Uk105Key,
    Us104Key,
};
use pc_keyboard::{
    DecodedKey, HandleControl, KeyCode, KeyEvent, KeyState, PS2Keyboard, ScancodeSet1,
};

/// The names of layouts, the usual one first.
pub const LAYOUTS: [&str; 10] =
    ["us", "uk", "de", "fr", "fi", "se", "no", "jp", "dvorak", "colemak"];

/// The bytes of one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    bytes: [u8; 8],
    length: u8,
}

impl Bytes {
    fn new(from: &[u8]) -> Self {
        let mut bytes = Self::default();
        from.iter().for_each(|byte| bytes.push(*byte));
        bytes
    }

    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(usize::from(self.length)) {
            *slot = byte;
            self.length += 1;
        }
    }

    /// What the terminal sends.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// A keyboard, and which of its keys are held.
pub struct Keyboard {
    keyboard: PS2Keyboard<AnyLayout, ScancodeSet1>,
}

impl Keyboard {
    /// The American layout.
    pub fn us() -> Self {
        Self::of(AnyLayout::Us104Key(Us104Key))
    }

    /// A layout by its name.
    pub fn new(layout: &str) -> Option<Self> {
        Some(Self::of(match layout {
            "us" => AnyLayout::Us104Key(Us104Key),
            "uk" => AnyLayout::Uk105Key(Uk105Key),
            "de" => AnyLayout::De105Key(De105Key),
            "fr" => AnyLayout::Azerty(Azerty),
            "fi" | "se" => AnyLayout::FiSe105Key(FiSe105Key),
            "no" => AnyLayout::No105Key(No105Key),
            "jp" => AnyLayout::Jis109Key(Jis109Key),
            "dvorak" => AnyLayout::Dvorak104Key(Dvorak104Key),
            "colemak" => AnyLayout::Colemak(Colemak),
            _ => return None,
        }))
    }

    fn of(layout: AnyLayout) -> Self {
        let control = HandleControl::MapLettersToUnicode;
        Self { keyboard: PS2Keyboard::new(ScancodeSet1::new(), layout, control) }
    }

    /// Takes a byte from the keyboard. Most make no key yet, or are a key let go.
    pub fn byte(&mut self, code: u8) -> Option<Bytes> {
        // A code that is none is skipped, as the next one may well be good.
        let event = self.keyboard.add_byte(code).ok()??;
        let special = self.special(&event);
        let decoded = self.keyboard.process_keyevent(event);
        special.or_else(|| self.of_key(decoded?))
    }

    /// Keys whose bytes depend on Ctrl and Shift in ways that layouts do not know.
    fn special(&self, event: &KeyEvent) -> Option<Bytes> {
        if event.state == KeyState::Up {
            return None;
        }
        let modifiers = self.keyboard.get_modifiers();
        let byte = match event.code {
            KeyCode::Tab if modifiers.is_shifted() => return Some(Bytes::new(b"\x1b[Z")),
            _ if !modifiers.is_ctrl() => return None,
            KeyCode::Spacebar => 0x00,
            KeyCode::Oem4 => 0x1B,
            KeyCode::Oem5 | KeyCode::Oem7 => 0x1C,
            KeyCode::Oem6 => 0x1D,
            KeyCode::Key6 => 0x1E,
            KeyCode::OemMinus | KeyCode::Oem2 => 0x1F,
            _ => return None,
        };
        Some(Bytes::new(&[byte]))
    }

    fn of_key(&self, key: DecodedKey) -> Option<Bytes> {
        let character = match key {
            DecodedKey::RawKey(code) => return sequence(code).map(Bytes::new),
            DecodedKey::Unicode('\u{7F}') => return Some(Bytes::new(b"\x1b[3~")),
            DecodedKey::Unicode('\u{8}') => '\u{7F}',
            DecodedKey::Unicode('\n') => '\r',
            DecodedKey::Unicode(character) => character,
        };
        let mut bytes = Bytes::default();
        // The left Alt key is the terminal's Meta; the right one makes characters.
        if self.keyboard.get_modifiers().lalt {
            bytes.push(0x1B);
        }
        let mut room = [0; 4];
        character.encode_utf8(&mut room).bytes().for_each(|byte| bytes.push(byte));
        Some(bytes)
    }
}

/// Keys that are no characters, as xterm sends them.
fn sequence(code: KeyCode) -> Option<&'static [u8]> {
    Some(match code {
        KeyCode::ArrowUp => b"\x1b[A",
        KeyCode::ArrowDown => b"\x1b[B",
        KeyCode::ArrowRight => b"\x1b[C",
        KeyCode::ArrowLeft => b"\x1b[D",
        KeyCode::Home => b"\x1b[H",
        KeyCode::End => b"\x1b[F",
        KeyCode::Insert => b"\x1b[2~",
        KeyCode::PageUp => b"\x1b[5~",
        KeyCode::PageDown => b"\x1b[6~",
        KeyCode::F1 => b"\x1bOP",
        KeyCode::F2 => b"\x1bOQ",
        KeyCode::F3 => b"\x1bOR",
        KeyCode::F4 => b"\x1bOS",
        KeyCode::F5 => b"\x1b[15~",
        KeyCode::F6 => b"\x1b[17~",
        KeyCode::F7 => b"\x1b[18~",
        KeyCode::F8 => b"\x1b[19~",
        KeyCode::F9 => b"\x1b[20~",
        KeyCode::F10 => b"\x1b[21~",
        KeyCode::F11 => b"\x1b[23~",
        KeyCode::F12 => b"\x1b[24~",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// What comes of these codes.
    fn typed(keyboard: &mut Keyboard, codes: &[u8]) -> Vec<u8> {
        codes
            .iter()
            .filter_map(|code| keyboard.byte(*code))
            .flat_map(|k| k.as_slice().to_vec())
            .collect()
    }

    #[test]
    fn letters_enter_and_shift() {
        let mut keyboard = Keyboard::us();
        // l, s, let go; Enter; Shift with a.
        let codes = [0x26, 0xA6, 0x1F, 0x9F, 0x1C, 0x9C, 0x2A, 0x1E, 0x9E, 0xAA, 0x1E];
        assert_eq!(typed(&mut keyboard, &codes), b"ls\rAa");
    }

    #[test]
    fn control_and_meta() {
        let mut keyboard = Keyboard::us();
        assert_eq!(typed(&mut keyboard, &[0x1D, 0x2E, 0xAE, 0x2B, 0xAB, 0x9D]), b"\x03\x1c");
        assert_eq!(typed(&mut keyboard, &[0x38, 0x21, 0xA1, 0xB8, 0x21]), b"\x1bff");
        assert_eq!(typed(&mut keyboard, &[0x0E, 0x8E, 0xE0, 0x53, 0xE0, 0xD3]), b"\x7f\x1b[3~");
        assert_eq!(typed(&mut keyboard, &[0x2A, 0x0F, 0x8F, 0xAA, 0x0F]), b"\x1b[Z\t");
    }

    #[test]
    fn keys_that_are_no_characters() {
        let mut keyboard = Keyboard::us();
        assert_eq!(typed(&mut keyboard, &[0xE0, 0x48, 0xE0, 0xC8, 0x3B, 0xBB]), b"\x1b[A\x1bOP");
        assert_eq!(typed(&mut keyboard, &[0xFF, 0x7F, 0x1E]), b"a", "nonsense is skipped");
    }

    #[test]
    fn layouts_have_names() {
        assert!(LAYOUTS.iter().all(|name| Keyboard::new(name).is_some()));
        assert!(Keyboard::new("xx").is_none());
        assert_eq!(typed(&mut Keyboard::new("de").unwrap(), &[0x15, 0x1A]), "z\u{fc}".as_bytes());
    }
}
