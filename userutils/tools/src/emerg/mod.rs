//! `emerg` — what happens when memory runs out: looking at it, and trying it.

mod demo;
mod document;
mod trial;

pub(crate) use document::{DOCUMENT, LEAK};

use crate::Tool;
use crate::arguments::{Argument, Arguments};
use crate::failure::{Failure, output};
use crate::source;

pub(crate) const TOOL: Tool = Tool {
    name: "emerg",
    help: "\
emerg - look at emergencies, or try one

Usage: emerg status
       emerg log
       emerg jobs
       emerg parked
       emerg resume PID
       emerg enter
       emerg test
       emerg demo [MIB]

status  the store, the policy, the pressure, and figures of the last emergency
log     the last emergencies: who decided, what ended, how long it took
jobs    who had the memory when the world stopped last
parked  the jobs whose pages are in the store: PID, state, processes, size, name
resume  have one of them back, and wait until it runs
enter   stop the world now: look at the picker, and go on with c
test    stop the world, measure the disk, send everything there and back, go on,
        and say how fast that was; status 1 when anything was lost
demo    three documents of MIB each (4 unless given) and a leak; when the leak
        has filled memory, end it: the documents check themselves. A document
        that is asked to save goes to /tmp

Options:
  -h, --help  print this text
  --version   print the version

Examples:
  emerg demo
  emerg log

On the boot command line, among others (see /share/doc/emergency.md):
  emergency.restore=lazy      pages come back when they are touched
  emergency.auto=largest,30s  what ends when nobody answers

Files:
  emergency:status, emergency:log, emergency:snapshot, emergency:parked,
  emergency:ctl

See also: free, ps, top
",
    run,
};

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let mut words = Vec::new();
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Word(word) => words.push(word),
            other => return Err(other.unexpected()),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["status"] => show("status"),
        ["log"] => show("log"),
        ["jobs"] => show("snapshot"),
        ["parked"] => {
            output(&source::read("emergency", "parked")?)?;
            Ok(0)
        }
        ["resume", pid] => resume(pid),
        ["enter"] => source::write("emergency", "ctl", "enter").map(|()| 0),
        ["test"] => trial::run(),
        ["demo"] => demo::run(4),
        ["demo", size] => match size.parse() {
            Ok(size @ 1..=1024) => demo::run(size),
            _ => Err(Failure::Usage(format!("{size} is no size between 1 and 1024"))),
        },
        [] => Err(Failure::Usage("what is it to do?".into())),
        [word, ..] => Err(Failure::Usage(format!("it does not know {word}"))),
    }
}

/// Has a parked job back, and waits until it is, or until the kernel has given up.
fn resume(pid: &str) -> Result<u8, Failure> {
    // With `emergency.restore=lazy` the disk may be busy with what others have there.
    while pages_are_away()? {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    source::write("emergency", "ctl", &format!("resume {pid}"))?;
    loop {
        let parked = source::read("emergency", "parked")?;
        let state = parked.lines().find_map(|line| line.strip_prefix(pid)?.split(' ').nth(1));
        match state {
            Some("resuming") => std::thread::sleep(std::time::Duration::from_millis(5)),
            Some(_) => {
                output(&format!("{pid} stays parked: memory is too short for it\n"))?;
                return Ok(1);
            }
            None => return Ok(0),
        }
    }
}

/// Whether the store still has pages of programs that run.
fn pages_are_away() -> Result<bool, Failure> {
    let status = source::read("emergency", "status")?;
    let used = status.lines().find_map(|line| line.strip_prefix("slots_used: "));
    Ok(used.is_some_and(|used| used != "0"))
}

fn show(file: &str) -> Result<u8, Failure> {
    let text = source::read("emergency", file)?;
    let text = if text.is_empty() { "none since boot\n".to_owned() } else { text };
    output(&text)?;
    Ok(0)
}
