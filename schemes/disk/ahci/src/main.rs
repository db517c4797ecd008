//! `ahcid` — drives an AHCI controller, for `disk:`.

use std::process::ExitCode;

use scheme::command::Program;
#[cfg(not(target_os = "redox"))]
use scheme::command::only_on_lifeboat as run;

const PROGRAM: Program = Program {
    name: "ahcid",
    version: env!("CARGO_PKG_VERSION"),
    help: "\
ahcid - drives an AHCI controller, for disk:

Usage: ahcid FUNCTION CLAIM
       ahcid --help | --version

diskd starts it; CLAIM is a descriptor of pci:FUNCTION/claim. It gives up root
before it touches the device. Every port with an ATA disk is a disk.

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
    /// The base address register of AHCI's registers (1.3.1, 2.1.11).
    const REGISTERS: usize = 5;
    diskd::driver::run(arguments, |claimed| {
        let registers = claimed.registers(REGISTERS)?;
        let line = claimed.interrupt(0)?;
        let length = registers.length();
        let wait = Box::new(move |limit| line.wait(limit));
        ahcid::disks(Box::new(registers), length, &**claimed, wait)
    })
}
