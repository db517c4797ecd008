//! `randd` — serves `rand:`.
//!
//! The standard library's hash maps take their keys from `rand:`, so nothing here may use one.

use std::process::ExitCode;

use scheme::command::Program;
#[cfg(not(target_os = "redox"))]
use scheme::command::only_on_lifeboat as run;

const PROGRAM: Program = Program {
    name: "randd",
    version: env!("CARGO_PKG_VERSION"),
    help: "\
randd - serves rand: (random bytes; writing adds entropy)

Usage: randd [--help | --version]

Examples:
  randd &
  head -c 16 rand: | hexdump
  cat sys:stat > rand:

See also: docs/schemes/rand.md
",
};

#[cfg(target_os = "redox")]
fn run(arguments: &[String]) -> Result<(), scheme::command::Failure> {
    scheme::command::no_arguments(arguments)?;
    scheme::device_scheme::serve(randd::Random::new())
}

fn main() -> ExitCode {
    PROGRAM.main(run)
}
