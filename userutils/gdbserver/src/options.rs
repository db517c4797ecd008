//! The command line.

use lexopt::{Arg, Parser, ValueExt};
use std::ffi::OsString;

const HELP: &str = "\
gdbserver - let a GDB on another machine debug a program

Usage: gdbserver LINE COMMAND [ARG...]
       gdbserver --attach LINE PID

LINE is `serial`, the second serial port, or the path of another line. With
`make qemu GDBSERVER=1234` the port is TCP port 1234 of the host.

Options:
  --attach     debug a process that runs already
  -h, --help   print this text
  --version    print the version

Examples:
  gdbserver serial ls /etc
  gdbserver --attach serial 5

On the host:
  gdb -ex 'target remote :1234'

See also: strace, ps
";

/// What the command line asks for.
pub(crate) enum Wanted {
    Serve(Options),
    Text(String),
}

/// What to debug.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Start(Vec<String>),
    Attach(u32),
}

/// What to debug, and where GDB is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) line: String,
    pub(crate) program: Program,
}

impl Options {
    /// Reads the words behind the program's name.
    pub(crate) fn parse(
        words: impl IntoIterator<Item = OsString>,
    ) -> Result<Wanted, lexopt::Error> {
        let mut parser = Parser::from_args(words);
        let (mut attaches, mut line) = (false, None);
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("attach") => attaches = true,
                Arg::Short('h') | Arg::Long("help") => return Ok(Wanted::Text(HELP.into())),
                Arg::Long("version") => {
                    return Ok(Wanted::Text(format!("gdbserver {}\n", env!("CARGO_PKG_VERSION"))));
                }
                Arg::Value(word) if line.is_none() => line = Some(path_of(&word.string()?)?),
                Arg::Value(word) => {
                    let line = line.ok_or("where is GDB?")?;
                    let first = word.string()?;
                    let program = if attaches {
                        Program::Attach(first.parse().map_err(|_| format!("{first}: no process"))?)
                    } else {
                        let rest = parser.raw_args()?.map(ValueExt::string);
                        let mut words = vec![first];
                        words.extend(rest.collect::<Result<Vec<_>, _>>()?);
                        Program::Start(words)
                    };
                    return Ok(Wanted::Serve(Self { line, program }));
                }
                other => return Err(other.unexpected()),
            }
        }
        Err("what shall be debugged?".into())
    }
}

/// The path of a line.
fn path_of(line: &str) -> Result<String, lexopt::Error> {
    match line {
        "serial" => Ok("/scheme/debug/1".into()),
        line if line.contains('/') => Ok(line.into()),
        line => Err(format!("{line}: neither `serial` nor a path; there is no network").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<Options> {
        match Options::parse(line.split(' ').map(OsString::from)) {
            Ok(Wanted::Serve(options)) => Some(options),
            _ => None,
        }
    }

    #[test]
    fn programs_and_processes_are_told_apart() {
        let line = String::from("/scheme/debug/1");
        let program = Program::Start(vec!["ls".into(), "-l".into()]);
        assert_eq!(parse("serial ls -l"), Some(Options { line: line.clone(), program }));
        let program = Program::Attach(7);
        assert_eq!(parse("--attach serial 7"), Some(Options { line, program }));
        for wrong in ["serial", "--attach serial ls", ":1234 ls", "--other"] {
            assert!(parse(wrong).is_none(), "{wrong}");
        }
        assert!(HELP.lines().all(|line| line.len() <= 80));
    }
}
