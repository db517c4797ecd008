//! The list of checks and what runs them.

mod console;
mod devices;
mod fifos;
mod file;
mod log;
mod mapped;
mod ram;

use std::fmt::Debug;
use std::io;

use scheme::command::Failure;

/// What a check says: nothing when all is well.
type Checked = Result<(), String>;

type Check = (&'static str, fn() -> Checked);

/// Runs the checks whose name has the first argument in it.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let wanted = arguments.first().map_or("", String::as_str);
    let parts = [devices::CHECKS, ram::CHECKS, file::CHECKS, log::CHECKS, console::CHECKS];
    let chosen = parts.into_iter().flatten().filter(|(name, _)| name.contains(wanted));
    let (mut count, mut failed) = (0, 0);
    for (name, check) in chosen {
        count += 1;
        match check() {
            Ok(()) => println!("@@TEST {name} ok"),
            Err(reason) => {
                failed += 1;
                println!("@@TEST {name} FAIL {reason}");
            }
        }
    }
    match (count, failed) {
        (0, _) => Err(Failure::Usage(format!("no check has '{wanted}' in its name"))),
        (_, 0) => Ok(()),
        _ => Err(Failure::Fatal(format!("{failed} of {count} checks failed"))),
    }
}

/// A step that must work.
fn ok<T>(what: &str, result: io::Result<T>) -> Result<T, String> {
    result.map_err(|error| format!("{what}: {error}"))
}

/// A step that must fail with this error number.
fn fails<T>(what: &str, result: io::Result<T>, errno: i32) -> Checked {
    match result {
        Ok(_) => Err(format!("{what}: worked")),
        Err(error) if error.raw_os_error() == Some(errno) => Ok(()),
        Err(error) => Err(format!("{what}: {error}, not error {errno}")),
    }
}

/// Two things that must be the same.
fn same<T: PartialEq + Debug>(what: &str, seen: T, expected: T) -> Checked {
    if seen == expected {
        return Ok(());
    }
    Err(format!("{what}: {seen:?}, not {expected:?}"))
}
