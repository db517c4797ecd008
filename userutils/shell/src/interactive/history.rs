//! `$HISTFILE`, or `.sh_history` in the home directory: the lines typed, the oldest first.
//!
//! A line typed over several is kept with `\` and newline between. A history that cannot be read
//! or written is simply not there: no prompt should fail for it.

use std::fs::{self, OpenOptions};
use std::io::Write;

use crate::state::Shell;

/// Lines kept.
const MAX: usize = 1000;

fn path(shell: &Shell) -> Option<String> {
    if let Some(path) = shell.variables.get("HISTFILE") {
        return (!path.is_empty()).then(|| path.to_owned());
    }
    Some(format!("{}/.sh_history", shell.variables.get("HOME")?.trim_end_matches('/')))
}

/// The last lines of the file; a file that has grown far is cut.
pub(super) fn load(shell: &Shell) -> Vec<String> {
    let Some(path) = path(shell) else { return Vec::new() };
    let Ok(text) = fs::read_to_string(&path) else { return Vec::new() };
    let mut entries = decode(&text);
    if entries.len() > MAX {
        entries.drain(..entries.len() - MAX);
        let shorter: String = entries.iter().map(|entry| encode(entry)).collect();
        let _ = fs::write(&path, shorter);
    }
    entries
}

/// Adds one line.
pub(super) fn append(shell: &Shell, entry: &str) {
    let file = path(shell).map(|path| OpenOptions::new().append(true).create(true).open(path));
    if let Some(Ok(mut file)) = file {
        let _ = file.write_all(encode(entry).as_bytes());
    }
}

fn encode(entry: &str) -> String {
    entry.replace('\n', "\\\n") + "\n"
}

fn decode(text: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let (line, continues) = match line.strip_suffix('\\') {
            Some(line) => (line, true),
            None => (line, false),
        };
        match entries.last_mut().filter(|_| open) {
            Some(entry) => entry.extend(["\n", line]),
            None => entries.push(line.to_owned()),
        }
        open = continues;
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_several_lines_read_back() {
        let entries = ["ls", "for x in 1\ndo echo $x\ndone", "echo"];
        let text: String = entries.iter().map(|entry| encode(entry)).collect();
        assert_eq!(decode(&text), entries);
    }
}
