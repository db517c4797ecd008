//! `nulld` — serves `null:` and `zero:` from one socket under two names.

use std::process::ExitCode;

use scheme::command::Program;
#[cfg(not(target_os = "redox"))]
use scheme::command::only_on_lifeboat as run;

#[cfg(target_os = "redox")]
mod daemon;
#[cfg(target_os = "redox")]
use daemon::run;

const PROGRAM: Program = Program {
    name: "nulld",
    version: env!("CARGO_PKG_VERSION"),
    help: "\
nulld - serves null: (swallows writes, reads as empty) and zero: (reads as zeros)

Usage: nulld [--help | --version]

Examples:
  nulld &
  echo gone > null:
  head -c 4096 zero: > ram:page

See also: docs/schemes/null.md
",
};

fn main() -> ExitCode {
    PROGRAM.main(run)
}
