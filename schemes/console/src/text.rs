//! Characters on the screen: how wide they are, and how control characters are shown.

use unicode_width::UnicodeWidthChar;

/// Columns between tab stops.
pub const TAB: usize = 8;

/// The last character of some bytes, as bytes. A byte that is no part of a character counts as one.
pub fn last_character(bytes: &[u8]) -> &[u8] {
    let longest = bytes.len().saturating_sub(4);
    for start in (longest..bytes.len()).rev() {
        if let Ok(text) = str::from_utf8(&bytes[start..])
            && text.chars().count() == 1
        {
            return &bytes[start..];
        }
    }
    &bytes[bytes.len().saturating_sub(1)..]
}

/// How a byte of input is echoed.
pub fn shown(byte: u8) -> Shown {
    match byte {
        b'\t' => Shown::AsIs,
        0..0x20 | 0x7F => Shown::Caret(byte ^ 0x40),
        _ => Shown::AsIs,
    }
}

/// See [`shown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// As it is.
    AsIs,
    /// `^` and this letter.
    Caret(u8),
}

/// The column after showing these bytes, from this column on.
pub fn advance(mut column: usize, bytes: &[u8]) -> usize {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            column = match u8::try_from(character).map(shown) {
                Ok(Shown::Caret(_)) => column + 2,
                Ok(Shown::AsIs) if character == '\t' => (column / TAB + 1) * TAB,
                _ => column + character.width().unwrap_or(0),
            };
        }
        // What is no character is shown by most terminals as one replacement character.
        column += usize::from(!chunk.invalid().is_empty());
    }
    column
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_character_is_whole() {
        assert_eq!(last_character(b""), b"");
        assert_eq!(last_character(b"ab"), b"b");
        assert_eq!(last_character("aé".as_bytes()), "é".as_bytes());
        assert_eq!(last_character("日本".as_bytes()), "本".as_bytes());
        assert_eq!(last_character("🦀".as_bytes()), "🦀".as_bytes());
    }

    #[test]
    fn broken_bytes_count_one_by_one() {
        assert_eq!(last_character(b"a\xFF"), b"\xFF");
        assert_eq!(last_character(b"\xC3"), b"\xC3");
        assert_eq!(last_character(b"\x80\x80\x80\x80\x80"), b"\x80");
        assert_eq!(last_character(b"\xE6\x97"), b"\x97");
    }

    #[test]
    fn columns_are_what_the_screen_shows() {
        assert_eq!(advance(0, b"abc"), 3);
        assert_eq!(advance(0, "日本".as_bytes()), 4);
        assert_eq!(advance(0, "e\u{301}".as_bytes()), 1);
        assert_eq!(advance(3, b"\t"), 8);
        assert_eq!(advance(8, b"\t"), 16);
        assert_eq!(advance(0, b"\x01\x7F"), 4);
        assert_eq!(advance(0, b"a\xFFb"), 3);
    }
}
