//! `consoled` — serves `console:`.

use std::process::ExitCode;

use scheme::command::Program;
#[cfg(not(target_os = "redox"))]
use scheme::command::only_on_lifeboat as run;

#[cfg(target_os = "redox")]
mod daemon;
#[cfg(target_os = "redox")]
mod screen;
#[cfg(target_os = "redox")]
use daemon::run;

const PROGRAM: Program = Program {
    name: "consoled",
    version: env!("CARGO_PKG_VERSION"),
    help: "\
consoled - serves console:, a terminal on top of debug:, display: and serio:

Usage: consoled [--size COLUMNSxROWS] [--layout NAME]
       consoled --help | --version

Options:
  --size COLUMNSxROWS  the window's size (the screen's, or 80x24); programs may change it
  --layout NAME        the keyboard's layout (default us): us uk de fr fi se no jp dvorak
                       colemak

Examples:
  consoled --size 132x43 &
  echo hello > console:

See also: docs/schemes/console.md
",
};

fn main() -> ExitCode {
    PROGRAM.main(run)
}
