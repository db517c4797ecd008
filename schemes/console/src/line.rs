//! The line being typed: echo, erasing, control characters, signals.
//!
//! With `ICANON` a line is edited here and becomes input when it ends; without, each byte becomes
//! input at once.

use redox_termios::{
    ECHO, ECHOE, ECHOK, ECHONL, ICANON, ICRNL, IEXTEN, IGNCR, INLCR, ISIG, ISTRIP, IXON, NOFLSH,
    VEOF, VEOL, VEOL2, VERASE, VINTR, VKILL, VLNEXT, VQUIT, VREPRINT, VSTART, VSTOP, VSUSP,
    VWERASE,
};

use crate::output::Output;
use crate::queue::Queue;
use crate::settings::Settings;
use crate::text::{self, Shown};

/// The longest line, and the most unread input, in bytes. What does not fit rings the bell.
pub const LINE_MAX: usize = 4096;
/// See [`LINE_MAX`].
pub const INPUT_MAX: usize = 65_536;

const BELL: &[u8] = b"\x07";

/// What a control character sends to the foreground processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// `VINTR`, Ctrl-C.
    Interrupt,
    /// `VQUIT`, Ctrl-\.
    Quit,
    /// `VSUSP`, Ctrl-Z.
    Suspend,
}

/// The line discipline.
#[derive(Clone, Debug, Default)]
pub struct Line {
    settings: Settings,
    /// The unfinished line.
    edited: Vec<u8>,
    /// The cursor's column when the unfinished line began.
    start: usize,
    /// The next byte is taken as it is.
    is_literal: bool,
    /// The person wants the screen to stand still.
    is_stopped: bool,
    queue: Queue,
    output: Output,
    signals: Vec<Signal>,
}

impl Line {
    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Finished input.
    pub fn queue(&mut self) -> &mut Queue {
        &mut self.queue
    }

    /// Whether output has to wait.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Adds output of a program.
    pub fn print(&mut self, bytes: &[u8]) {
        self.output.push(&self.settings, bytes);
    }

    /// Takes the bytes for the screen.
    pub fn take_output(&mut self) -> Vec<u8> {
        self.output.take()
    }

    /// Takes the signals to send.
    pub fn take_signals(&mut self) -> Vec<Signal> {
        std::mem::take(&mut self.signals)
    }

    /// Puts new settings in force. Nothing that was typed is lost: without `ICANON` the unfinished
    /// line becomes input, and with it again, unread bytes become lines.
    pub fn set(&mut self, settings: Settings) {
        let (old, new) = (self.settings.local(ICANON), settings.local(ICANON));
        self.settings = settings;
        self.is_stopped &= settings.input(IXON);
        if old && !new {
            self.queue.push(&std::mem::take(&mut self.edited));
            self.is_literal = false;
        }
        if !old && new {
            for byte in self.queue.take_unended() {
                self.adopt(byte);
            }
        }
    }

    /// Forgets what was typed and not read.
    pub fn discard(&mut self) {
        self.edited.clear();
        self.queue.clear();
        self.is_literal = false;
    }

    /// One byte from the keyboard.
    pub fn feed(&mut self, byte: u8) {
        let byte = if self.settings.input(ISTRIP) { byte & 0x7F } else { byte };
        if std::mem::take(&mut self.is_literal) {
            return self.insert(byte);
        }
        if self.flow(byte) || self.signal(byte) {
            return;
        }
        let Some(byte) = self.translated(byte) else { return };
        if self.settings.local(ICANON) {
            self.edit(byte);
        } else {
            self.pass(byte);
        }
    }

    /// `VSTOP` and `VSTART`.
    fn flow(&mut self, byte: u8) -> bool {
        if !self.settings.input(IXON) {
            return false;
        }
        let stops = self.settings.is(VSTOP, byte);
        let starts = self.settings.is(VSTART, byte);
        if starts || stops {
            self.is_stopped = stops && !starts;
        }
        starts || stops
    }

    fn signal(&mut self, byte: u8) -> bool {
        if !self.settings.local(ISIG) {
            return false;
        }
        let table = [(VINTR, Signal::Interrupt), (VQUIT, Signal::Quit), (VSUSP, Signal::Suspend)];
        let found = table.into_iter().find(|&(index, _)| self.settings.is(index, byte));
        let Some((_, signal)) = found else { return false };
        if !self.settings.local(NOFLSH) {
            self.discard();
        }
        // A stopped screen must not hide what the signal does.
        self.is_stopped = false;
        self.echo(byte);
        self.signals.push(signal);
        true
    }

