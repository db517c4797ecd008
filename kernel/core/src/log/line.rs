//! One line: what it says, and how it looks.

use core::fmt::{self, Write};

/// The longest line, in bytes; what does not fit becomes `...`.
pub const LINE_MAX: usize = 1000;

const CUT: &str = "...";

/// How much a line matters; 1 is the most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Level {
    /// Something is lost or broken.
    Error = 1,
    /// Something is not as it should be, but goes on.
    Warn = 2,
    /// What a person wants to know of a healthy system.
    Info = 3,
    /// What its developer wants to know.
    Debug = 4,
    /// Every step.
    Trace = 5,
}

impl Level {
    const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Trace => "TRACE",
        }
    }

    /// Reads a name in any case, or a number from 1 to 5.
    pub fn parse(text: &str) -> Option<Self> {
        let is_it = |level: &Self| {
            text.eq_ignore_ascii_case(level.name()) || text.parse() == Ok(*level as u8)
        };
        Self::ALL.into_iter().find(is_it)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Something to be written.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// How much it matters.
    pub level: Level,
    /// When, in nanoseconds since boot.
    pub time_ns: u64,
    /// On which CPU.
    pub cpu: u32,
    /// Which part of the kernel says it.
    pub target: &'a str,
    /// What it says.
    pub message: fmt::Arguments<'a>,
}

impl Line<'_> {
    /// Writes it as it is to be read: one line, or several with the same prefix, each ended. An
    /// empty message is no line.
    pub(super) fn render(&self, out: &mut impl FnMut(char)) {
        let mut writer = Writer { line: self, out, width: 0, is_cut: false, is_inside: false };
        // The writer never fails; a message whose own Display fails is kept as far as it came.
        let _ = writer.write_fmt(self.message);
        if writer.is_inside {
            writer.end();
        }
    }

    fn prefix(&self, out: &mut impl Write) -> fmt::Result {
        let micros = self.time_ns / 1000;
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        write!(out, "[{seconds:5}.{micros:06}] cpu{} {:5} {}: ", self.cpu, self.level, self.target)
    }
}

/// Splits a message into lines, cuts what is too long, and lets nothing through that a terminal
/// would obey.
struct Writer<'l, F> {
    line: &'l Line<'l>,
    out: &'l mut F,
    width: usize,
    is_cut: bool,
    is_inside: bool,
}

impl<F: FnMut(char)> Writer<'_, F> {
    fn put(&mut self, c: char) {
        let c = if c.is_control() { '?' } else { c };
        if self.is_cut || self.width + c.len_utf8() > LINE_MAX - CUT.len() {
            self.is_cut = true;
            return;
        }
        self.width += c.len_utf8();
        (self.out)(c);
    }

    fn begin(&mut self) {
        struct Prefix<'w, 'l, F>(&'w mut Writer<'l, F>);
        impl<F: FnMut(char)> Write for Prefix<'_, '_, F> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                text.chars().for_each(|c| self.0.put(c));
                Ok(())
            }
        }
        self.is_inside = true;
        let _ = self.line.prefix(&mut Prefix(self));
    }

    fn end(&mut self) {
        if self.is_cut {
            CUT.chars().for_each(&mut *self.out);
        }
        (self.out)('\n');
        (self.width, self.is_cut, self.is_inside) = (0, false, false);
    }
}

impl<F: FnMut(char)> Write for Writer<'_, F> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if !self.is_inside {
                self.begin();
            }
            match c {
                '\n' => self.end(),
                c => self.put(c),
            }
        }
        Ok(())
    }
}
