//! `free` — how much memory there is.

use crate::Tool;
use crate::arguments::{Argument, Arguments};
use crate::columns::{Cell, Listing};
use crate::failure::{Failure, output};
use crate::source::{self, Values};
use crate::units::size;

pub(crate) const TOOL: Tool = Tool {
    name: "free",
    help: "\
free - show how much memory is used and free

Usage: free [-b | -k | -m] [--json]

Options:
  -b, -k, -m  in bytes, KB or MB, without units
  --json      for programs, in bytes
  -h, --help  print this text
  --version   print the version

Mem is all memory; Heap is the part of it the kernel keeps its own tables in.

Examples:
  free -m

Files:
  sys:mem

See also: top, ps
",
    run,
};

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let mut unit = None;
    let mut json = false;
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Short('b') => unit = Some(1),
            Argument::Short('k') => unit = Some(1 << 10),
            Argument::Short('m') => unit = Some(1 << 20),
            Argument::Long(name) if name == "json" => json = true,
            other => return Err(other.unexpected()),
        }
    }
    let values = Values::parse(&source::read("sys", "mem")?);
    output(&listing(&values, unit).render(json))?;
    Ok(0)
}

fn listing(values: &Values, unit: Option<u64>) -> Listing {
    let number = |key| values.number(key, 0);
    let cell = |bytes: u64| match unit {
        Some(unit) => Cell::Shown(bytes, (bytes / unit).to_string()),
        None => Cell::Shown(bytes, size(bytes)),
    };
    let row = |name: &str, total, used, free| {
        vec![Cell::Text(name.to_owned()), cell(total), cell(used), cell(free)]
    };
    let mut listing =
        Listing::new(&[("", "what"), ("TOTAL", "total"), ("USED", "used"), ("FREE", "free")]);
    listing.rows.push(row("Mem", number("total"), number("used"), number("free")));
    let (used, free) = (number("heap_used"), number("heap_free"));
    if used + free > 0 {
        listing.rows.push(row("Heap", used + free, used, free));
    }
    listing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_chosen() {
        let values = Values::parse("total: 4194304\nused: 1048576\nfree: 3145728\n");
        let text = "      TOTAL    USED    FREE\nMem  4.0 MB  1.0 MB  3.0 MB\n";
        assert_eq!(listing(&values, None).render(false), text);
        let text = "     TOTAL  USED  FREE\nMem   4096  1024  3072\n";
        assert_eq!(listing(&values, Some(1024)).render(false), text);
        let json = listing(&values, None).render(true);
        assert!(json.contains("\"total\":4194304"), "{json}");
    }
}
