//! `core` — a process, written down for a debugger.

use super::capture::{self, Death};
use crate::Tool;
use crate::arguments::{Argument, Arguments};
use crate::failure::Failure;
use std::fs::File;
use std::io::{IsTerminal, Write};

pub(crate) const TOOL: Tool = Tool {
    name: "core",
    help: "\
core - write a process down as an ELF core file

Usage: core PID >FILE
       core -o FILE PID
       core --collect [PATTERN]

GDB reads the file on any machine: gdb PROGRAM FILE. The process stands still
meanwhile, and goes on then. Long runs of zeros are left out. In sys:core, %p is
the process, %n its name, %s the signal; `off` writes nothing down.

Options:
  -o FILE     write to FILE, not to standard output
  --collect   write down every process that crashes, while sys:core says where;
              PATTERN is written there first. The service `core` does this from
              boot on, so writing sys:core is enough
  -h, --help  print this text
  --version   print the version

Examples:
  core 5 >/home/core.5
  echo /home/core.%n.%p >sys:core

Files:
  proc:PID/mem proc:PID/maps proc:PID/thread/TID/regs/ proc:crashes sys:core
  log:core  what was written

See also: gdbserver, pstack
",
    run,
};

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let (mut file, mut pid) = (None, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Long(name) if name == "collect" => {
                let pattern = arguments.rest()?;
                return super::collect::run(pattern.first().map(String::as_str));
            }
            Argument::Short('o') => file = Some(arguments.text()?),
            Argument::Word(word) if pid.is_none() => pid = Some(super::number(&word)?),
            other => return Err(other.unexpected()),
        }
    }
    let Some(pid) = pid else { return Err(Failure::Usage("which process?".into())) };
    match file {
        Some(path) => {
            let failed = |error| Failure::of(&path, error);
            let mut out = File::create(&path).map_err(failed)?;
            capture::write(pid, Death::default(), &mut out)?;
            out.sync_all().map_err(failed)?;
        }
        None => {
            let mut out = std::io::stdout();
            if out.is_terminal() {
                return Err(Failure::Usage("a core file is not for terminals".into()));
            }
            capture::write(pid, Death::default(), &mut out)?;
            out.flush()?;
        }
    }
    Ok(0)
}
