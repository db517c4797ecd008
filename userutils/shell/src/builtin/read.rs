//! `read`.

use super::failure;
use crate::parse::is_name;
use crate::run::{Escape, Flow};
use crate::state::Shell;
use crate::system;

pub(super) fn read(shell: &mut Shell, args: &[String], _: &mut String) -> Flow {
    let mut raw = false;
    let mut names: &[String] = &args[1..];
    loop {
        match names.first().map(String::as_str) {
            Some("-r") => raw = true,
            Some("-p") if names.len() > 1 => {
                if let Err(error) = system::print(&names[1]) {
                    return failure(shell, args, error);
                }
                names = &names[1..];
            }
            Some("--") => {
                names = &names[1..];
                break;
            }
            _ => break,
        }
        names = &names[1..];
    }
    if let Some(bad) = names.iter().find(|name| !is_name(name)) {
        return failure(shell, args, format_args!("{bad}: is no name for a variable"));
    }
    let (line, ended) = read_line(raw)?;
    let reply = ["REPLY".to_owned()];
    let names = if names.is_empty() { &reply } else { names };
    let separators = shell.variables.get("IFS").unwrap_or(" \t\n").to_owned();
    for (name, value) in names.iter().zip(split(&line, &separators, names.len())) {
        if let Err(error) = shell.variables.set(name, value) {
            return failure(shell, args, error);
        }
    }
    Ok(i32::from(!ended))
}

/// One line and whether a newline ended it.
fn read_line(raw: bool) -> Result<(String, bool), Escape> {
    let mut bytes = Vec::new();
    let mut ended = false;
    loop {
        match system::read_byte() {
            Ok(Some(b'\n')) if !raw && bytes.last() == Some(&b'\\') => drop(bytes.pop()),
            Ok(Some(b'\n')) => {
                ended = true;
                break;
            }
            Ok(Some(byte)) => bytes.push(byte),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {
                if system::is_interrupted() {
                    return Err(Escape::Interrupted);
                }
            }
            Ok(None) | Err(_) => break,
        }
    }
    let line = String::from_utf8_lossy(&bytes).into_owned();
    Ok((if raw { line } else { line.replace('\\', "") }, ended))
}

/// At most `count` fields: the last holds all that is left. Missing ones are empty.
fn split(line: &str, separators: &str, count: usize) -> Vec<String> {
    let is_blank = |c: char| c.is_ascii_whitespace() && separators.contains(c);
    let mut rest = line.trim_matches(is_blank);
    let mut fields = Vec::new();
    while fields.len() + 1 < count {
        let Some(end) = rest.find(|c| separators.contains(c)) else { break };
        fields.push(rest[..end].to_owned());
        rest = rest[end..].trim_start_matches(is_blank);
        // One separator that is no blank belongs to the gap, with the blanks around it.
        if rest.starts_with(|c| separators.contains(c)) {
            rest = rest[1..].trim_start_matches(is_blank);
        }
    }
    fields.push(rest.to_owned());
    fields.resize(count, String::new());
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_name_takes_the_rest() {
        assert_eq!(split("  a b  c ", " \t\n", 2), ["a", "b  c"]);
        assert_eq!(split("a", " ", 3), ["a", "", ""]);
        assert_eq!(split("a:b:c", ":", 2), ["a", "b:c"]);
        assert_eq!(split("a : b", ": ", 2), ["a", "b"]);
        assert_eq!(split(" a b ", "", 1), [" a b "]);
    }
}
