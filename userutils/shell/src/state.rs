//! The shell itself: everything that lasts from one command to the next.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::rc::Rc;

use nix::unistd::Pid;

use crate::ast::{Command, List};
use crate::expand;
use crate::jobs::Jobs;
use crate::run::Part;
use crate::system::{self, Terminal, Waited};
use crate::variables::Variables;

/// `set -e` and friends.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// `-e`: a failure that nobody tests ends the shell.
    pub exit_on_error: bool,
    /// `-u`: an unset parameter is an error.
    pub no_unset: bool,
    /// `-f`: patterns stay as they are.
    pub no_glob: bool,
    /// `-x`: commands are shown before they run.
    pub trace: bool,
}

/// The name of the machine, where one is, and who types: `#` as everywhere for root.
const DEFAULT_PROMPT: &str = "lifeboat:$PWD# ";

/// One shell.
#[derive(Debug, Default)]
pub struct Shell {
    /// Variables.
    pub variables: Variables,
    /// Functions by name.
    pub functions: HashMap<String, Rc<Command>>,
    /// Aliases by name.
    pub aliases: Rc<RefCell<BTreeMap<String, String>>>,
    /// `$0`.
    pub name: String,
    /// `$1` and on.
    pub positional: Vec<String>,
    /// `$?`.
    pub status: i32,
    /// `$!`.
    pub last_background: Option<Pid>,
    /// Background commands.
    pub jobs: Jobs,
    /// What runs in the foreground, as it was typed, in case it stops.
    pub typed: String,
    /// Children that write long here-documents, until they are seen to have ended.
    pub writers: Vec<Pid>,
    /// What `set` has switched.
    pub options: Options,
    /// Lines typed, for `history`.
    pub history: Vec<String>,
    /// `$$`.
    pub pid: u32,
    /// The terminal, if a person is at it: each pipeline is given it while it runs.
    pub terminal: Option<Terminal>,
    /// Loops around the command that runs.
    pub loops: usize,
    /// Functions and sourced files around it.
    pub calls: usize,
    /// Conditions around it, in which a failure is no reason to exit.
    pub conditions: usize,
    /// The status of the last `$(...)` of the command that runs.
    pub substituted: Option<i32>,
}

impl Shell {
    /// A shell with the process's environment.
    pub fn new(name: &str, positional: Vec<String>) -> Self {
        let utf8 = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let mut shell = Self {
            variables: Variables::from_environment(std::env::vars_os().filter_map(utf8)),
            name: name.to_owned(),
            positional,
            pid: std::process::id(),
            ..Self::default()
        };
        let defaults = [("PATH", "/bin"), ("IFS", " \t\n"), ("PS1", DEFAULT_PROMPT), ("PS2", "> ")];
        for (name, value) in defaults {
            if shell.variables.get(name).is_none() || name == "IFS" {
                shell.variables.set(name, value).expect("nothing is read-only yet");
            }
        }
        shell.variables.export("IFS", false);
        if let Ok(directory) = std::env::current_dir() {
            let directory = directory.to_string_lossy();
            shell.variables.set("PWD", directory).expect("nothing is read-only yet");
        }
        shell
    }

    /// Says something on standard error, under the shell's name.
    pub fn complain(&self, what: impl std::fmt::Display) {
        let name = self.name.rsplit('/').next().unwrap_or("sh");
        // There is nobody to tell when even this fails.
        let text = what.to_string();
        let text = without_number(&text);
        let _ = std::io::stderr().write_all(format!("{name}: {text}\n").as_bytes());
    }

    /// Whether a person types.
    pub fn is_interactive(&self) -> bool {
        self.terminal.is_some()
    }
}

/// An error as a person wants it: std's words without std's ` (os error 2)`.
fn without_number(text: &str) -> &str {
    let cut = text.strip_suffix(')').and_then(|text| text.rsplit_once(" (os error "));
    match cut {
        Some((words, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => words,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::without_number;

    #[test]
    fn errors_are_said_without_their_number() {
        assert_eq!(without_number("x: No such file (os error 2)"), "x: No such file");
        for text in ["x (os error two)", "(os error 2", "plain", ""] {
            assert_eq!(without_number(text), text);
        }
    }
}

impl expand::Environment for Shell {
    fn get(&self, name: &str) -> Option<String> {
        match name {
            "?" => Some(self.status.to_string()),
            "$" => Some(self.pid.to_string()),
            "!" => self.last_background.map(|pid| pid.to_string()),
            "#" => Some(self.positional.len().to_string()),
            "0" => Some(self.name.clone()),
            "-" => Some(self.option_letters()),
            name => self.variables.get(name).map(str::to_owned),
        }
    }

    fn assign(&mut self, name: &str, value: String) -> Result<(), expand::Error> {
        if !crate::parse::is_name(name) {
            return Err(format!("{name}: cannot be assigned to"));
        }
        self.variables.set(name, value)
    }

    fn positional(&self) -> &[String] {
        &self.positional
    }

    fn output_of(&mut self, list: &List) -> Result<String, expand::Error> {
        let (mut reader, writer) = std::io::pipe().map_err(|error| format!("pipe: {error}"))?;
        let error = |error| format!("cannot substitute: {error}");
        let child = self.fork_child(&Part::List(list), || system::put(writer.as_raw_fd(), 1));
        let pid = child.map_err(error)?;
        drop(writer);
        let mut bytes = Vec::new();
        let read = reader.read_to_end(&mut bytes);
        drop(reader);
        self.substituted = match system::wait(pid, false).map_err(error)? {
            Waited::Ended(ended) => Some(ended.status()),
            Waited::Stopped(_) | Waited::Interrupted => None,
        };
        read.map_err(error)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn entries(&self, directory: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    fn exists(&self, path: &str) -> bool {
        fs::symlink_metadata(path).is_ok()
    }

    fn keeps_patterns(&self) -> bool {
        self.options.no_glob
    }

    fn forbids_unset(&self) -> bool {
        self.options.no_unset
    }
}

impl Shell {
    /// `$-`.
    pub fn option_letters(&self) -> String {
        let Options { exit_on_error, no_unset, no_glob, trace } = self.options;
        let all = [
            ('e', exit_on_error),
            ('f', no_glob),
            ('i', self.is_interactive()),
            ('u', no_unset),
            ('x', trace),
        ];
        all.iter().filter(|(_, on)| *on).map(|(letter, _)| letter).collect()
    }
}
