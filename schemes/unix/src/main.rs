//! `unixd` — serves `unix:`, where sockets with a name find each other.

#[cfg(target_os = "redox")]
mod daemon;

use std::process::ExitCode;

#[cfg(target_os = "redox")]
use daemon::run;
use scheme::command::Program;
#[cfg(not(target_os = "redox"))]
use scheme::command::only_on_lifeboat as run;

const PROGRAM: Program = Program {
    name: "unixd",
    version: env!("CARGO_PKG_VERSION"),
    help: "\
unixd - serves unix: (sockets that have a name)

Usage: unixd [--help | --version]

Examples:
  unixd &
  cat unix:list

See also: docs/schemes/unix.md
",
};

fn main() -> ExitCode {
    PROGRAM.main(run)
}
