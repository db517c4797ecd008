//! `mkfs` — make an empty file system.

use std::process::Command;

use crate::Tool;
use crate::arguments::{Argument, Arguments};
use crate::failure::Failure;

pub(crate) const TOOL: Tool = Tool {
    name: "mkfs",
    help: "\
mkfs - make an empty file system on a disk or partition

Usage: mkfs [-t TYPE] DEVICE

Options:
  -t TYPE     redoxfs (unless given) or fat
  -h, --help  print this text
  --version   print the version

Everything on DEVICE is lost. The file system has the size of the device.

Examples:
  mkfs disk:1
  mkfs -t fat disk:1p1

See also: mount, lsblk, df
",
    run,
};

/// File systems and the daemons that know them.
pub(crate) const DAEMONS: [(&str, &str); 2] = [("redoxfs", "/bin/filed"), ("fat", "/bin/fatd")];

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let (mut device, mut kind) = (None, "redoxfs".to_owned());
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Short('t') => kind = arguments.text()?,
            Argument::Word(word) if device.is_none() => device = Some(word),
            other => return Err(other.unexpected()),
        }
    }
    let device = device.ok_or(Failure::Usage("a device is missing".into()))?;
    let daemon = DAEMONS.iter().find(|(name, _)| *name == kind).map(|(_, daemon)| daemon);
    let daemon = daemon.ok_or(Failure::Usage(format!("{kind}: no such type")))?;
    let status = Command::new(daemon).args(["--make", &device]).status();
    let status = status.map_err(|error| Failure::of(daemon, error))?;
    Ok(status.code().map_or(1, |code| code as u8))
}
