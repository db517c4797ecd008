//! The command line.

use crate::inject::Injection;
use abi::call::{CALLS, Call};
use lexopt::{Arg, Parser, ValueExt};
use std::collections::BTreeSet;
use std::ffi::OsString;

const HELP: &str = "\
strace - show the system calls and signals of a program

Usage: strace [OPTION...] COMMAND [ARG...]
       strace [OPTION...] -p PID...

Options:
  -f           follow the processes and threads it makes
  -p PID       trace a process that runs already; may be given more than once
  -e EXPR      only these: trace=read,write, trace=%file, trace=!read;
               signal=none leaves the signals out;
               inject=CALLS:error=ENOENT or :retval=N does not make the calls
               but answers them, with :when=N only the Nth
  -c           count calls, errors and time; show nothing else
  -C           count as well
  -o FILE      write to FILE, not to standard error
  -s N         show at most N bytes of a string (32)
  -T           time spent in each call
  -t           time of day
  -r           time since the line before
  -q           leave out attaching and detaching
  -h, --help   print this text
  -V, --version  print the version

Classes for trace=: %file %desc %memory %process %signal %clock %scheme

Examples:
  strace -f sh -c 'ls / | wc -l'
  strace -c -p 5
  strace -e trace=%file -o /tmp/log ls
  strace -e inject=open:error=ENOENT:when=3 sh

See also: ps, gdbserver
";

/// What the command line asks for.
pub(crate) enum Wanted {
    Trace(Options),
    Text(String),
}

/// What a line begins with.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Stamp {
    #[default]
    None,
    TimeOfDay,
    Relative,
}

/// What to trace, and how to show it.
pub(crate) struct Options {
    pub(crate) follows: bool,
    pub(crate) pids: Vec<u32>,
    pub(crate) command: Vec<String>,
    /// The numbers of the calls to show; all when there is none.
    pub(crate) calls: Option<BTreeSet<usize>>,
    /// Calls that are not made.
    pub(crate) injections: Vec<Injection>,
    pub(crate) shows_signals: bool,
    pub(crate) counts: bool,
    pub(crate) is_silent: bool,
    pub(crate) output: Option<String>,
    pub(crate) string_length: usize,
    pub(crate) shows_duration: bool,
    pub(crate) stamp: Stamp,
    pub(crate) is_quiet: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            follows: false,
            pids: Vec::new(),
            command: Vec::new(),
            calls: None,
            injections: Vec::new(),
            shows_signals: true,
            counts: false,
            is_silent: false,
            output: None,
            string_length: 32,
            shows_duration: false,
            stamp: Stamp::None,
            is_quiet: false,
        }
    }
}

impl Options {
    /// Reads the words behind the program's name.
    pub(crate) fn parse(
        words: impl IntoIterator<Item = OsString>,
    ) -> Result<Wanted, lexopt::Error> {
        let mut parser = Parser::from_args(words);
        let mut options = Self::default();
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Short('f') => options.follows = true,
                Arg::Short('p') => options.pids.push(parser.value()?.parse()?),
                Arg::Short('e') => options.choose(&parser.value()?.string()?)?,
                Arg::Short('c') => (options.counts, options.is_silent) = (true, true),
                Arg::Short('C') => options.counts = true,
                Arg::Short('o') => options.output = Some(parser.value()?.string()?),
                Arg::Short('s') => options.string_length = parser.value()?.parse()?,
                Arg::Short('T') => options.shows_duration = true,
                Arg::Short('t') => options.stamp = Stamp::TimeOfDay,
                Arg::Short('r') => options.stamp = Stamp::Relative,
                Arg::Short('q') => options.is_quiet = true,
                Arg::Short('h') | Arg::Long("help") => return Ok(Wanted::Text(HELP.into())),
                Arg::Short('V') | Arg::Long("version") => {
                    return Ok(Wanted::Text(format!("strace {}\n", env!("CARGO_PKG_VERSION"))));
                }
                Arg::Value(word) => {
                    options.command.push(word.string()?);
                    let rest = parser.raw_args()?.map(ValueExt::string);
                    options.command.extend(rest.collect::<Result<Vec<_>, _>>()?);
                }
                other => return Err(other.unexpected()),
            }
        }
        if options.command.is_empty() && options.pids.is_empty() {
            return Err("what shall be traced?".into());
        }
        Ok(Wanted::Trace(options))
    }

    /// `-e`: `trace=LIST`, `signal=none`, `inject=RULE`, or a list alone.
    fn choose(&mut self, expression: &str) -> Result<(), lexopt::Error> {
        let (what, list) = expression.split_once('=').unwrap_or(("trace", expression));
        match (what, list) {
            ("trace", "all") => self.calls = None,
            ("trace", list) => self.calls = Some(chosen(list)?),
            ("signal", "none") => self.shows_signals = false,
            ("signal", "all") => self.shows_signals = true,
            ("inject", rule) => self.injections.push(Injection::parse(rule)?),
            _ => return Err(format!("-e {expression}: not trace=, signal= or inject=").into()),
        }
        Ok(())
    }

    /// Whether a call is to be shown.
    pub(crate) fn shows(&self, number: usize) -> bool {
        self.calls.as_ref().is_none_or(|calls| calls.contains(&number))
    }
}

/// The numbers of the calls that a list names; `!` takes all others.
pub(crate) fn chosen(list: &str) -> Result<BTreeSet<usize>, String> {
    let (is_negated, names) = match list.strip_prefix('!') {
        Some(names) => (true, names),
        None => (false, list),
    };
    let mut found = BTreeSet::new();
    for name in names.split(',').filter(|name| !name.is_empty() && *name != "none") {
        let fits = |call: &&Call| match name.strip_prefix('%') {
            Some(class) => call.class.name() == class,
            None => call.name == name,
        };
        let before = found.len();
        found.extend(CALLS.iter().filter(fits).map(|call| call.number));
        if found.len() == before && !CALLS.iter().any(|call| fits(&call)) {
            return Err(format!("{name}: no such call"));
        }
    }
    if is_negated {
        let all = CALLS.iter().map(|call| call.number);
        found = all.filter(|number| !found.contains(number)).collect();
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::redox::number::{SYS_READ, SYS_WRITE};

    fn parse(line: &str) -> Result<Wanted, lexopt::Error> {
        Options::parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn what_belongs_to_the_command_is_left_to_it() {
        let Ok(Wanted::Trace(options)) = parse("-f -s 5 ls -p x") else { panic!() };
        assert_eq!(options.command, ["ls", "-p", "x"]);
        assert!(options.follows && options.pids.is_empty() && options.string_length == 5);
    }

    #[test]
    fn calls_are_chosen_by_name_and_class() {
        let shown = |line: &str| match parse(line) {
            Ok(Wanted::Trace(options)) => [SYS_READ, SYS_WRITE].map(|call| options.shows(call)),
            _ => panic!("{line}"),
        };
        assert_eq!(shown("x"), [true, true]);
        assert_eq!(shown("-e read x"), [true, false]);
        assert_eq!(shown("-e trace=%desc x"), [true, true]);
        assert_eq!(shown("-e trace=!read x"), [false, true]);
        assert_eq!(shown("-e trace=none x"), [false, false]);
    }

    #[test]
    fn mistakes_are_refused() {
        for line in ["-e trace=nothing x", "-e what=1 x", "-p x", "-f", "-s", "--long x"] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert!(matches!(parse("--help"), Ok(Wanted::Text(_))));
        assert!(HELP.lines().all(|line| line.len() <= 80));
    }
}
