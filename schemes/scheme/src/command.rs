//! The command line of a daemon: `--help`, `--version`, and exit statuses.
//!
//! Status 0 is success, 1 a failure, 2 a wrong command line.

use std::fmt;
use std::process::ExitCode;

/// Who the program is.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// The binary's name.
    pub name: &'static str,
    /// The binary's version.
    pub version: &'static str,
    /// What `--help` prints.
    pub help: &'static str,
}

/// Why the program ends badly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// The work could not be done.
    Fatal(String),
}

impl Failure {
    /// A failure of `what`, with the reason.
    pub fn fatal(what: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self::Fatal(format!("{what}: {reason}"))
    }
}

impl Program {
    /// Answers `--help` and `--version`, gives every other command line to `run`, and turns a
    /// failure into a line on standard error and an exit status.
    pub fn main(self, run: impl FnOnce(&[String]) -> Result<(), Failure>) -> ExitCode {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        if let Some(text) = self.asked(&arguments) {
            println!("{text}");
            return ExitCode::SUCCESS;
        }
        match run(&arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(Failure::Usage(reason)) => {
                eprintln!("{0}: {reason}\nTry '{0} --help'.", self.name);
                ExitCode::from(2)
            }
            Err(Failure::Fatal(reason)) => {
                eprintln!("{}: {reason}", self.name);
                ExitCode::FAILURE
            }
        }
    }

    /// The text that the first argument asks for, if it asks for one.
    fn asked(&self, arguments: &[String]) -> Option<String> {
        match arguments.first()?.as_str() {
            "-h" | "--help" => Some(self.help.trim_end().to_owned()),
            "--version" => Some(format!("{} {}", self.name, self.version)),
            _ => None,
        }
    }
}

/// Refuses any argument, for daemons that take none.
pub fn no_arguments(arguments: &[String]) -> Result<(), Failure> {
    match arguments.first() {
        None => Ok(()),
        Some(first) => Err(Failure::Usage(format!("unexpected argument '{first}'"))),
    }
}

/// What a daemon's `run` is where there are no schemes to serve.
#[cfg(not(target_os = "redox"))]
pub fn only_on_lifeboat(_arguments: &[String]) -> Result<(), Failure> {
    Err(Failure::Fatal("serves a scheme, so it runs only on Lifeboat".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: Program = Program { name: "testd", version: "1.2.3", help: "testd - tests\n" };

    fn asked(arguments: &[&str]) -> Option<String> {
        PROGRAM.asked(&arguments.iter().map(|&text| text.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn help_and_version_are_answered() {
        assert_eq!(asked(&["--help"]).as_deref(), Some("testd - tests"));
        assert_eq!(asked(&["-h"]).as_deref(), Some("testd - tests"));
        assert_eq!(asked(&["--version"]).as_deref(), Some("testd 1.2.3"));
    }

    #[test]
    fn everything_else_goes_to_the_program() {
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&["--size", "--help"]), None);
    }

    #[test]
    fn an_argument_too_many_is_a_usage_error() {
        assert_eq!(no_arguments(&[]), Ok(()));
        assert!(matches!(no_arguments(&["x".to_owned()]), Err(Failure::Usage(_))));
    }
}
