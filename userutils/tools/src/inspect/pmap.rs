//! `pmap` — a process's memory, range by range.

use super::maps::{self, Range};
use crate::Tool;
use crate::arguments::{Argument, Arguments};
use crate::columns::{Cell, Listing};
use crate::failure::{Failure, output};
use crate::units::size;
use tracer::Registers;

pub(crate) const TOOL: Tool = Tool {
    name: "pmap",
    help: "\
pmap - list the memory of processes

Usage: pmap [-b] [--json] PID...

Options:
  -b          sizes in bytes
  --json      for programs, in bytes
  -h, --help  print this text
  --version   print the version

WHAT is the file that a range comes from, [stack] or [stack:TID] where a
thread's stack pointer is, else the kind: private, shared, device, window.
Stacks of further threads are named for those who may trace the process, while
the threads wait.

Examples:
  pmap 5
  pmap $$

Files:
  proc:PID/maps

See also: ps, free, pstack
",
    run,
};

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let (mut bytes, mut json, mut pids) = (false, false, Vec::new());
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Short('b') => bytes = true,
            Argument::Long(name) if name == "json" => json = true,
            Argument::Word(word) => pids.push(super::number(&word)?),
            other => return Err(other.unexpected()),
        }
    }
    if pids.is_empty() {
        return Err(Failure::Usage("which process?".into()));
    }
    for pid in pids {
        let ranges = maps::parse(&super::text(pid, "maps")?);
        let list = listing(&ranges, &stacks(pid), bytes);
        if json {
            output(&list.render(true))?;
            continue;
        }
        let command = super::text(pid, "cmdline")?.replace('\0', " ");
        let total: u64 = ranges.iter().map(Range::length).sum();
        let total = if bytes { total.to_string() } else { size(total) };
        output(&format!("{pid}: {}\n{}total {total}\n", command.trim_end(), list.render(false)))?;
    }
    Ok(0)
}

/// The stack pointers of the threads whose registers can be seen.
fn stacks(pid: u32) -> Vec<(u32, u64)> {
    let pointer = |tid: u32| {
        let registers = Registers::open(pid, tid).ok()?.integer().ok()?;
        Some((tid, registers.rsp as u64))
    };
    tracer::threads(pid).unwrap_or_default().into_iter().filter_map(pointer).collect()
}

fn listing(ranges: &[Range], stacks: &[(u32, u64)], bytes: bool) -> Listing {
    let columns = [("START", "start"), ("SIZE", "size"), ("RIGHTS", "rights"), ("WHAT", "what")];
    let mut listing = Listing::new(&columns);
    let row = |range: &Range| {
        let stack = stacks.iter().find(|(_, pointer)| range.holds(*pointer));
        let what = match (&range.origin, stack) {
            (Some((_, name)), _) => name.clone(),
            (None, Some((tid, _))) => format!("[stack:{tid}]"),
            (None, None) => range.kind.clone(),
        };
        let length = range.length();
        vec![
            Cell::Text(format!("{:012x}", range.start)),
            if bytes { Cell::Number(length) } else { Cell::Shown(length, size(length)) },
            Cell::Text(range.rights.clone()),
            Cell::Text(what),
        ]
    };
    listing.rows = ranges.iter().map(row).collect();
    listing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_named_after_what_is_there() {
        let ranges = maps::parse(
            "000000200000-000000201000 r-x private 0x0 /bin/ls\n\
             100000000000-100000800000 rw- private\n200000000000-200000001000 rw- window\n",
        );
        let list = listing(&ranges, &[(7, 0x1000_007F_F000)], false);
        let text = "START           SIZE  RIGHTS  WHAT\n\
            000000200000  4.0 KB  r-x     /bin/ls\n\
            100000000000  8.0 MB  rw-     [stack:7]\n\
            200000000000  4.0 KB  rw-     window\n";
        assert_eq!(list.render(false), text);
    }
}
