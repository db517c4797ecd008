//! `sh` — the shell's command line.

use std::io::IsTerminal;
use std::process::ExitCode;

use shell::run::{Escape, Flow};
use shell::state::Shell;
use shell::{interactive, system};

const HELP: &str = "\
sh - the shell

Usage: sh [-efux] [-i]                     commands from standard input
       sh [-efux] FILE [ARG...]            commands from a file
       sh [-efux] -c TEXT [NAME [ARG...]]  commands from an argument

Options:
  -c TEXT       run TEXT; NAME is $0, the ARGs are $1 and on
  -i            talk to a person even if standard input is no terminal
  -e            exit when a command fails that nobody tests
  -f            do not expand patterns
  -u            an unset variable is an error
  -x            show commands before they run
  -h, --help    print this text
  --version     print the version

Examples:
  sh -c 'cat sys:uname; echo hi > ram:x'
  sh -e build.sh all

Files:
  /etc/profile     run before the first prompt
  ~/.sh_history    lines typed ($HISTFILE names another file)

Exit status: that of the last command; 2 for a usage or syntax error; 126 and 127 for a program
that cannot be run or found; 128 and the signal's number for one that was killed.

See also: `help` at the prompt
";

fn main() -> ExitCode {
    let utf8 = |arg: std::ffi::OsString| arg.to_string_lossy().into_owned();
    let args: Vec<String> = std::env::args_os().map(utf8).collect();
    match Invocation::parse(&args) {
        Ok(invocation) => invocation.run(),
        Err(problem) => {
            eprintln!("sh: {problem}; try `sh --help`");
            ExitCode::from(2)
        }
    }
}

/// Where commands come from.
enum Source {
    Text(String),
    File(String),
    Input,
    Print(&'static str),
}

struct Invocation {
    source: Source,
    shell: Shell,
    interactive: bool,
}

impl Invocation {
    fn parse(args: &[String]) -> Result<Self, String> {
        let own_name = args.first().map_or("sh", String::as_str);
        let mut shell = Shell::new(own_name, Vec::new());
        let (mut has_text, mut interactive) = (false, false);
        let mut rest = args.get(1..).unwrap_or_default();
        while let Some((flag, behind)) = rest.split_first() {
            let letters = match flag.as_str() {
                "--help" => return Ok(Self::print(HELP, shell)),
                "--version" => {
                    return Ok(Self::print(concat!("sh ", env!("CARGO_PKG_VERSION"), "\n"), shell));
                }
                "--" | "-" => {
                    rest = behind;
                    break;
                }
                flag => match flag.strip_prefix('-') {
                    Some(letters) => letters,
                    None => break,
                },
            };
            for letter in letters.chars() {
                match letter {
                    'c' => has_text = true,
                    'i' => interactive = true,
                    // A login shell, and commands from standard input: what it is anyway.
                    'l' | 's' => {}
                    'e' => shell.options.exit_on_error = true,
                    'f' => shell.options.no_glob = true,
                    'u' => shell.options.no_unset = true,
                    'x' => shell.options.trace = true,
                    'h' => return Ok(Self::print(HELP, shell)),
                    _ => return Err(format!("-{letter}: no such option")),
                }
            }
            rest = behind;
        }
        let source = match (has_text, rest) {
            (true, []) => return Err("-c needs a text".into()),
            (true, [text, rest @ ..]) => {
                if let [name, rest @ ..] = rest {
                    shell.name.clone_from(name);
                    shell.positional = rest.to_vec();
                }
                Source::Text(text.clone())
            }
            (false, []) => Source::Input,
            (false, [file, rest @ ..]) => {
                shell.name.clone_from(file);
                shell.positional = rest.to_vec();
                Source::File(file.clone())
            }
        };
        Ok(Self { source, shell, interactive })
    }

    fn print(text: &'static str, shell: Shell) -> Self {
        Self { source: Source::Print(text), shell, interactive: false }
    }

    fn run(mut self) -> ExitCode {
        let shell = &mut self.shell;
        let status = match self.source {
            Source::Print(text) => i32::from(system::print(text).is_err()),
            Source::Text(text) => end(shell.run_text(&text, true), shell),
            Source::File(file) => run_file(shell, &file),
            Source::Input if self.interactive || std::io::stdin().is_terminal() => {
                interactive::run(shell).unwrap_or_else(|error| {
                    shell.complain(format_args!("no terminal: {error}"));
                    1
                })
            }
            Source::Input => {
                let flow = run_input(shell);
                end(flow, shell)
            }
        };
        ExitCode::from(status as u8)
    }
}

fn end(flow: Flow, shell: &Shell) -> i32 {
    flow.unwrap_or_else(|escape| escape.status(shell.status))
}

fn run_file(shell: &mut Shell, file: &str) -> i32 {
    match std::fs::read_to_string(file) {
        Ok(text) => end(shell.run_text(&text, true), shell),
        Err(error) => {
            eprintln!("sh: {file}: {error}");
            if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 }
        }
    }
}

/// Commands from a pipe or file on standard input. Never reads further than the command it is
/// at: the rest may be for a program that command starts.
fn run_input(shell: &mut Shell) -> Flow {
    let mut text = String::new();
    loop {
        let line = system::read_line().map_err(|error| {
            shell.complain(format_args!("standard input: {error}"));
            Escape::Failed(1)
        })?;
        let at_end = line.is_none();
        if let Some(line) = line {
            text.push_str(&line);
            text.push('\n');
        }
        if at_end || !interactive::is_incomplete(shell, &text) {
            shell.run_text(&text, false)?;
            text.clear();
        }
        if at_end {
            return Ok(shell.status);
        }
    }
}
