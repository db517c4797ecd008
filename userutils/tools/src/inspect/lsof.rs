//! `lsof` — who has what open.

use super::descriptors::Descriptor;
use crate::Tool;
use crate::arguments::{Argument, Arguments};
use crate::columns::{Cell, Listing};
use crate::failure::{Failure, output};
use crate::process::{self, Process};
use std::fs;

pub(crate) const TOOL: Tool = Tool {
    name: "lsof",
    help: "\
lsof - list the open files of processes

Usage: lsof [--json] [PID...] [PATH...]

Without a number: of all processes. With a PATH: only descriptors whose path
begins with it; `ram:` takes everything that ramd serves.

Options:
  -p PID      as PID alone
  --json      for programs
  -h, --help  print this text
  --version   print the version

FD is the descriptor with how it was opened: r, w, u for both; `+` behind it:
it is closed by exec. SCHEME serves it. OFFSET is the position in it.

Examples:
  lsof 5
  lsof ram:/home console:

Files:
  proc:PID/fd/

See also: ps, pmap, schemes
",
    run,
};

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let (mut json, mut pids, mut paths) = (false, Vec::new(), Vec::new());
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Short('p') => pids.push(u64::from(super::number(&arguments.text()?)?)),
            Argument::Long(name) if name == "json" => json = true,
            Argument::Word(word) => match word.parse() {
                Ok(pid) => pids.push(pid),
                Err(_) => paths.push(word),
            },
            other => return Err(other.unexpected()),
        }
    }
    let mut processes = process::all()?;
    if let Some(pid) = pids.iter().find(|pid| !processes.iter().any(|p| p.pid == **pid)) {
        return Err(Failure::Failed(format!("process {pid}: no such process")));
    }
    processes.retain(|process| pids.is_empty() || pids.contains(&process.pid));
    let mut found = Vec::new();
    for process in &processes {
        let mut open = descriptors(process.pid);
        open.retain(|one| paths.is_empty() || paths.iter().any(|path| one.path.starts_with(path)));
        found.extend(open.into_iter().map(|descriptor| (process, descriptor)));
    }
    output(&listing(&found).render(json))?;
    // As elsewhere: nothing found is told by the status.
    Ok(u8::from(found.is_empty()))
}

/// What a process has open. One that is closed while the list is read is left out.
fn descriptors(pid: u64) -> Vec<Descriptor> {
    let folder = format!("/scheme/proc/{pid}/fd");
    let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok());
    let one = |number| {
        let text = fs::read_to_string(format!("{folder}/{number}")).ok()?;
        Some(Descriptor::parse(number, &text))
    };
    let mut all: Vec<Descriptor> = numbers.filter_map(one).collect();
    all.sort_by_key(|descriptor| descriptor.number);
    all
}

fn listing(found: &[(&Process, Descriptor)]) -> Listing {
    let mut listing = Listing::new(&[
        ("COMMAND", "command"),
        ("PID", "pid"),
        ("EUID", "euid"),
        ("FD", "fd"),
        ("SCHEME", "scheme"),
        ("OFFSET", "offset"),
        ("NAME", "name"),
    ]);
    let row = |(process, descriptor): &(&Process, Descriptor)| {
        let mark = if descriptor.closes_on_exec { "+" } else { "" };
        let fd = format!("{}{}{mark}", descriptor.number, descriptor.access());
        vec![
            Cell::Text(process.name.clone()),
            Cell::Number(process.pid),
            Cell::Number(process.euid),
            Cell::Shown(descriptor.number, fd),
            Cell::Text(descriptor.scheme().to_owned()),
            Cell::Number(descriptor.offset),
            Cell::Text(descriptor.path.clone()),
        ]
    };
    listing.rows = found.iter().map(row).collect();
    listing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_is_a_line() {
        let process = process::tests::example();
        let text = "path: console:\noffset: 0\nflags: 0x10000\nclose_on_exec: false\n";
        let list = listing(&[(&process, Descriptor::parse(0, text))]);
        let shown = "COMMAND  PID  EUID  FD  SCHEME   OFFSET  NAME\n\
            ls        12     5  0r  console       0  console:\n";
        assert_eq!(list.render(false), shown);
        assert!(list.render(true).contains("\"fd\":0"));
    }
}
