//! `diskd` — serves `disk:`.

use std::process::ExitCode;

use scheme::command::Program;
#[cfg(not(target_os = "redox"))]
use scheme::command::only_on_lifeboat as run;

#[cfg(target_os = "redox")]
mod asking;
#[cfg(target_os = "redox")]
mod daemon;
#[cfg(target_os = "redox")]
mod starter;
#[cfg(target_os = "redox")]
use daemon::run;

const PROGRAM: Program = Program {
    name: "diskd",
    version: env!("CARGO_PKG_VERSION"),
    help: "\
diskd - serves disk:, the disks and their partitions

Usage: diskd
       diskd --help | --version

For every disk controller that pci: has and nobody else has claimed it starts a
driver, virtio-blkd, nvmed or ahcid, and starts it again when it ends. Whoever
opens a disk gets the driver's own file.

Examples:
  diskd &
  cat disk:info
  hexdump -n 64 disk:0

See also: lsblk, lspci, docs/schemes/disk.md
",
};

fn main() -> ExitCode {
    PROGRAM.main(run)
}
