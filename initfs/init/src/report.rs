//! What init says: one line each, to its standard error (`debug:` from the kernel).
//!
//! While a command's output must stay exact (`exec=`), lines are kept and said afterwards.

use std::fmt::Display;
use std::io::Write;

/// The way out.
#[derive(Debug, Default)]
pub(crate) struct Report {
    held: Option<Vec<String>>,
}

impl Report {
    /// Says one line, now or after [`Report::release`].
    pub(crate) fn say(&mut self, line: impl Display) {
        match &mut self.held {
            Some(lines) => lines.push(line.to_string()),
            None => write_line(&line.to_string()),
        }
    }

    /// Keeps lines from here on.
    pub(crate) fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    /// Says what was kept.
    pub(crate) fn release(&mut self) {
        for line in self.held.take().into_iter().flatten() {
            write_line(&line);
        }
    }
}

/// One write per line, so that lines of several programs do not mix. There is nobody to tell
/// when even this fails.
fn write_line(line: &str) {
    let _ = std::io::stderr().write_all(format!("init: {line}\n").as_bytes());
}
