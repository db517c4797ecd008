//! `virtio-blkd` — drives a virtio block device, for `disk:`.

use std::process::ExitCode;

use scheme::command::Program;
#[cfg(not(target_os = "redox"))]
use scheme::command::only_on_lifeboat as run;

#[cfg(target_os = "redox")]
mod config;
#[cfg(target_os = "redox")]
mod setup;
#[cfg(target_os = "redox")]
use setup::run;

const PROGRAM: Program = Program {
    name: "virtio-blkd",
    version: env!("CARGO_PKG_VERSION"),
    help: "\
virtio-blkd - drives a virtio block device, for disk:

Usage: virtio-blkd FUNCTION CLAIM
       virtio-blkd --help | --version

diskd starts it; CLAIM is a descriptor of pci:FUNCTION/claim. It gives up root
before it touches the device.

Example:
  lspci; lsblk

See also: diskd, docs/schemes/disk.md
",
};

fn main() -> ExitCode {
    PROGRAM.main(run)
}
