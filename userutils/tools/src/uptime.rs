//! `uptime` — since when the machine runs.

use crate::Tool;
use crate::arguments::Arguments;
use crate::failure::{Failure, output};
use crate::units::{uptime, whole_seconds};
use crate::{process, source};

pub(crate) const TOOL: Tool = Tool {
    name: "uptime",
    help: "\
uptime - tell how long the machine has been running

Usage: uptime [--json]

Options:
  --json      for programs: seconds
  -h, --help  print this text
  --version   print the version

Examples:
  uptime

Files:
  sys:uptime

See also: top, ps
",
    run,
};

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let json = arguments.only_json()?;
    let seconds = whole_seconds(&source::read("sys", "uptime")?);
    let processes = process::all()?.len();
    output(&text(seconds, processes, json))?;
    Ok(0)
}

fn text(seconds: u64, processes: usize, json: bool) -> String {
    match json {
        true => format!("{{\"uptime\":{seconds},\"processes\":{processes}}}\n"),
        false => format!("up {}, {processes} processes\n", uptime(seconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_tell_the_same() {
        assert_eq!(text(65, 3, false), "up 00:01:05, 3 processes\n");
        assert_eq!(text(65, 3, true), "{\"uptime\":65,\"processes\":3}\n");
    }
}
