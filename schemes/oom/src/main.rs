//! `oomd` — registers with `emergency:daemon`, waits to be asked, answers.

use std::process::ExitCode;

use scheme::command::Program;
#[cfg(not(target_os = "redox"))]
use scheme::command::only_on_lifeboat as run;

#[cfg(target_os = "redox")]
mod daemon;
#[cfg(target_os = "redox")]
use daemon::run;

const PROGRAM: Program = Program {
    name: "oomd",
    version: env!("CARGO_PKG_VERSION"),
    help: "\
oomd - decides what ends when memory runs out and nobody is there

Usage: oomd [POLICY]

Reads POLICY, /etc/oomd.toml unless given, once, and registers with emergency:daemon.
When the world has stopped and no key was pressed for the policy's time, it names the
jobs to end; with a policy of never it leaves that to the picker.

Policy:
  auto = \"fastest-growing,30s\"  or largest; the time a person has; or never
  never = [\"editor\"]            programs that are not ended
  first = [\"leak\"]              programs that end first

Examples:
  oomd &
  cat emergency:daemon

See also: emerg, /share/doc/emergency.md
",
};

fn main() -> ExitCode {
    PROGRAM.main(run)
}
