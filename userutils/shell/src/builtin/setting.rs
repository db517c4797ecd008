//! Builtins that change the shell: directory, variables, options, aliases.

use std::env;

use nix::libc;

use super::{failure, number, quoted, usage};
use crate::parse::is_name;
use crate::run::Flow;
use crate::state::Shell;

pub(super) fn cd(shell: &mut Shell, args: &[String], output: &mut String) -> Flow {
    let target = match args.get(1).map(String::as_str) {
        None => match shell.variables.get("HOME") {
            Some(home) => home.to_owned(),
            None => return failure(shell, args, "HOME is not set"),
        },
        Some("-") => match shell.variables.get("OLDPWD").map(str::to_owned) {
            Some(before) => {
                output.push_str(&format!("{before}\n"));
                before
            }
            None => return failure(shell, args, "there was no directory before"),
        },
        Some(target) => target.to_owned(),
    };
    if let Err(error) = env::set_current_dir(&target) {
        return failure(shell, args, format_args!("{target}: {error}"));
    }
    let before = shell.variables.get("PWD").unwrap_or_default().to_owned();
    let now = env::current_dir().map_or(target, |now| now.to_string_lossy().into_owned());
    let remembered =
        shell.variables.set("OLDPWD", before).and_then(|()| shell.variables.set("PWD", now));
    remembered.map_or_else(|error| failure(shell, args, error), |()| Ok(0))
}

pub(super) fn pwd(shell: &mut Shell, args: &[String], output: &mut String) -> Flow {
    match env::current_dir() {
        Ok(directory) => {
            output.push_str(&format!("{}\n", directory.display()));
            Ok(0)
        }
        Err(error) => failure(shell, args, error),
    }
}

/// Splits `NAME=VALUE`, checks the name, and gives both to `mark`.
fn each_name(
    shell: &mut Shell,
    args: &[String],
    names: &[String],
    mark: fn(&mut Shell, &str) -> Result<(), String>,
    after: fn(&mut Shell, &str),
) -> Flow {
    for arg in names {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (arg.as_str(), None),
        };
        if !is_name(name) {
            return failure(shell, args, format_args!("{name}: is no name for a variable"));
        }
        let set = mark(shell, name).and_then(|()| match value {
            Some(value) => shell.variables.set(name, value),
            None => Ok(()),
        });
        if let Err(error) = set {
            return failure(shell, args, error);
        }
        after(shell, name);
    }
    Ok(0)
}

pub(super) fn export(shell: &mut Shell, args: &[String], output: &mut String) -> Flow {
    let plain = |_: &mut Shell, _: &str| Ok(());
    match args.get(1).map(String::as_str) {
        None | Some("-p") => {
            for (name, value) in shell.variables.exported() {
                output.push_str(&format!("export {name}={}\n", quoted(value)));
            }
            Ok(0)
        }
        Some("-n") => {
            let hide = |shell: &mut Shell, name: &str| shell.variables.export(name, false);
            each_name(shell, args, &args[2..], plain, hide)
        }
        Some(_) => {
            let show = |shell: &mut Shell, name: &str| shell.variables.export(name, true);
            each_name(shell, args, &args[1..], plain, show)
        }
    }
}

pub(super) fn readonly(shell: &mut Shell, args: &[String], output: &mut String) -> Flow {
    if args.len() == 1 {
        for name in shell.variables.readonly() {
            let value = quoted(shell.variables.get(name).unwrap_or_default());
            output.push_str(&format!("readonly {name}={value}\n"));
        }
    }
    let fix = |shell: &mut Shell, name: &str| shell.variables.make_readonly(name);
    each_name(shell, args, &args[1..], |_, _| Ok(()), fix)
}

pub(super) fn local(shell: &mut Shell, args: &[String], _: &mut String) -> Flow {
    let hide = |shell: &mut Shell, name: &str| match shell.variables.make_local(name) {
        true => Ok(()),
        false => Err("only in a function".to_owned()),
    };
    each_name(shell, args, &args[1..], hide, |_, _| {})
}

