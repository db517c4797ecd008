//! `ramd` — serves `ram:` and `shm:`.

use std::process::ExitCode;

use scheme::command::Program;
#[cfg(not(target_os = "redox"))]
use scheme::command::only_on_lifeboat as run;

#[cfg(target_os = "redox")]
mod daemon;
#[cfg(target_os = "redox")]
use daemon::run;

const PROGRAM: Program = Program {
    name: "ramd",
    version: env!("CARGO_PKG_VERSION"),
    help: "\
ramd - serves ram:, files that live in memory (mounted at /tmp), and shm:, memory that
       programs share by name

Usage: ramd [--size SIZE]
       ramd --help | --version

Options:
  --size SIZE  how much may be stored: bytes, or with K, M or G, or with % of
               the machine's memory (default 25%)

Examples:
  ramd --size 64M &
  echo hello > ram:greeting
  ls -l /tmp

See also: docs/schemes/ram.md
",
};

fn main() -> ExitCode {
    PROGRAM.main(run)
}
