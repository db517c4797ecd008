//! `pstack` — where the threads of a process are, by the names of its functions.

use crate::Tool;
use crate::arguments::{Argument, Arguments};
use crate::failure::{Failure, output};
use elf_files::symbols::Program;

pub(crate) const TOOL: Tool = Tool {
    name: "pstack",
    help: "\
pstack - show where the threads of processes are

Usage: pstack PID...

Each thread with what it waits for and the functions it is in, the innermost
first. The process stands still while it is looked at, and goes on then. Names
are those of the program's file.

Options:
  -h, --help  print this text
  --version   print the version

Examples:
  pstack 5

Files:
  proc:PID/thread/TID/stack proc:PID/exe

See also: gdbserver, strace, pmap, core
",
    run,
};

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let mut pids = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Word(word) => pids.push(super::number(&word)?),
            other => return Err(other.unexpected()),
        }
    }
    if pids.is_empty() {
        return Err(Failure::Usage("which process?".into()));
    }
    for pid in pids {
        output(&picture(pid)?)?;
    }
    Ok(0)
}

/// All threads of a process at one moment.
fn picture(pid: u32) -> Result<String, Failure> {
    let failed = |error| Failure::of(format_args!("process {pid}"), error);
    let (_, program) = super::program(pid);
    let waits = |tid: u32| super::text(pid, &format!("thread/{tid}/wait")).unwrap_or_default();
    let tids = tracer::threads(pid).map_err(failed)?;
    // Once they are stopped they all wait for us.
    let waits: Vec<String> = tids.iter().map(|tid| waits(*tid)).collect();
    let sessions = super::stop_all(pid)?;
    let command = super::text(pid, "cmdline")?.replace('\0', " ");
    let mut text = format!("Process {pid}: {}\n", command.trim_end());
    for (tid, wait) in tids.into_iter().zip(waits) {
        let wait = wait.lines().next().unwrap_or_default().trim_start_matches("state: ").to_owned();
        text += &format!("Thread {tid}: {wait}\n");
        match tracer::text(pid, &format!("thread/{tid}/stack")) {
            Ok(stack) => text += &frames(&program, &stack),
            Err(error) => text += &format!("    {error}\n"),
        }
    }
    drop(sessions);
    Ok(text)
}

/// A line for each of `proc:PID/thread/TID/stack`.
fn frames(program: &Program, stack: &str) -> String {
    let place = |line: &str| {
        let word = line.split(' ').next()?.strip_prefix("0x")?;
        u64::from_str_radix(word, 16).ok()
    };
    let line = |(depth, place): (usize, u64)| {
        // A return address may be the first one behind a function that never returns.
        let inside = if depth == 0 { place } else { place.saturating_sub(1) };
        let name = match program.find(inside) {
            Some((name, from)) => format!("{name}+{:#x}", from + (place - inside)),
            None => "??".to_owned(),
        };
        format!("#{depth:<3} {place:#018x} in {name}\n")
    };
    stack.lines().filter_map(place).enumerate().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_a_line() {
        let text = frames(&Program::default(), "0x200000 0x7ff0\n0x201000 0x0\n");
        assert_eq!(text, "#0   0x0000000000200000 in ??\n#1   0x0000000000201000 in ??\n");
    }
}