pub(super) fn unset(shell: &mut Shell, args: &[String], _: &mut String) -> Flow {
    let (functions, names) = match args.get(1).map(String::as_str) {
        Some("-f") => (true, &args[2..]),
        Some("-v") => (false, &args[2..]),
        _ => (false, &args[1..]),
    };
    for name in names {
        if functions {
            shell.functions.remove(name);
        } else if let Err(error) = shell.variables.unset(name) {
            return failure(shell, args, error);
        }
    }
    Ok(0)
}

pub(super) fn set(shell: &mut Shell, args: &[String], output: &mut String) -> Flow {
    if args.len() == 1 {
        for (name, value) in shell.variables.all() {
            output.push_str(&format!("{name}={}\n", quoted(value)));
        }
        return Ok(0);
    }
    let mut rest = &args[1..];
    while let Some((first, behind)) = rest.split_first() {
        let on = match first.chars().next() {
            _ if first == "--" => {
                shell.positional = behind.to_vec();
                return Ok(0);
            }
            Some('-') if first.len() > 1 => true,
            Some('+') if first.len() > 1 => false,
            _ => break,
        };
        for letter in first[1..].chars() {
            match letter {
                'e' => shell.options.exit_on_error = on,
                'f' => shell.options.no_glob = on,
                'u' => shell.options.no_unset = on,
                'x' => shell.options.trace = on,
                _ => return usage(shell, args, format_args!("{letter}: no such option")),
            }
        }
        rest = behind;
    }
    if !rest.is_empty() {
        shell.positional = rest.to_vec();
    }
    Ok(0)
}

pub(super) fn shift(shell: &mut Shell, args: &[String], _: &mut String) -> Flow {
    let count = number(shell, args, 1)?;
    if count > shell.positional.len() {
        let have = shell.positional.len();
        return failure(shell, args, format_args!("{count}: there are only {have}"));
    }
    shell.positional.drain(..count);
    Ok(0)
}

pub(super) fn alias(shell: &mut Shell, args: &[String], output: &mut String) -> Flow {
    let mut aliases = shell.aliases.borrow_mut();
    if args.len() == 1 {
        for (name, text) in aliases.iter() {
            output.push_str(&format!("alias {name}={}\n", quoted(text)));
        }
    }
    let mut status = 0;
    for arg in &args[1..] {
        match arg.split_once('=') {
            Some((name, text)) => drop(aliases.insert(name.to_owned(), text.to_owned())),
            None => match aliases.get(arg) {
                Some(text) => output.push_str(&format!("alias {arg}={}\n", quoted(text))),
                None => {
                    shell.complain(format_args!("alias: {arg}: not found"));
                    status = 1;
                }
            },
        }
    }
    Ok(status)
}

pub(super) fn unalias(shell: &mut Shell, args: &[String], _: &mut String) -> Flow {
    let mut aliases = shell.aliases.borrow_mut();
    let mut status = 0;
    for name in &args[1..] {
        if name == "-a" {
            aliases.clear();
        } else if aliases.remove(name).is_none() {
            shell.complain(format_args!("unalias: {name}: not found"));
            status = 1;
        }
    }
    Ok(status)
}

pub(super) fn umask(shell: &mut Shell, args: &[String], output: &mut String) -> Flow {
    let exchange = |mask: libc::mode_t| {
        // SAFETY: `umask` only exchanges a number of this process.
        unsafe { libc::umask(mask) }
    };
    match args.get(1) {
        None => {
            // It can only be read by setting it.
            let mask = exchange(0o022);
            exchange(mask);
            output.push_str(&format!("{mask:04o}\n"));
            Ok(0)
        }
        Some(mode) => match libc::mode_t::from_str_radix(mode, 8) {
            Ok(mode) if mode <= 0o777 => {
                exchange(mode);
                Ok(0)
            }
            _ => usage(shell, args, format_args!("{mode}: is no octal mode")),
        },
    }
}
