//! What the shell does itself.
//!
//! Either because it changes the shell (`cd`, `export`), or because starting a program for it
//! would cost more than the work (`echo`, `test`).

mod control;
mod information;
mod job;
mod limit;
mod read;
mod setting;
mod test;

use crate::run::{Escape, Flow};
use crate::state::Shell;

/// One command of the shell's own.
#[derive(Debug)]
pub struct Builtin {
    /// What is typed.
    pub name: &'static str,
    /// What may follow.
    pub usage: &'static str,
    /// One line for `help`.
    pub summary: &'static str,
    /// The arguments begin with the name. What lands in the text is printed afterwards.
    pub run: fn(&mut Shell, &[String], &mut String) -> Flow,
}

/// A usage error's status.
const USAGE: i32 = 2;

/// Says what is wrong with the arguments.
fn usage(shell: &Shell, args: &[String], what: impl std::fmt::Display) -> Flow {
    shell.complain(format_args!("{}: {what}; try `help {}`", args[0], args[0]));
    Ok(USAGE)
}

/// Says that it did not work.
fn failure(shell: &Shell, args: &[String], what: impl std::fmt::Display) -> Flow {
    shell.complain(format_args!("{}: {what}", args[0]));
    Ok(1)
}

/// A count in the first argument, or `default`.
fn number(shell: &Shell, args: &[String], default: usize) -> Result<usize, Escape> {
    match args.get(1) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| {
            shell.complain(format_args!("{}: {text}: is no number", args[0]));
            Escape::Failed(USAGE)
        }),
    }
}

macro_rules! table {
    ($($name:literal $usage:literal $summary:literal $run:path;)*) => {
        /// Sorted by name.
        static TABLE: &[Builtin] = &[$(
            Builtin { name: $name, usage: $usage, summary: $summary, run: $run },
        )*];
    };
}

table! {
    "." "FILE [ARG...]" "run a file's commands in this shell" control::source;
    ":" "[ARG...]" "do nothing, successfully" control::succeed;
    "[" "EXPRESSION ]" "the same as test" test::test;
    "alias" "[NAME[=TEXT]...]" "let a word stand for a text, or show what does" setting::alias;
    "bg" "[%N]" "let a stopped command go on in the background" job::background;
    "break" "[N]" "leave the innermost loop, or N of them" control::leave_loop;
    "cd" "[DIRECTORY | -]" "change the working directory; without one, to $HOME" setting::cd;
    "clear" "" "clear the screen" information::clear;
    "command" "[-v] NAME [ARG...]" "run NAME even if there is a function called so; -v: tell what it is" control::command;
    "continue" "[N]" "go on with the next turn of a loop" control::next_turn;
    "echo" "[-n] [-e] [TEXT...]" "print words; -n: no newline, -e: understand \\n, \\t, \\e and so on" information::echo;
    "eval" "[TEXT...]" "run the arguments as a command" control::eval;
    "exec" "[COMMAND [ARG...]]" "become a program; without one, keep the redirections" control::exec;
    "exit" "[STATUS]" "end the shell" control::exit;
    "export" "[-n] [NAME[=VALUE]...]" "let programs inherit variables; -n: no longer" setting::export;
    "false" "" "fail" control::fail;
    "fg" "[%N]" "bring a background or stopped command to the foreground and wait for it" job::foreground;
    "help" "[NAME]" "show what the shell does itself, the page of a scheme, or what a program says about itself" information::help;
    "history" "[-c] [N]" "show the last N lines typed; -c: forget them" information::history;
    "jobs" "" "list background and stopped commands" job::jobs;
    "kill" "[-SIGNAL] PID | %N ...  or  -l [SIGNAL...]" "send a signal, SIGTERM unless another is named; -l: list them" job::kill;
    "local" "NAME[=VALUE]..." "variables that only this function sees" setting::local;
    "man" "NAME" "the same as help" information::help;
    "pwd" "" "print the working directory" setting::pwd;
    "read" "[-r] [-p PROMPT] [NAME...]" "read a line into variables; -r: backslashes are plain" read::read;
    "readonly" "[NAME[=VALUE]...]" "variables that can no longer change" setting::readonly;
    "return" "[STATUS]" "leave a function or sourced file" control::leave_call;
    "set" "[-efux] [+efux] [--] [ARG...]" "switch options (-e exit on failure, -f no patterns, -u no unset variables, -x trace), set $1 and on, or show variables" setting::set;
    "shift" "[N]" "drop the first N positional parameters" setting::shift;
    "source" "FILE [ARG...]" "the same as ." control::source;
    "test" "EXPRESSION" "compare texts (= != < >), numbers (-eq -ne -lt -le -gt -ge), look at files (-e -f -d -r -w -x -s -L)" test::test;
    "time" "[-p] COMMAND [ARG...]" "run a command and say how long it took, and how much time it had in its own code and in the kernel; -p: in the form of POSIX" control::time;
    "true" "" "do nothing, successfully" control::succeed;
    "type" "NAME..." "tell what a name stands for" information::kind;
    "ulimit" "[-SH] [-a | -cdfnstv [LIMIT]]" "what the shell and all it starts may use: -c core, -d data, -f written file, -n open files, -s stack, -t CPU time, -v memory, -a all; LIMIT is a number (of KiB; -c and -f: 512 bytes) or unlimited; -S soft, -H hard" limit::ulimit;
    "umask" "[MODE]" "permissions that new files do not get, in octal" setting::umask;
    "unalias" "[-a] NAME..." "forget aliases" setting::unalias;
    "unset" "[-f] NAME..." "forget variables, or functions with -f" setting::unset;
    "wait" "[PID | %N ...]" "wait for background commands" job::wait;
}

/// Looks one up.
pub fn find(name: &str) -> Option<&'static Builtin> {
    TABLE.binary_search_by(|builtin| builtin.name.cmp(name)).ok().map(|at| &TABLE[at])
}

/// All names, for completion.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|builtin| builtin.name)
}

/// A text as it could be typed again.
pub fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:=+,@%^".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found() {
        assert!(TABLE.is_sorted_by_key(|builtin| builtin.name));
        assert!(names().all(|name| find(name).is_some_and(|found| found.name == name)));
        assert!(find("ls").is_none());
    }

    #[test]
    fn quoting_reads_back() {
        assert_eq!(quoted("sys:uname"), "sys:uname");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
