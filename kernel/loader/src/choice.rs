//! The command line in the EFI partition, and what the person at the keyboard makes of it.
//!
//! The file is text: words between blanks, on any number of lines; from `#` to the end of a line is
//! a comment. Words that begin with `loader.` are the loader's, the others the kernel's.

use alloc::string::String;

/// Seconds until the system starts by itself, unless `loader.wait=` says.
const WAIT: u64 = 1;
const WAIT_MAX: u64 = 3600;

/// How to boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// As the command line says.
    Normal,
    /// With everything that the kernel notes shown.
    Verbose,
    /// Only a shell on the console, from the boot archive.
    Rescue,
}

/// What the menu says.
pub const MENU: &str = "Enter boots, V boots and shows what happens, R starts a rescue shell.";

impl Choice {
    /// What a key means; `None` for keys that mean nothing.
    pub fn of_key(key: char) -> Option<Self> {
        match key.to_ascii_lowercase() {
            '\r' | '\n' | ' ' => Some(Self::Normal),
            'v' => Some(Self::Verbose),
            'r' => Some(Self::Rescue),
            _ => None,
        }
    }

    /// What it adds to the command line.
    fn words(self) -> &'static str {
        match self {
            Self::Normal => "",
            Self::Verbose => "log=debug",
            Self::Rescue => "rescue",
        }
    }
}

/// The command line, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// The kernel's words.
    words: String,
    /// Seconds to wait for a key.
    pub wait: u64,
}

impl CommandLine {
    /// Reads the file's text.
    ///
    /// # Errors
    /// The word that cannot be understood.
    pub fn parse(text: &str) -> Result<Self, &str> {
        let mut line = Self { words: String::new(), wait: WAIT };
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
        for word in lines.flat_map(str::split_whitespace) {
            match word.strip_prefix("loader.") {
                Some(own) => {
                    let wait = own.strip_prefix("wait=").and_then(|text| text.parse().ok());
                    line.wait = wait.filter(|wait| *wait <= WAIT_MAX).ok_or(word)?;
                }
                None => add(&mut line.words, word),
            }
        }
        Ok(line)
    }

    /// What the kernel gets.
    pub fn with(&self, choice: Choice) -> String {
        let mut words = self.words.clone();
        if choice != Choice::Normal {
            add(&mut words, choice.words());
        }
        words
    }
}

fn add(words: &mut String, word: &str) {
    if !words.is_empty() {
        words.push(' ');
    }
    words.push_str(word);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_comments() {
        let text = "# how to boot\nlog=info  panic=reboot\r\n\tinit=/bin/x # y\nloader.wait=5\n";
        let line = CommandLine::parse(text).unwrap();
        assert_eq!(line.with(Choice::Normal), "log=info panic=reboot init=/bin/x");
        assert_eq!(line.with(Choice::Rescue), "log=info panic=reboot init=/bin/x rescue");
        assert_eq!(line.wait, 5);
        assert_eq!(CommandLine::parse("").unwrap().with(Choice::Verbose), "log=debug");
    }

    #[test]
    fn a_loader_word_that_is_none_is_told() {
        for word in ["loader.wait=x", "loader.wait=99999", "loader.wiat=1", "loader."] {
            assert_eq!(CommandLine::parse(word), Err(word));
        }
    }

    #[test]
    fn keys() {
        assert_eq!(Choice::of_key('V'), Some(Choice::Verbose));
        assert_eq!(Choice::of_key('r'), Some(Choice::Rescue));
        assert_eq!(Choice::of_key('\r'), Some(Choice::Normal));
        assert_eq!(Choice::of_key('x'), None);
    }
}
