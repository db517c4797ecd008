//! `df` — how much room there is where.

use std::ffi::CString;
use std::io;

use crate::Tool;
use crate::arguments::{Argument, Arguments};
use crate::columns::{Cell, Listing};
use crate::failure::{Failure, output};
use crate::source;
use crate::units::size;

pub(crate) const TOOL: Tool = Tool {
    name: "df",
    help: "\
df - show how much room there is on file systems

Usage: df [--json] [PATH...]

Options:
  --json      for programs, in bytes
  -h, --help  print this text
  --version   print the version

Without PATH: everything that is mounted and has a size.

Examples:
  df
  df /home

Files:
  sys:mount

See also: mount, du, lsblk
",
    run,
};

/// The room on one file system, in bytes.
struct Space {
    total: u64,
    free: u64,
}

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let (mut paths, mut json) = (Vec::new(), false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Long(name) if name == "json" => json = true,
            Argument::Word(word) => paths.push(word),
            other => return Err(other.unexpected()),
        }
    }
    let mut rows = Vec::new();
    if paths.is_empty() {
        for (at, target) in mounts(&source::read("sys", "mount")?) {
            // What has no size is no file system: a device, a disk that is not there.
            if let Ok(space) = space(&at)
                && space.total > 0
            {
                rows.push(row(target, space, &at));
            }
        }
    }
    for path in &paths {
        let space = space(path).map_err(|error| Failure::of(path, error))?;
        rows.push(row(path, space, path));
    }
    output(&listing(rows).render(json))?;
    Ok(0)
}

fn mounts(text: &str) -> Vec<(String, &str)> {
    let pair = |line| {
        let (at, target) = str::split_once(line, ' ')?;
        Some((at.to_owned(), target))
    };
    text.lines().filter_map(pair).collect()
}

fn space(path: &str) -> io::Result<Space> {
    let path = CString::new(path)?;
    // SAFETY: zero is a value of this structure of integers.
    let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends with a zero, and the structure is writable and of the right type.
    if unsafe { libc::statvfs(path.as_ptr(), &raw mut stat) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let unit = stat.f_frsize.max(1);
    Ok(Space { total: stat.f_blocks * unit, free: stat.f_bavail * unit })
}

fn row(target: &str, space: Space, at: &str) -> Vec<Cell> {
    let Space { total, free } = space;
    let used = total.saturating_sub(free);
    // What is used counts as a whole per cent.
    let percent = (used * 100).div_ceil(total.max(1));
    let bytes = |bytes| Cell::Shown(bytes, size(bytes));
    vec![
        Cell::Text(target.to_owned()),
        bytes(total),
        bytes(used),
        bytes(free),
        Cell::Shown(percent, format!("{percent}%")),
        Cell::Text(at.to_owned()),
    ]
}

fn listing(rows: Vec<Vec<Cell>>) -> Listing {
    let mut listing = Listing::new(&[
        ("FILESYSTEM", "filesystem"),
        ("SIZE", "size"),
        ("USED", "used"),
        ("FREE", "free"),
        ("USE", "use"),
        ("AT", "at"),
    ]);
    listing.rows = rows;
    listing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_shown_with_units() {
        let text = listing(vec![row("file:/", Space { total: 4 << 20, free: 3 << 20 }, "/home")]);
        let expected = "FILESYSTEM    SIZE    USED    FREE  USE  AT\n\
                        file:/      4.0 MB  1.0 MB  3.0 MB  25%  /home\n";
        assert_eq!(text.render(false), expected);
    }

    #[test]
    fn this_system_tells_too() {
        assert!(space("/").is_ok_and(|space| space.total >= space.free));
        assert!(space("/no/such/place").is_err());
    }
}
