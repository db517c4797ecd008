//! `limit` — running a program with less memory, or fewer schemes, than there are.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::Tool;
use crate::arguments::Arguments;
use crate::failure::{Failure, output};
use crate::source;

pub(crate) const TOOL: Tool = Tool {
    name: "limit",
    help: "\
limit - run a program with less than there is

Usage: limit [-m SIZE] [-j SIZE] [-s NAMES | -x NAMES] COMMAND [ARGUMENT...]
       limit [-m SIZE] [-j SIZE] [-s NAMES | -x NAMES] -p PID
       limit -p PID

Options:
  -m SIZE     how much the program may have, and each program it starts
  -j SIZE     how much they may have together
  -s NAMES    the schemes that it may open, with commas: no others
  -x NAMES    the schemes that it may not open
  -p PID      not a new program but this one; alone: show its limits
  -h, --help  print this text
  --version   print the version

SIZE is a number of bytes, or one with K, M or G, or `none`, which only root may
ask for. Beyond the limit an allocation fails, a fork fails, and whoever touches
memory that it was promised gets the signal BUS. A scheme that may not be opened
is not there for the program and all it starts, for good; what is open stays so.

Examples:
  limit -m 32M grep -r lifeboat /share/doc
  limit -j 64M sh
  limit -x proc,irq sh
  limit -p 12

Files:
  proc:PID/limits, proc:PID/names

See also: free, ps, emerg
",
    run,
};

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    // Not parsed as options: what follows the command is the command's.
    let words = arguments.rest()?;
    let (mut memory, mut job, mut only, mut without, mut pid) = (None, None, None, None, None);
    let mut rest = &words[..];
    while let [option, tail @ ..] = rest {
        let place = match option.as_str() {
            "-h" | "--help" => return Err(Failure::Help),
            "--version" => return Err(Failure::Version),
            "-m" => &mut memory,
            "-j" => &mut job,
            "-s" => &mut only,
            "-x" => &mut without,
            "-p" => &mut pid,
            "--" => {
                rest = tail;
                break;
            }
            word if word.starts_with('-') => {
                return Err(Failure::Usage(format!("{word}: no such option")));
            }
            _ => break,
        };
        let [value, tail @ ..] = tail else {
            return Err(Failure::Usage(format!("{option} needs a value")));
        };
        *place = Some(value.clone());
        rest = tail;
    }
    let is_own = pid.is_none();
    let folder = pid.as_deref().unwrap_or("self");
    let (limits, names) = (format!("{folder}/limits"), format!("{folder}/names"));
    let wanted = [
        (&limits, "memory", memory),
        (&limits, "job", job),
        (&names, "only", only),
        (&names, "without", without),
    ];
    if wanted.iter().all(|(_, _, value)| value.is_none()) {
        if is_own {
            return Err(Failure::Usage("it needs a limit, or a process".into()));
        }
        let names = source::read("proc", &names)?;
        output(&format!("{}Names: {names}", source::read("proc", &limits)?))?;
        return Ok(0);
    }
    for (file, what, value) in wanted {
        if let Some(value) = value {
            source::write("proc", file, &format!("{what} {}", value.replace(',', " ")))?;
        }
    }
    match (rest, is_own) {
        ([], false) => Ok(0),
        ([command, words @ ..], true) => {
            Err(Failure::of(command, Command::new(command).args(words).exec()))
        }
        ([], true) => Err(Failure::Usage("it needs a command".into())),
        (_, false) => Err(Failure::Usage("a command and -p do not go together".into())),
    }
}
