//! `sync` — what was written is safe from a power cut when it ends.

use std::fs::File;

use crate::Tool;
use crate::arguments::{Argument, Arguments};
use crate::failure::Failure;

pub(crate) const TOOL: Tool = Tool {
    name: "sync",
    help: "\
sync - wait until what was written is safe from a power cut

Usage: sync [FILE...]

Options:
  -h, --help  print this text
  --version   print the version

Without FILE: everything in file:.

Examples:
  sync /home/letter
  sync

See also: shutdown
",
    run,
};

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let mut files = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Word(file) => files.push(file),
            other => return Err(other.unexpected()),
        }
    }
    if files.is_empty() {
        files.push("/scheme/file/".to_owned());
    }
    for file in files {
        let synced = File::open(&file).and_then(|file| file.sync_all());
        synced.map_err(|error| Failure::of(&file, error))?;
    }
    Ok(0)
}
