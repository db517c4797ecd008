//! Builtins that decide what runs next.

use std::fs;
use std::time::Instant;

use super::{failure, find, number, usage};
use crate::run::{Escape, Flow, Found};
use crate::state::Shell;
use crate::system;

pub(super) fn succeed(_: &mut Shell, _: &[String], _: &mut String) -> Flow {
    Ok(0)
}

pub(super) fn fail(_: &mut Shell, _: &[String], _: &mut String) -> Flow {
    Ok(1)
}

pub(super) fn exit(shell: &mut Shell, args: &[String], _: &mut String) -> Flow {
    Err(Escape::Exit(status(shell, args)?))
}

pub(super) fn leave_call(shell: &mut Shell, args: &[String], _: &mut String) -> Flow {
    if shell.calls == 0 {
        return failure(shell, args, "only in a function or sourced file");
    }
    Err(Escape::Return(status(shell, args)?))
}

/// The status named, or the last command's.
fn status(shell: &Shell, args: &[String]) -> Flow {
    match args.get(1) {
        None => Ok(shell.status),
        Some(text) => match text.parse::<i32>() {
            Ok(status) => Ok(status & 0xFF),
            Err(_) => {
                shell.complain(format_args!("{}: {text}: is no number", args[0]));
                Ok(2)
            }
        },
    }
}

pub(super) fn leave_loop(shell: &mut Shell, args: &[String], _: &mut String) -> Flow {
    Err(Escape::Break(levels(shell, args)?))
}

pub(super) fn next_turn(shell: &mut Shell, args: &[String], _: &mut String) -> Flow {
    Err(Escape::Continue(levels(shell, args)?))
}

/// At most the loops there are.
fn levels(shell: &Shell, args: &[String]) -> Result<usize, Escape> {
    if shell.loops == 0 {
        shell.complain(format_args!("{}: only in a loop", args[0]));
        return Err(Escape::Failed(1));
    }
    Ok(number(shell, args, 1)?.clamp(1, shell.loops))
}

pub(super) fn eval(shell: &mut Shell, args: &[String], _: &mut String) -> Flow {
    shell.run_text(&args[1..].join(" "), false)
}

pub(super) fn source(shell: &mut Shell, args: &[String], _: &mut String) -> Flow {
    let Some(path) = args.get(1) else { return usage(shell, args, "a file is missing") };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => return failure(shell, args, format_args!("{path}: {error}")),
    };
    let own = (args.len() > 2).then(|| args[2..].to_vec());
    let before = own.map(|own| std::mem::replace(&mut shell.positional, own));
    shell.calls += 1;
    let flow = shell.run_text(&text, false);
    shell.calls -= 1;
    if let Some(before) = before {
        shell.positional = before;
    }
    match flow {
        Err(Escape::Return(status)) => Ok(status),
        flow => flow,
    }
}

pub(super) fn exec(shell: &mut Shell, args: &[String], _: &mut String) -> Flow {
    // Comes back only when there is no such program, and then there is no shell to go back to.
    let status = shell.replace_by(&args[1..])?;
    if shell.is_interactive() { Ok(status) } else { Err(Escape::Exit(status)) }
}

pub(super) fn command(shell: &mut Shell, args: &[String], output: &mut String) -> Flow {
    match args.get(1).map(String::as_str) {
        None => Ok(0),
        Some("-v") => {
            let mut missing = false;
            for name in &args[2..] {
                match describe_briefly(shell, name) {
                    Some(line) => output.push_str(&(line + "\n")),
                    None => missing = true,
                }
            }
            Ok(i32::from(missing))
        }
        Some(_) => shell.without_functions(&args[1..]),
    }
}

pub(super) fn time(shell: &mut Shell, args: &[String], _: &mut String) -> Flow {
    let is_plain = args.get(1).is_some_and(|word| word == "-p");
    let command = &args[1 + usize::from(is_plain)..];
    if command.is_empty() {
        return usage(shell, args, "a command is missing");
    }
    let (start, before) = (Instant::now(), system::used());
    let flow = shell.without_functions(command);
    let (real, after) = (start.elapsed(), system::used());
    let [user, kernel] = [0, 1].map(|which| after[which].saturating_sub(before[which]));
    for (what, time) in [("real", real), ("user", user), ("sys", kernel)] {
        match (time.as_secs_f64(), is_plain) {
            (time, true) => eprintln!("{what} {time:.2}"),
            (time, false) => eprintln!("{what:4} {time:.3} s"),
        }
    }
    flow
}

fn describe_briefly(shell: &Shell, name: &str) -> Option<String> {
    if let Some(text) = shell.aliases.borrow().get(name) {
        return Some(format!("alias {name}={}", super::quoted(text)));
    }
    if shell.functions.contains_key(name) || find(name).is_some() {
        return Some(name.to_owned());
    }
    match shell.find_program(name) {
        Found::Program(path) => Some(path),
        Found::NotExecutable(_) | Found::Nothing => None,
    }
}