    fn translated(&self, byte: u8) -> Option<u8> {
        match byte {
            b'\r' if self.settings.input(IGNCR) => None,
            b'\r' if self.settings.input(ICRNL) => Some(b'\n'),
            b'\n' if self.settings.input(INLCR) => Some(b'\r'),
            _ => Some(byte),
        }
    }

    fn edit(&mut self, byte: u8) {
        let is = |index| self.settings.is(index, byte);
        let extended = self.settings.local(IEXTEN);
        if is(VERASE) {
            self.erase_character();
        } else if is(VKILL) {
            self.kill_line(byte);
        } else if extended && is(VWERASE) {
            self.erase_word();
        } else if extended && is(VREPRINT) {
            self.reprint(byte);
        } else if extended && is(VLNEXT) {
            self.is_literal = true;
            self.show(b"^\x08");
        } else if is(VEOF) {
            self.finish();
        } else if byte == b'\n' || is(VEOL) || is(VEOL2) {
            self.end_with(byte);
        } else {
            self.insert(byte);
        }
    }

    /// Adds a byte to the line, whatever it is.
    fn insert(&mut self, byte: u8) {
        if !self.settings.local(ICANON) {
            return self.pass(byte);
        }
        if self.edited.len() >= LINE_MAX - 1 || self.queue.len() >= INPUT_MAX {
            return self.show(BELL);
        }
        if self.edited.is_empty() {
            self.start = self.output.column();
        }
        self.edited.push(byte);
        self.echo(byte);
    }

    fn end_with(&mut self, byte: u8) {
        if self.queue.len() >= INPUT_MAX {
            return self.show(BELL);
        }
        self.edited.push(byte);
        if byte == b'\n' && (self.settings.local(ECHO) || self.settings.local(ECHONL)) {
            self.print(b"\n");
        } else if byte != b'\n' {
            self.echo(byte);
        }
        self.finish();
    }

    fn finish(&mut self) {
        self.queue.push(&std::mem::take(&mut self.edited));
        self.queue.end_line();
    }

    /// Takes in a byte that was typed before lines were wanted: it was echoed, or not, then.
    fn adopt(&mut self, byte: u8) {
        let Some(byte) = self.translated(byte) else { return };
        self.edited.push(byte);
        if byte == b'\n' {
            self.finish();
        }
    }

    /// Without `ICANON`: the byte is input.
    fn pass(&mut self, byte: u8) {
        if self.queue.len() >= INPUT_MAX {
            return self.show(BELL);
        }
        self.queue.push(&[byte]);
        if byte == b'\n' {
            self.show(b"\n");
        } else {
            self.echo(byte);
        }
    }

    fn erase_character(&mut self) {
        if self.edited.is_empty() {
            return;
        }
        let mut left = self.edited.len();
        // Marks that sit on a character go with it.
        loop {
            let last = text::last_character(&self.edited[..left]).len();
            left -= last;
            if left == 0 || text::advance(0, &self.edited[left..]) > 0 {
                break;
            }
        }
        self.shorten(left, VERASE);
    }

    fn erase_word(&mut self) {
        let is_blank = |byte: &u8| byte.is_ascii_whitespace();
        let text = self.edited.iter().rposition(|byte| !is_blank(byte)).map_or(0, |at| at + 1);
        let left = self.edited[..text].iter().rposition(is_blank).map_or(0, |at| at + 1);
        self.shorten(left, VWERASE);
    }

    fn kill_line(&mut self, byte: u8) {
        if self.settings.local(ECHOE) {
            return self.shorten(0, VKILL);
        }
        self.edited.clear();
        self.echo(byte);
        if self.settings.local(ECHOK) {
            self.show(b"\n");
        }
    }

    /// Cuts the line and wipes what was cut off the screen.
    fn shorten(&mut self, length: usize, by: usize) {
        let columns = text::advance(self.start, &self.edited)
            - text::advance(self.start, &self.edited[..length]);
        let erased_any = length < self.edited.len();
        self.edited.truncate(length);
        if self.settings.local(ECHOE) {
            self.show(&b"\x08 \x08".repeat(columns));
        } else if erased_any {
            let character = self.settings.termios.c_cc[by];
            self.echo(character);
        }
    }

    fn reprint(&mut self, byte: u8) {
        self.echo(byte);
        self.show(b"\n");
        self.start = self.output.column();
        for byte in self.edited.clone() {
            self.echo(byte);
        }
    }

    /// Shows a typed byte, if typed bytes are shown.
    fn echo(&mut self, byte: u8) {
        match text::shown(byte) {
            Shown::AsIs => self.show(&[byte]),
            Shown::Caret(letter) => self.show(&[b'^', letter]),
        }
    }

    fn show(&mut self, bytes: &[u8]) {
        if self.settings.local(ECHO) {
            self.print(bytes);
        }
    }
}
