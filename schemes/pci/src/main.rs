//! `pcid` — serves `pci:`.

use std::process::ExitCode;

use scheme::command::Program;
#[cfg(not(target_os = "redox"))]
use scheme::command::only_on_lifeboat as run;

#[cfg(target_os = "redox")]
mod claim;
#[cfg(target_os = "redox")]
mod daemon;
#[cfg(target_os = "redox")]
mod window;
#[cfg(target_os = "redox")]
use daemon::run;

const PROGRAM: Program = Program {
    name: "pcid",
    version: env!("CARGO_PKG_VERSION"),
    help: "\
pcid - serves pci:, the devices on the PCI buses

Usage: pcid
       pcid --help | --version

Examples:
  pcid &
  ls pci:
  cat pci:00:02.0/info

See also: lspci, docs/schemes/pci.md
",
};

fn main() -> ExitCode {
    PROGRAM.main(run)
}
