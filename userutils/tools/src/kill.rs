//! `kill` — sending signals.

use std::str::FromStr;

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::Tool;
use crate::arguments::Arguments;
use crate::failure::{Failure, output};

pub(crate) const TOOL: Tool = Tool {
    name: "kill",
    help: "\
kill - send a signal to processes

Usage: kill [-SIGNAL | -s SIGNAL] PID...
       kill -l [SIGNAL...]

Options:
  -SIGNAL     which: a number or a name, with or without SIG; without it, TERM
  -s SIGNAL   the same
  -l          list the signals, or turn names into numbers and back
  -h, --help  print this text
  --version   print the version

A negative PID is a process group, 0 the own group. Signal 0 is not sent: it
only asks whether the process is there.

Examples:
  kill 12
  kill -KILL 12 13
  kill -l INT

See also: ps, top
",
    run,
};

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    // Not parsed as options: `-12` is a signal here.
    let words = arguments.rest()?;
    let mut targets = &words[..];
    let mut wanted = Some(Signal::SIGTERM);
    match targets.first().map(String::as_str) {
        Some("-h" | "--help") => return Err(Failure::Help),
        Some("--version") => return Err(Failure::Version),
        Some("-l") => return list(&targets[1..]),
        Some("--") => targets = &targets[1..],
        Some("-s") => {
            let name = targets.get(1).ok_or_else(|| Failure::Usage("-s needs a signal".into()))?;
            wanted = by_name(name)?;
            targets = &targets[2..];
        }
        Some(flag) if flag.len() > 1 && flag.starts_with('-') => {
            wanted = by_name(&flag[1..])?;
            targets = &targets[1..];
        }
        _ => {}
    }
    if targets.is_empty() {
        return Err(Failure::Usage("whom?".into()));
    }
    let mut status = 0;
    for target in targets {
        let pid: i32 =
            target.parse().map_err(|_| Failure::Usage(format!("{target}: is no process id")))?;
        if let Err(error) = signal::kill(Pid::from_raw(pid), wanted) {
            eprintln!("kill: {target}: {}", error.desc());
            status = 1;
        }
    }
    Ok(status)
}

fn list(names: &[String]) -> Result<u8, Failure> {
    let line = |signal: Signal| format!("{:2} {}\n", signal as i32, signal.as_str());
    if names.is_empty() {
        output(&Signal::iterator().map(line).collect::<String>())?;
    }
    for name in names {
        let text = match (name.parse::<i32>(), by_name(name)?) {
            (Ok(_), Some(signal)) => signal.as_str().trim_start_matches("SIG").to_owned(),
            (_, signal) => signal.map_or(0, |signal| signal as i32).to_string(),
        };
        output(&(text + "\n"))?;
    }
    Ok(0)
}

/// `9`, `KILL`, `SIGKILL`, in any case, and what a shell shows for an end by one (`137`). 0 is
/// no signal.
fn by_name(name: &str) -> Result<Option<Signal>, Failure> {
    let unknown = || Failure::Usage(format!("{name}: no such signal"));
    if let Ok(number) = name.parse::<i32>() {
        let number = if number > 128 { number - 128 } else { number };
        return match number {
            0 => Ok(None),
            number => Signal::try_from(number).map(Some).map_err(|_| unknown()),
        };
    }
    let upper = name.to_ascii_uppercase();
    let upper = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    Signal::from_str(&upper).map(Some).map_err(|_| unknown())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_many_names() {
        for name in ["9", "137", "KILL", "SIGKILL", "sigkill"] {
            assert_eq!(by_name(name).unwrap(), Some(Signal::SIGKILL), "{name}");
        }
        assert_eq!(by_name("0").unwrap(), None);
        assert!(by_name("99").is_err() && by_name("X").is_err());
    }

    #[test]
    fn arguments_are_checked() {
        let run = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| word.to_string()).collect();
            run(&mut Arguments::new(&words))
        };
        let own = std::process::id().to_string();
        assert!(matches!(run(&["-0", &own]), Ok(0)));
        assert!(matches!(run(&["-s", "0", "--"]), Err(Failure::Usage(_))));
        assert!(matches!(run(&[]), Err(Failure::Usage(_))));
        assert!(matches!(run(&["-h"]), Err(Failure::Help)));
        assert!(matches!(run(&["x"]), Err(Failure::Usage(_))));
    }
}
