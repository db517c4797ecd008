//! `nvmed` — drives an NVM Express controller, for `disk:`.

use std::process::ExitCode;

use scheme::command::Program;
#[cfg(not(target_os = "redox"))]
use scheme::command::only_on_lifeboat as run;

const PROGRAM: Program = Program {
    name: "nvmed",
    version: env!("CARGO_PKG_VERSION"),
    help: "\
nvmed - drives an NVM Express controller, for disk:

Usage: nvmed FUNCTION CLAIM
       nvmed --help | --version

diskd starts it; CLAIM is a descriptor of pci:FUNCTION/claim. It gives up root
before it touches the device. Every namespace is a disk.

Example:
  lspci; lsblk

See also: diskd, docs/schemes/disk.md
",
};

fn main() -> ExitCode {
    PROGRAM.main(run)
}

#[cfg(target_os = "redox")]
fn run(arguments: &[String]) -> Result<(), scheme::command::Failure> {
    diskd::driver::run(arguments, |claimed| {
        let registers = claimed.registers(0)?;
        let line = claimed.interrupt(0)?;
        let length = registers.length();
        let wait = Box::new(move |limit| line.wait(limit));
        nvmed::disks(Box::new(registers), length, &**claimed, wait)
    })
}
