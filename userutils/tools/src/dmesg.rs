//! `dmesg` — the kernel's log.

use std::thread::sleep;
use std::time::Duration;

use crate::Tool;
use crate::arguments::{Argument, Arguments};
use crate::failure::{Failure, output};
use crate::source;

pub(crate) const TOOL: Tool = Tool {
    name: "dmesg",
    help: "\
dmesg - print the kernel's log

Usage: dmesg [-l LEVEL] [-n LINES] [-w]

Options:
  -l LEVEL    only this level and worse: error, warn, info, debug, trace
  -n LINES    only the last ones
  -w          then wait for more, until Ctrl-C
  -h, --help  print this text
  --version   print the version

Examples:
  dmesg -n 20
  dmesg -l warn

Files:
  sys:log

See also: ps
",
    run,
};

/// Worst first.
const LEVELS: [&str; 5] = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];

/// How often `-w` looks.
const PAUSE: Duration = Duration::from_millis(200);

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let (mut worst, mut lines, mut follow) = (None, usize::MAX, false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Short('l') => worst = Some(level(&arguments.text()?)?),
            Argument::Short('n') => lines = arguments.value()?,
            Argument::Short('w') => follow = true,
            other => return Err(other.unexpected()),
        }
    }
    let mut text = source::read("sys", "log")?;
    output(&select(&text, worst, lines))?;
    if !follow {
        return Ok(0);
    }
    loop {
        sleep(PAUSE);
        let now = source::read("sys", "log")?;
        output(&select(added(&text, &now), worst, usize::MAX))?;
        text = now;
    }
}

fn level(name: &str) -> Result<usize, Failure> {
    let upper = name.to_ascii_uppercase();
    let found = LEVELS.iter().position(|level| *level == upper);
    found.ok_or_else(|| Failure::Usage(format!("{name}: no such level")))
}

/// The lines of a level and worse, and of these the last. A line without a level continues the
/// one before.
fn select(text: &str, worst: Option<usize>, last: usize) -> String {
    let mut shown = true;
    let wanted = |line: &&str| {
        let level = line.split_whitespace().find_map(|word| LEVELS.iter().position(|l| *l == word));
        if let (Some(level), Some(worst)) = (level, worst) {
            shown = level <= worst;
        }
        shown
    };
    let lines: Vec<&str> = text.lines().filter(wanted).collect();
    let skipped = lines.len().saturating_sub(last);
    lines[skipped..].iter().map(|line| format!("{line}\n")).collect()
}

/// What is new in a log that loses its oldest lines as it grows.
fn added<'n>(before: &str, now: &'n str) -> &'n str {
    let last = before.lines().next_back().unwrap_or_default();
    match (before.is_empty(), now.rfind(last)) {
        (true, _) | (_, None) => now,
        (false, Some(at)) => now[at + last.len()..].trim_start_matches('\n'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "[ 0.1] cpu0 INFO  boot: a\n[ 0.2] cpu0 ERROR acpi: b\n  more\n\
        [ 0.3] cpu1 WARN  x: c\n";

    #[test]
    fn levels_and_counts_choose_lines() {
        assert_eq!(select(LOG, None, usize::MAX), LOG);
        assert_eq!(select(LOG, Some(level("error").unwrap()), 9).lines().count(), 2);
        assert_eq!(select(LOG, Some(level("WARN").unwrap()), 1), "[ 0.3] cpu1 WARN  x: c\n");
        assert!(level("loud").is_err());
    }

    #[test]
    fn only_new_lines_are_added() {
        assert_eq!(added("a\nb\n", "a\nb\nc\n"), "c\n");
        assert_eq!(added("a\nb\n", "b\nc\n"), "c\n");
        assert_eq!(added("a\n", "x\n"), "x\n");
        assert_eq!(added("", "x\n"), "x\n");
    }
}
