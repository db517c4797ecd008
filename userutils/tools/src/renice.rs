//! `renice` — giving processes that run another priority.

use crate::Tool;
use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::process::{self, Process};
use crate::source;

pub(crate) const TOOL: Tool = Tool {
    name: "renice",
    help: "\
renice - make processes more urgent, or less

Usage: renice [-n] NICE [-p | -g | -u] ID...

Options:
  -n NICE     from -20, the most urgent, to 19, or `idle`
  -p          each ID is a process; without another option it is
  -g          each ID is a process group
  -u          each ID is a user
  -h, --help  print this text
  --version   print the version

With each step a process gets a quarter more of the CPUs' time, or less, beside
others that compute; 0 is normal. An idle one runs only when nobody else would.
Less is for everybody, more for root.

Examples:
  renice 10 12
  renice -n -5 -g 40
  renice idle 12 13

Files:
  proc:PID/priority

See also: nice, ps, top
",
    run,
};

/// Whom a number stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Process,
    Group,
    User,
}

impl Kind {
    fn fits(self, process: &Process, id: u64) -> bool {
        let own = match self {
            Self::Process => process.pid,
            Self::Group => process.group,
            Self::User => process.euid,
        };
        own == id
    }
}

/// What the words ask for.
#[derive(PartialEq, Eq, Debug)]
struct Wish {
    priority: u64,
    kind: Kind,
    ids: Vec<u64>,
}

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    // Not parsed as options: `-5` is a number here.
    let wish = understand(&arguments.rest()?)?;
    let all = process::all()?;
    let mut status = 0;
    for id in wish.ids {
        let mut found = all.iter().filter(|process| wish.kind.fits(process, id)).peekable();
        if found.peek().is_none() {
            eprintln!("renice: {id}: nobody has this number");
            status = 1;
        }
        for process in found {
            let file = format!("{}/priority", process.pid);
            if let Err(failure) = source::write("proc", &file, &wish.priority.to_string()) {
                failure.report(TOOL.name, TOOL.help);
                status = 1;
            }
        }
    }
    Ok(status)
}

fn understand(words: &[String]) -> Result<Wish, Failure> {
    let (mut kind, mut priority, mut ids) = (Kind::Process, None, Vec::new());
    for word in words {
        match word.as_str() {
            "-h" | "--help" => return Err(Failure::Help),
            "--version" => return Err(Failure::Version),
            "-n" if priority.is_none() => {}
            "-p" => kind = Kind::Process,
            "-g" => kind = Kind::Group,
            "-u" => kind = Kind::User,
            nice if priority.is_none() => priority = Some(priority_of(nice)?),
            id => {
                let wrong = |_| Failure::Usage(format!("{id}: is no number of a process or user"));
                ids.push(id.parse().map_err(wrong)?);
            }
        }
    }
    let priority = priority.ok_or_else(|| Failure::Usage("how nice?".into()))?;
    if ids.is_empty() {
        return Err(Failure::Usage("whom?".into()));
    }
    Ok(Wish { priority, kind, ids })
}

/// The kernel's number for a nice value.
fn priority_of(nice: &str) -> Result<u64, Failure> {
    if nice == "idle" {
        return Ok(process::IDLE);
    }
    match nice.parse::<i64>() {
        Ok(nice @ -20..=19) => Ok((process::NORMAL - nice) as u64),
        _ => Err(Failure::Usage(format!("{nice}: is no nice value from -20 to 19"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(words: &str) -> Option<(u64, Kind, Vec<u64>)> {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        understand(&words).ok().map(|wish| (wish.priority, wish.kind, wish.ids))
    }

    #[test]
    fn words_are_understood_in_the_usual_orders() {
        assert_eq!(wish("10 12"), Some((10, Kind::Process, vec![12])));
        assert_eq!(wish("-n 10 -p 12 13"), Some((10, Kind::Process, vec![12, 13])));
        assert_eq!(wish("-n -5 -g 40"), Some((25, Kind::Group, vec![40])));
        assert_eq!(wish("-5 -u 1000"), Some((25, Kind::User, vec![1000])));
        assert_eq!(wish("-g -n idle 7"), Some((0, Kind::Group, vec![7])));
        for wrong in ["", "5", "-n 5", "20 1", "-21 1", "much 1", "5 x", "5 -1", "-x 5 1"] {
            assert_eq!(wish(wrong), None, "{wrong}");
        }
    }
}
