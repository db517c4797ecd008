//! `fatd` — serves `fat:`.

use std::process::ExitCode;

use scheme::command::Program;
#[cfg(not(target_os = "redox"))]
use scheme::command::only_on_lifeboat as run;

#[cfg(target_os = "redox")]
mod daemon;
#[cfg(target_os = "redox")]
use daemon::run;

const PROGRAM: Program = Program {
    name: "fatd",
    version: env!("CARGO_PKG_VERSION"),
    help: "\
fatd - serves fat:, a FAT file system on a disk

Usage: fatd [--scheme NAME] DEVICE
       fatd --make DEVICE
       fatd --help | --version

Options:
  --scheme NAME  serve NAME: instead of fat:
  --make         make an empty file system on DEVICE, and end

Examples:
  fatd disk:0p1 &
  ls fat:

See also: mount, mkfs, lsblk, docs/schemes/fat.md
",
};

fn main() -> ExitCode {
    PROGRAM.main(run)
}
