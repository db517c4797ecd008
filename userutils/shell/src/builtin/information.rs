//! Builtins that only say something.

use super::{TABLE, failure, find, number, usage};
use crate::run::{Flow, Found};
use crate::state::Shell;

pub(super) fn echo(_: &mut Shell, args: &[String], output: &mut String) -> Flow {
    let is_flag = |arg: &&String| {
        arg.len() > 1 && arg.starts_with('-') && arg[1..].chars().all(|c| "neE".contains(c))
    };
    let flags: Vec<&String> = args[1..].iter().take_while(is_flag).collect();
    let has = |letter| flags.iter().any(|flag| flag.contains(letter));
    let text = args[1 + flags.len()..].join(" ");
    if has('e') {
        output.push_str(&unescape(&text));
    } else {
        output.push_str(&text);
    }
    if !has('n') {
        output.push('\n');
    }
    Ok(0)
}

pub(super) fn clear(_: &mut Shell, _: &[String], output: &mut String) -> Flow {
    output.push_str("\x1b[H\x1b[2J");
    Ok(0)
}

fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        match rest.next() {
            Some('n') => plain.push('\n'),
            Some('t') => plain.push('\t'),
            Some('r') => plain.push('\r'),
            Some('a') => plain.push('\x07'),
            Some('b') => plain.push('\x08'),
            Some('e') => plain.push('\x1b'),
            Some('0') => {
                let digits: String =
                    rest.as_str().chars().take(3).take_while(|c| c.is_digit(8)).collect();
                digits.chars().for_each(|_| {
                    rest.next();
                });
                let code = u32::from_str_radix(&digits, 8).unwrap_or(0);
                plain.extend(char::from_u32(code));
            }
            Some('\\') => plain.push('\\'),
            Some(other) => plain.extend(['\\', other]),
            None => plain.push('\\'),
        }
    }
    plain
}

pub(super) fn help(shell: &mut Shell, args: &[String], output: &mut String) -> Flow {
    let Some(name) = args.get(1) else {
        output.push_str(
            "The shell itself knows (`help NAME` tells more, `NAME --help` for programs):\n\n",
        );
        for builtin in TABLE {
            let summary = builtin.summary.split("; ").next().unwrap_or_default();
            output.push_str(&format!("  {:<10} {summary}\n", builtin.name));
        }
        output.push_str(HINTS);
        return Ok(0);
    };
    match find(name) {
        Some(builtin) => {
            let (name, usage, summary) = (builtin.name, builtin.usage, builtin.summary);
            output.push_str(&format!("{name} - {summary}\n\nUsage: {name} {usage}\n"));
            Ok(0)
        }
        None => match page(name) {
            Some(page) => {
                output.push_str(&page);
                Ok(0)
            }
            None if !name.contains(['/', ':']) && program(shell, name) => {
                shell.run_text(&format!("{name} --help"), false)
            }
            None => {
                let what = "neither the shell's, nor a scheme with a page, nor a program";
                failure(shell, args, format_args!("{name}: {what}"))
            }
        },
    }
}

/// What `help` says at its end.
const HINTS: &str = "
`help NAME` tells more about one of these, shows the page of a scheme, as in `help sys:`, or asks a
program, as in `help ls`. Programs are in /bin; `schemes` lists the schemes, and `ls NAME:` what one
has. The pages are in /share/doc.

Keys: Tab completes, Up and Down and Ctrl-R search the history, Ctrl-C interrupts, Ctrl-Z stops,
Ctrl-D ends.
";

/// The page of a scheme, whose name may have its colon.
fn page(name: &str) -> Option<String> {
    let name = name.strip_suffix(':').unwrap_or(name);
    // `zero:` shares a page.
    let file = if name == "zero" { "null" } else { name };
    let is_name = !file.is_empty() && file.bytes().all(|byte| byte.is_ascii_lowercase());
    if is_name { std::fs::read_to_string(format!("/share/doc/{file}.md")).ok() } else { None }
}

/// Whether there is a program of this name.
fn program(shell: &Shell, name: &str) -> bool {
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.[".contains(&byte));
    is_word && matches!(shell.find_program(name), Found::Program(_))
}

pub(super) fn history(shell: &mut Shell, args: &[String], output: &mut String) -> Flow {
    if args.get(1).is_some_and(|arg| arg == "-c") {
        shell.history.clear();
        return Ok(0);
    }
    let count = number(shell, args, usize::MAX)?;
    let skipped = shell.history.len().saturating_sub(count);
    for (at, line) in shell.history.iter().enumerate().skip(skipped) {
        output.push_str(&format!("{:5}  {line}\n", at + 1));
    }
    Ok(0)
}

pub(super) fn kind(shell: &mut Shell, args: &[String], output: &mut String) -> Flow {
    if args.len() == 1 {
        return usage(shell, args, "a name is missing");
    }
    let mut missing = false;
    for name in &args[1..] {
        let alias = shell.aliases.borrow().get(name).cloned();
        let what = if let Some(text) = alias {
            format!("stands for `{text}`")
        } else if shell.functions.contains_key(name) {
            "is a function".to_owned()
        } else if find(name).is_some() {
            "is done by the shell itself".to_owned()
        } else {
            match shell.find_program(name) {
                Found::Program(path) => format!("is {path}"),
                Found::NotExecutable(path) => format!("is {path}, which cannot be executed"),
                Found::Nothing => {
                    shell.complain(format_args!("type: {name}: not found"));
                    missing = true;
                    continue;
                }
            }
        };
        output.push_str(&format!("{name} {what}\n"));
    }
    Ok(i32::from(missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn echo_knows_its_flags() {
        let echo = |args: &[&str]| {
            let args: Vec<String> = ["echo"].iter().chain(args).map(|s| s.to_string()).collect();
            let mut output = String::new();
            super::echo(&mut Shell::default(), &args, &mut output).unwrap();
            output
        };
        assert_eq!(echo(&["a", "b"]), "a b\n");
        assert_eq!(echo(&["-n", "a"]), "a");
        assert_eq!(echo(&["-ne", r"a\tb\\n\033"]), "a\tb\\n\x1b");
        assert_eq!(echo(&["-", "-x", "-n"]), "- -x -n\n");
        assert_eq!(echo(&[r"a\n"]), "a\\n\n");
    }
}
