//! `sync` — what was written is safe from a power cut when it ends.

use std::fs::File;

use crate::Tool;
use crate::arguments::{Argument, Arguments};
use crate::failure::Failure;
use crate::{mount, source};

pub(crate) const TOOL: Tool = Tool {
    name: "sync",
    help: "\
sync - wait until what was written is safe from a power cut

Usage: sync [FILE...]

Options:
  -h, --help  print this text
  --version   print the version

Without FILE: everything in file: and on disks that mount has mounted.

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
        files.extend(mounted(&source::read("sys", "scheme")?));
    }
    for file in files {
        let synced = File::open(&file).and_then(|file| file.sync_all());
        synced.map_err(|error| Failure::of(&file, error))?;
    }
    Ok(0)
}

/// The roots of the schemes that `mount` has started daemons for.
fn mounted(list: &str) -> impl Iterator<Item = String> {
    let names = list.lines().filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| name.starts_with(mount::DEVICE_SCHEME))
        .map(|name| format!("/scheme/{name}/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounted_disks_are_found() {
        let list = "file user 3\ndisk user 4\ndisk-0p2 user 9\n";
        assert_eq!(mounted(list).collect::<Vec<_>>(), ["/scheme/disk-0p2/"]);
    }
}
