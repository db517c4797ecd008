//! `filed` — serves `file:`.

use std::process::ExitCode;

use scheme::command::Program;
#[cfg(not(target_os = "redox"))]
use scheme::command::only_on_lifeboat as run;

#[cfg(target_os = "redox")]
mod backing;
#[cfg(target_os = "redox")]
mod daemon;
#[cfg(target_os = "redox")]
mod damaged;
#[cfg(target_os = "redox")]
use daemon::run;

const PROGRAM: Program = Program {
    name: "filed",
    version: env!("CARGO_PKG_VERSION"),
    help: "\
filed - serves file:, the RedoxFS on a disk

Usage: filed [--scheme NAME] [DEVICE]
       filed --make DEVICE
       filed --damaged
       filed --help | --version

Options:
  --scheme NAME  serve NAME: instead of file:
  --make         make an empty file system on DEVICE, and end
  --damaged      answer everything with EIO; filed turns into this when it
                 stumbles over what is on the disk

Without DEVICE it takes the first partition of the root type. When there is
none, file: exists, but opening anything in it says that there is no device.

Examples:
  filed disk:0p2 &
  echo kept > file:/home/note; sync

See also: mount, mkfs, lsblk, sync, docs/schemes/file.md
",
};

fn main() -> ExitCode {
    PROGRAM.main(run)
}
