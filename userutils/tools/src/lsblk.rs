//! `lsblk` — the disks and their partitions.

use crate::Tool;
use crate::arguments::Arguments;
use crate::columns::{Cell, Listing};
use crate::failure::{Failure, output};
use crate::source;
use crate::units::size;

pub(crate) const TOOL: Tool = Tool {
    name: "lsblk",
    help: "\
lsblk - list the disks and their partitions

Usage: lsblk [--json]

Options:
  --json      for programs, in bytes
  -h, --help  print this text
  --version   print the version

KIND is the driver of a disk, or what a partition is for: efi, root, store, or
the type's GUID.

Examples:
  lsblk

Files:
  disk:info

See also: lspci, dd
",
    run,
};

/// Type GUIDs with a word of their own.
const KINDS: [(&str, &str); 3] = [
    ("C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "efi"),
    ("6C696665-626F-4174-8000-726F6F746673", "root"),
    ("6C696665-626F-4174-8000-73746F726500", "store"),
];

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let json = arguments.only_json()?;
    output(&listing(&source::read("disk", "info")?).render(json))?;
    Ok(0)
}

fn listing(text: &str) -> Listing {
    let mut listing = Listing::new(&[
        ("NAME", "name"),
        ("SIZE", "size"),
        ("ACCESS", "access"),
        ("KIND", "kind"),
        ("LABEL", "label"),
    ]);
    let row = |line: &str| {
        let mut words = line.splitn(6, ' ');
        let name = words.next()?;
        let bytes: u64 = words.nth(1)?.parse().ok()?;
        let (access, kind) = (words.next()?, words.next()?);
        let kind = KINDS.iter().find(|(guid, _)| *guid == kind).map_or(kind, |(_, word)| word);
        let label = words.next().filter(|label| !label.is_empty()).unwrap_or("-");
        let text = |text: &str| Cell::Text(text.to_owned());
        let shown = Cell::Shown(bytes, size(bytes));
        Some(vec![text(name), shown, text(access), text(kind), text(label)])
    };
    listing.rows = text.lines().filter_map(row).collect();
    listing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_named_by_what_they_are_for() {
        let text = "0 0 270532608 ro virtio \n\
                    0p1 1048576 201326592 rw 6C696665-626F-4174-8000-726F6F746673 my root\n";
        let expected = "NAME      SIZE  ACCESS  KIND    LABEL\n\
                        0     258.0 MB  ro      virtio  -\n\
                        0p1   192.0 MB  rw      root    my root\n";
        assert_eq!(listing(text).render(false), expected);
    }
}
