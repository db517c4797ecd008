//! `ps` — the processes.

use crate::arguments::{Argument, Arguments};
use crate::columns::{Cell, Listing};
use crate::failure::{Failure, output};
use crate::process::{self, Process};
use crate::units::{clock, size};
use crate::{Tool, columns};

pub(crate) const TOOL: Tool = Tool {
    name: "ps",
    help: "\
ps - list the processes

Usage: ps [-l] [-f] [-b] [--json]

Options:
  -l          more columns: parent, group, session, threads, nice, wait
  -f          the command with its arguments instead of the name
  -b          memory in bytes
  --json      for programs: sizes in bytes, times in nanoseconds
  -h, --help  print this text
  --version   print the version

STAT is R ready, R+ running, B blocked, S sleeping until a time, T stopped,
Z ended but not yet waited for. WAIT says what a blocked process waits for. NI
is from -20, the most urgent, to 19, or idle; in JSON it is proc:PID/priority.

Examples:
  ps
  ps -lf

Files:
  proc:PID/status proc:PID/cmdline

See also: top, kill, renice
",
    run,
};

#[derive(Clone, Copy, Default)]
struct Options {
    long: bool,
    full: bool,
    bytes: bool,
    json: bool,
}

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Short('l') => options.long = true,
            Argument::Short('f') => options.full = true,
            Argument::Short('b') => options.bytes = true,
            // Every process is shown anyway.
            Argument::Short('a' | 'e' | 'x' | 'A') => {}
            Argument::Long(name) if name == "json" => options.json = true,
            other => return Err(other.unexpected()),
        }
    }
    output(&listing(&process::all()?, options).render(options.json))?;
    Ok(0)
}

fn listing(processes: &[Process], options: Options) -> Listing {
    let long = options.long || options.json;
    let mut listing = Listing::new(&[
        ("PID", "pid"),
        ("EUID", "euid"),
        ("EGID", "egid"),
        ("STAT", "state"),
        ("CPU", "cpu"),
        ("TIME", "time_ns"),
        ("MEMORY", "resident"),
    ]);
    let mut more = |title, key| listing.columns.push(columns::Column { title, key });
    if long {
        more("PPID", "ppid");
        more("PGID", "pgid");
        more("SID", "sid");
        more("THR", "threads");
        more("NI", "priority");
        more("WAIT", "wait");
    }
    more("NAME", "name");
    if options.json {
        more("COMMAND", "command");
    }
    listing.rows = processes.iter().map(|process| row(process, long, options)).collect();
    listing
}

fn row(process: &Process, long: bool, options: Options) -> Vec<Cell> {
    let memory = match options.bytes {
        true => Cell::Number(process.resident),
        false => Cell::Shown(process.resident, size(process.resident)),
    };
    let mut row = vec![
        Cell::Number(process.pid),
        Cell::Number(process.euid),
        Cell::Number(process.egid),
        Cell::Text(process.state.clone()),
        Cell::Shown(process.cpu, format!("#{}", process.cpu)),
        Cell::Shown(process.time, clock(process.time)),
        memory,
    ];
    if long {
        row.extend(
            [process.parent, process.group, process.session, process.threads].map(Cell::Number),
        );
        row.extend([process.nice(), Cell::Text(process.wait.clone())]);
    }
    let name = if options.full && !options.json { &process.command } else { &process.name };
    row.push(Cell::Text(name.clone()));
    if options.json {
        row.push(Cell::Text(process.command.clone()));
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_follow_the_options() {
        let example = [process::tests::example()];
        let text = |options| listing(&example, options).render(false);
        let plain = text(Options::default());
        assert!(
            plain.starts_with("PID  EUID  EGID  STAT  CPU         TIME  MEMORY  NAME\n"),
            "{plain}"
        );
        assert!(plain.ends_with("8.0 KB  ls\n"), "{plain}");
        assert!(text(Options { full: true, ..Options::default() }).ends_with("ls -l\n"));
        let long = text(Options { long: true, bytes: true, ..Options::default() });
        assert!(long.contains("   1  -5  readable 4") && long.contains("8192"), "{long}");
        let json = listing(&example, Options { json: true, ..Options::default() }).render(true);
        assert!(json.contains("\"command\":\"ls -l\"") && json.contains("\"ppid\":3"), "{json}");
    }
}
