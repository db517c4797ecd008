//! Bytes on their way to the screen, and what the output modes make of them.

use redox_termios::{OCRNL, OLCUC, ONLCR, ONLRET, ONOCR, OPOST};

use crate::column::Column;
use crate::settings::Settings;

/// Bytes for the device, until somebody takes them.
#[derive(Clone, Debug, Default)]
pub struct Output {
    bytes: Vec<u8>,
    column: Column,
}

impl Output {
    /// The cursor's column.
    pub fn column(&self) -> usize {
        self.column.get()
    }

    /// Adds bytes as the output modes want them.
    pub fn push(&mut self, settings: &Settings, bytes: &[u8]) {
        if !settings.output(OPOST) {
            return self.raw(bytes);
        }
        for &byte in bytes {
            self.processed(settings, byte);
        }
    }

    fn processed(&mut self, settings: &Settings, byte: u8) {
        match byte {
            b'\n' if settings.output(ONLCR) => self.raw(b"\r\n"),
            b'\n' if settings.output(ONLRET) => {
                // The terminal moves to the first column by itself.
                self.raw(b"\n");
                self.column = Column::default();
            }
            b'\r' if settings.output(OCRNL) => self.raw(b"\n"),
            b'\r' if settings.output(ONOCR) && self.column() == 0 => {}
            _ if settings.output(OLCUC) => self.raw(&[byte.to_ascii_uppercase()]),
            _ => self.raw(&[byte]),
        }
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.column.follow(bytes);
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes everything out.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(flags: u32, text: &str) -> String {
        let mut settings = Settings::default();
        settings.termios.c_oflag = flags;
        let mut output = Output::default();
        output.push(&settings, text.as_bytes());
        String::from_utf8(output.take()).expect("text")
    }

    #[test]
    fn newlines_become_what_the_terminal_needs() {
        assert_eq!(pushed(OPOST | ONLCR, "a\nb\r\n"), "a\r\nb\r\r\n");
        assert_eq!(pushed(ONLCR, "a\n"), "a\n", "nothing happens without OPOST");
        assert_eq!(pushed(OPOST, "a\n"), "a\n");
        assert_eq!(pushed(OPOST | OCRNL, "a\rb"), "a\nb");
        assert_eq!(pushed(OPOST | ONOCR, "\ra\r"), "a\r");
        assert_eq!(pushed(OPOST | ONOCR | ONLRET, "a\n\rb"), "a\nb");
        assert_eq!(pushed(OPOST | OLCUC, "aé"), "Aé");
    }

    #[test]
    fn what_was_taken_is_gone() {
        let mut output = Output::default();
        output.push(&Settings::default(), b"abc");
        assert_eq!(output.take(), b"abc");
        assert_eq!(output.take(), b"");
        assert_eq!(output.column(), 3);
    }
}
