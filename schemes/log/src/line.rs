//! One line of the log, and how it looks: `[    1.234567] ramd[12] INFO  text`.

use std::fmt::Write;

const LEVELS: [&str; 5] = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];
const DEFAULT: &str = "INFO";

/// The longest text of a line, in bytes; a longer one becomes several.
pub const TEXT_MAX: usize = 1000;

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Time since the machine started, in µs.
    pub time_us: u64,
    /// Who wrote it.
    pub pid: usize,
    /// One of the five levels.
    pub level: &'static str,
    /// The rest, without anything that moves the cursor.
    pub text: String,
}

impl Line {
    /// Makes a line of what was written. A level in front of it is taken; none means `INFO`.
    pub fn new(time_us: u64, pid: usize, written: &[u8]) -> Self {
        let written = String::from_utf8_lossy(written);
        let first = written.split([' ', ':']).next().unwrap_or_default();
        let level = LEVELS.into_iter().find(|&level| level == first);
        let rest = level.map_or(&*written, |level| {
            written[level.len()..].trim_start_matches(':').trim_start_matches(' ')
        });
        Self { time_us, pid, level: level.unwrap_or(DEFAULT), text: visible(rest) }
    }

    /// The line as it is read, with its end.
    pub fn format(&self, tag: &str) -> String {
        let Self { pid, level, text, .. } = self;
        format!("{} {tag}[{pid}] {level:<5} {text}\n", Stamp(self.time_us))
    }
}

/// What is read where lines are missing.
pub fn lost(time_us: u64, count: u64) -> String {
    let lines = if count == 1 { "line" } else { "lines" };
    format!("{} logd WARN  {count} {lines} lost\n", Stamp(time_us))
}

struct Stamp(u64);

impl std::fmt::Display for Stamp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "[{:5}.{:06}]", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// Text that cannot pretend to be another line or play with the terminal.
fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\t' => visible.push(' '),
            letter if letter.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(visible, "\\x{:02x}", u32::from(letter));
            }
            letter => visible.push(letter),
        }
    }
    visible
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(written: &str) -> String {
        Line::new(1_234_567, 12, written.as_bytes()).format("ramd")
    }

    #[test]
    fn a_line_looks_as_agreed() {
        assert_eq!(read("text"), "[    1.234567] ramd[12] INFO  text\n");
        assert_eq!(
            Line::new(123_456_000_001, 1, b"x").format("t"),
            "[123456.000001] t[1] INFO  x\n"
        );
    }

    #[test]
    fn a_level_in_front_is_taken() {
        assert_eq!(read("ERROR no disk"), "[    1.234567] ramd[12] ERROR no disk\n");
        assert_eq!(read("WARN: low"), "[    1.234567] ramd[12] WARN  low\n");
        assert_eq!(read("DEBUG"), "[    1.234567] ramd[12] DEBUG \n");
        assert_eq!(read("Errors: 3"), "[    1.234567] ramd[12] INFO  Errors: 3\n");
        assert_eq!(read("WARNING x"), "[    1.234567] ramd[12] INFO  WARNING x\n");
    }

    #[test]
    fn nothing_can_fake_a_line_or_play_with_the_terminal() {
        assert_eq!(
            read("a\r[ 0.0] \x1b[2Jb\tc\x7f\u{9b}"),
            "[    1.234567] ramd[12] INFO  a\\x0d[ 0.0] \\x1b[2Jb c\\x7f\\x9b\n"
        );
        let broken = Line::new(0, 1, b"a\xFFb");
        assert_eq!(broken.text, "a\u{FFFD}b");
    }

    #[test]
    fn missing_lines_are_counted() {
        assert_eq!(lost(0, 1), "[    0.000000] logd WARN  1 line lost\n");
        assert_eq!(lost(2_000_000, 7), "[    2.000000] logd WARN  7 lines lost\n");
    }
}
