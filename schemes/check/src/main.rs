//! `schemes-check` — asks the running daemons what their pages in `docs/schemes/` promise.
//!
//! Prints one line for each check, `@@TEST name ok` or `@@TEST name FAIL reason`, and ends with
//! status 1 if any failed. An argument picks the checks whose name has it in it.

use std::process::ExitCode;

use scheme::command::Program;
#[cfg(not(target_os = "redox"))]
use scheme::command::only_on_lifeboat as run;

#[cfg(target_os = "redox")]
mod checks;
#[cfg(target_os = "redox")]
use checks::run;

const PROGRAM: Program = Program {
    name: "schemes-check",
    version: env!("CARGO_PKG_VERSION"),
    help: "\
schemes-check - ask the running scheme daemons what they promise

Usage: schemes-check [PART-OF-A-NAME]
       schemes-check --help | --version

Examples:
  schemes-check
  schemes-check ram
",
};

fn main() -> ExitCode {
    PROGRAM.main(run)
}
