//! The first line of a script: `#! interpreter [argument]`.

/// How far into a file the first line is looked for.
pub const LINE_MAX: usize = 1024;

/// What a script wants to be run by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Script<'a> {
    /// The program.
    pub interpreter: &'a [u8],
    /// Everything behind it, as one argument.
    pub argument: Option<&'a [u8]>,
}

/// Reads the first line of a file. `None` when it is no script, or one that names no program, or
/// when the line does not end within [`LINE_MAX`] bytes.
pub fn parse(file: &[u8]) -> Option<Script<'_>> {
    let rest = file.strip_prefix(b"#!")?;
    let window = &rest[..rest.len().min(LINE_MAX)];
    let end = match window.iter().position(|&byte| byte == b'\n') {
        Some(end) => end,
        None if rest.len() <= LINE_MAX => rest.len(),
        None => return None,
    };
    let line = rest[..end].trim_ascii();
    if line.is_empty() || line.contains(&0) {
        return None;
    }
    let Some(space) = line.iter().position(|byte| byte.is_ascii_whitespace()) else {
        return Some(Script { interpreter: line, argument: None });
    };
    Some(Script { interpreter: &line[..space], argument: Some(line[space..].trim_ascii_start()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script<'a>(interpreter: &'a str, argument: Option<&'a str>) -> Option<Script<'a>> {
        Some(Script { interpreter: interpreter.as_bytes(), argument: argument.map(str::as_bytes) })
    }

    #[test]
    fn the_first_line_names_the_interpreter() {
        assert_eq!(parse(b"#!/bin/sh\necho hi\n"), script("/bin/sh", None));
        assert_eq!(parse(b"#! /bin/env  sh -x \r\n"), script("/bin/env", Some("sh -x")));
        assert_eq!(parse(b"#!/bin/sh"), script("/bin/sh", None));
    }

    #[test]
    fn anything_else_is_no_script() {
        for file in [&b""[..], b"#", b"#!", b"#!\n/bin/sh", b"#!  \n", b"\x7fELF", b"#!a\0b\n"] {
            assert_eq!(parse(file), None);
        }
        let mut long = b"#!".to_vec();
        long.resize(LINE_MAX + 3, b'a');
        assert_eq!(parse(&long), None);
    }
}
