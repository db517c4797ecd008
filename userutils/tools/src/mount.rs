//! `mount`, `unmount` — where path prefixes lead.

mod device;

use crate::Tool;
use crate::arguments::{Argument, Arguments};
use crate::columns::{Cell, Listing};
use crate::failure::{Failure, output};
use crate::source;
pub(crate) use device::PREFIX as DEVICE_SCHEME;

pub(crate) const TOOL: Tool = Tool {
    name: "mount",
    help: "\
mount - list where path prefixes lead, or add one

Usage: mount [--json]
       mount PREFIX TARGET
       mount [-t TYPE] DEVICE PREFIX

Options:
  -t TYPE     redoxfs or fat, unless the device tells by itself
  --json      for programs
  -h, --help  print this text
  --version   print the version

TARGET is a path in a scheme. DEVICE is a disk or partition of disk:, for which
a daemon is started; unmount ends it.

Examples:
  mount
  mount /tmp ram:/
  mount disk:0p1 /boot

Files:
  sys:mount

See also: unmount, schemes
",
    run: mount,
};

pub(crate) const UNMOUNT: Tool = Tool {
    name: "unmount",
    help: "\
unmount - take back what mount added

Usage: unmount PREFIX

A daemon that mount started for a device writes everything and ends.

Options:
  -h, --help  print this text
  --version   print the version

Examples:
  unmount /tmp

Files:
  sys:mount

See also: mount
",
    run: unmount,
};

fn mount(arguments: &mut Arguments) -> Result<u8, Failure> {
    let (mut words, mut json, mut kind) = (Vec::new(), false, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Short('t') => kind = Some(arguments.text()?),
            Argument::Long(name) if name == "json" => json = true,
            Argument::Word(word) => words.push(word),
            other => return Err(other.unexpected()),
        }
    }
    match &words[..] {
        [] => output(&listing(&source::read("sys", "mount")?).render(json))?,
        [device, prefix] if device::is_one(device) => {
            let target = device::serve(device, kind.as_deref())?;
            tell("mount", &[prefix, &target])?;
        }
        [prefix, target] => tell("mount", &[prefix, target])?,
        _ => return Err(Failure::Usage("a prefix and a target are needed".into())),
    }
    Ok(0)
}

fn unmount(arguments: &mut Arguments) -> Result<u8, Failure> {
    let prefix = match arguments.next()? {
        Some(Argument::Word(prefix)) => prefix,
        Some(other) => return Err(other.unexpected()),
        None => return Err(Failure::Usage("a prefix is missing".into())),
    };
    if let Some(more) = arguments.next()? {
        return Err(more.unexpected());
    }
    let mounts = source::read("sys", "mount")?;
    let target = mounts.lines().find_map(|line| line.strip_prefix(&prefix)?.strip_prefix(' '));
    tell("unmount", &[&prefix])?;
    target.map_or(Ok(()), device::end)?;
    Ok(0)
}

/// Writes a command; the kernel splits it at blanks, so no word may hold one.
fn tell(verb: &str, words: &[&String]) -> Result<(), Failure> {
    if let Some(bad) = words.iter().find(|word| word.contains(char::is_whitespace)) {
        return Err(Failure::Usage(format!("{bad}: a blank cannot stand in it")));
    }
    let words: Vec<&str> = words.iter().map(|word| word.as_str()).collect();
    source::write("sys", "mount", &format!("{verb} {}", words.join(" ")))
}

fn listing(text: &str) -> Listing {
    let mut listing = Listing::new(&[("PREFIX", "prefix"), ("TARGET", "target")]);
    let row = |line: &str| {
        let (prefix, target) = line.split_once(' ')?;
        Some(vec![Cell::Text(prefix.to_owned()), Cell::Text(target.to_owned())])
    };
    listing.rows = text.lines().filter_map(row).collect();
    listing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_listed() {
        let text = listing("/ initfs:/\n/tmp ram:/\n").render(false);
        assert_eq!(text, "PREFIX  TARGET\n/       initfs:/\n/tmp    ram:/\n");
    }
}
