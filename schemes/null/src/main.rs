//! `nulld` — serves `null:` and `zero:` from one socket under two names.

use std::process::ExitCode;

use scheme::command::Program;
#[cfg(not(target_os = "redox"))]
use scheme::command::only_on_lifeboat as run;

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

#[cfg(target_os = "redox")]
fn run(arguments: &[String]) -> Result<(), scheme::command::Failure> {
    scheme::command::no_arguments(arguments)?;
    scheme::device_scheme::serve(nulld::NullAndZero)
}

fn main() -> ExitCode {
    PROGRAM.main(run)
}
