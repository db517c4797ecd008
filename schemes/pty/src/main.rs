//! `ptyd` — serves `pty:`, terminals whose other end is a program.

#[cfg(target_os = "redox")]
mod daemon;

use std::process::ExitCode;

#[cfg(target_os = "redox")]
use daemon::run;
use scheme::command::Program;
#[cfg(not(target_os = "redox"))]
use scheme::command::only_on_lifeboat as run;

const PROGRAM: Program = Program {
    name: "ptyd",
    version: env!("CARGO_PKG_VERSION"),
    help: "\
ptyd - serves pty: (terminals whose other end is a program)

Usage: ptyd [--help | --version]

Examples:
  ptyd &
  cat pty:list
  script -c ls

See also: docs/schemes/pty.md
",
};

fn main() -> ExitCode {
    PROGRAM.main(run)
}
