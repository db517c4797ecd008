//! `logd` — serves `log:`.

use std::process::ExitCode;

use scheme::command::Program;
#[cfg(not(target_os = "redox"))]
use scheme::command::only_on_lifeboat as run;

#[cfg(target_os = "redox")]
mod daemon;
#[cfg(target_os = "redox")]
use daemon::run;

const PROGRAM: Program = Program {
    name: "logd",
    version: env!("CARGO_PKG_VERSION"),
    help: "\
logd - serves log:, what the services have to say

Usage: logd [--help | --version]

Examples:
  logd &
  echo WARN the tide is high > log:harbour
  cat log:
  cat log:harbour@follow

See also: docs/schemes/log.md
",
};

fn main() -> ExitCode {
    PROGRAM.main(run)
}
