//! What test programs print: one line a case, then a count.
//!
//! ```text
//! ok null-pointer
//! FAILED low-memory: read gave 3, not EFAULT
//! rude: 1 passed, 1 failed
//! ```

use abi::redox::error::{Error, Result};
use std::fmt::{self, Debug, Display};
use std::process::ExitCode;

/// Why a case failed.
#[derive(Debug)]
pub struct Failure(pub String);

/// What a case comes to.
pub type Check = std::result::Result<(), Failure>;

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(format!("a call failed that should not: {error:?}"))
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Fails unless both are equal.
pub fn equal<T: PartialEq + Debug>(what: &str, found: T, wanted: T) -> Check {
    if found == wanted { Ok(()) } else { Err(format!("{what}: {found:?}, not {wanted:?}").into()) }
}

/// Fails unless it holds.
pub fn holds(what: &str, holds: bool) -> Check {
    if holds { Ok(()) } else { Err(what.to_string().into()) }
}

/// Fails unless the result is this error.
pub fn refused(what: &str, found: Result<usize>, wanted: i32) -> Check {
    match found {
        Err(error) if error.errno == wanted => Ok(()),
        found => Err(format!("{what}: {found:?}, not {:?}", Error::new(wanted)).into()),
    }
}

/// A case: its name and what it does.
pub type Case = (&'static str, fn() -> Check);

/// Runs the cases that the command line names, or all; prints and counts.
///
/// `--list` prints their names, `--help` the text.
pub fn run(program: &str, help: &str, cases: &[Case]) -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    for word in &wanted {
        match word.as_str() {
            "-h" | "--help" => {
                print!("{help}");
                return ExitCode::SUCCESS;
            }
            "--list" => {
                cases.iter().for_each(|(name, _)| println!("{name}"));
                return ExitCode::SUCCESS;
            }
            word if cases.iter().any(|(name, _)| *name == word) => {}
            word => {
                eprintln!("{program}: no such case: {word}\nTry '{program} --list'.");
                return ExitCode::from(2);
            }
        }
    }
    let chosen = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    let (mut passed, mut failed) = (0, 0);
    for (name, case) in cases.iter().filter(|(name, _)| chosen(name)) {
        match case() {
            Ok(()) => {
                passed += 1;
                println!("ok {name}");
            }
            Err(failure) => {
                failed += 1;
                println!("FAILED {name}: {failure}");
            }
        }
    }
    println!("{program}: {passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
