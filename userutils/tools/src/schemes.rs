//! `schemes` — who serves which name.

use std::collections::HashMap;

use crate::Tool;
use crate::arguments::Arguments;
use crate::columns::{Cell, Listing};
use crate::failure::{Failure, output};
use crate::{process, source};

pub(crate) const TOOL: Tool = Tool {
    name: "schemes",
    help: "\
schemes - list the schemes and who serves them

Usage: schemes [--json]

Options:
  --json      for programs
  -h, --help  print this text
  --version   print the version

A scheme is opened as NAME:path or /scheme/NAME/path.

Examples:
  schemes

Files:
  sys:scheme

See also: mount, ps
",
    run,
};

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let json = arguments.only_json()?;
    let text = source::read("sys", "scheme")?;
    let names = process::all()?.into_iter().map(|process| (process.pid, process.name)).collect();
    output(&listing(&text, &names).render(json))?;
    Ok(0)
}

fn listing(text: &str, names: &HashMap<u64, String>) -> Listing {
    let mut listing =
        Listing::new(&[("SCHEME", "scheme"), ("BY", "by"), ("PID", "pid"), ("NAME", "name")]);
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let (scheme, by) = (words.next()?, words.next().unwrap_or("-"));
        let pid: Option<u64> = words.next().and_then(|word| word.parse().ok());
        let name = pid.and_then(|pid| names.get(&pid)).map_or("-", String::as_str);
        let pid_cell = match pid {
            Some(pid) => Cell::Number(pid),
            None => Cell::Shown(0, "-".to_owned()),
        };
        let text = |text: &str| Cell::Text(text.to_owned());
        Some(vec![text(scheme), text(by), pid_cell, text(name)])
    };
    listing.rows = text.lines().filter_map(row).collect();
    listing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daemons_are_named() {
        let names = HashMap::from([(7, "ramd".to_owned())]);
        let text = listing("sys kernel\nram user 7\nodd user 9\n", &names).render(false);
        let expected = "SCHEME  BY      PID  NAME\nsys     kernel    -  -\n\
                        ram     user      7  ramd\nodd     user      9  -\n";
        assert_eq!(text, expected);
    }
}
