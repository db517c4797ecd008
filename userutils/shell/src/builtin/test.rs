//! `test` and `[`.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

use nix::libc;

use super::usage;
use crate::run::Flow;
use crate::state::Shell;

pub(super) fn test(shell: &mut Shell, args: &[String], _: &mut String) -> Flow {
    let mut words: Vec<&str> = args[1..].iter().map(String::as_str).collect();
    if args[0] == "[" && words.pop() != Some("]") {
        return usage(shell, args, "`]` is missing");
    }
    match evaluate(&words) {
        Ok(truth) => Ok(i32::from(!truth)),
        Err(error) => usage(shell, args, error),
    }
}

const UNARY: &str = "edfrwxsLhpSbcznt";
const BINARY: [&str; 12] =
    ["=", "==", "!=", "<", ">", "-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-nt"];

/// By the number of words first, as POSIX has it: `test -n` asks whether `-n` is a text.
fn evaluate(words: &[&str]) -> Result<bool, String> {
    match words {
        [] => Ok(false),
        [text] => Ok(!text.is_empty()),
        ["!", rest @ ..] if rest.len() < 4 => evaluate(rest).map(|truth| !truth),
        [operator, text] => unary(operator, text),
        [left, operator, right] if BINARY.contains(operator) => binary(left, operator, right),
        ["(", text, ")"] => evaluate(&[text]),
        _ => {
            let mut expression = Expression { rest: words };
            let truth = expression.either()?;
            match expression.rest {
                [] => Ok(truth),
                [unexpected, ..] => Err(format!("unexpected `{unexpected}`")),
            }
        }
    }
}

/// A longer expression, with `-a`, `-o`, `!` and parentheses.
struct Expression<'w> {
    rest: &'w [&'w str],
}

impl Expression<'_> {
    fn eat(&mut self, word: &str) -> bool {
        let there = self.rest.first() == Some(&word);
        self.rest = &self.rest[usize::from(there)..];
        there
    }

    fn either(&mut self) -> Result<bool, String> {
        let mut truth = self.both()?;
        while self.eat("-o") {
            truth |= self.both()?;
        }
        Ok(truth)
    }

    fn both(&mut self) -> Result<bool, String> {
        let mut truth = self.one()?;
        while self.eat("-a") {
            truth &= self.one()?;
        }
        Ok(truth)
    }

    fn one(&mut self) -> Result<bool, String> {
        if self.eat("!") {
            return self.one().map(|truth| !truth);
        }
        if self.eat("(") {
            let truth = self.either()?;
            return if self.eat(")") { Ok(truth) } else { Err("`)` is missing".into()) };
        }
        match self.rest {
            [left, operator, right, rest @ ..] if BINARY.contains(operator) => {
                self.rest = rest;
                binary(left, operator, right)
            }
            [operator, text, rest @ ..] if is_unary(operator) => {
                self.rest = rest;
                unary(operator, text)
            }
            [text, rest @ ..] => {
                self.rest = rest;
                Ok(!text.is_empty())
            }
            [] => Err("an expression is missing".into()),
        }
    }
}

fn is_unary(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next() == Some('-')
        && letters.next().is_some_and(|letter| UNARY.contains(letter))
        && letters.next().is_none()
}

fn unary(operator: &str, text: &str) -> Result<bool, String> {
    if !is_unary(operator) {
        return Err(format!("`{operator}` is no test"));
    }
    let file = fs::metadata(text).ok();
    let is = |question: fn(&fs::Metadata) -> bool| file.as_ref().is_some_and(question);
    let may = |bits: u32| file.as_ref().is_some_and(|file| permits(file, bits));
    Ok(match operator.as_bytes()[1] {
        b'z' => text.is_empty(),
        b'n' => !text.is_empty(),
        b'f' => is(|file| file.is_file()),
        b'd' => is(|file| file.is_dir()),
        b's' => is(|file| file.len() > 0),
        b'r' => may(4),
        b'w' => may(2),
        b'x' => may(1),
        b'L' | b'h' => fs::symlink_metadata(text).is_ok_and(|file| file.is_symlink()),
        b'p' => is(|file| file.file_type().is_fifo()),
        b'S' => is(|file| file.file_type().is_socket()),
        b'b' => is(|file| file.file_type().is_block_device()),
        b'c' => is(|file| file.file_type().is_char_device()),
        b't' => is_terminal(text)?,
        _ => file.is_some(),
    })
}

/// Whether the mode bits let this process do something (4 read, 2 write, 1 execute).
fn permits(file: &fs::Metadata, bits: u32) -> bool {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let mode = file.permissions().mode();
    if uid.is_root() {
        return bits != 1 || mode & 0o111 != 0;
    }
    let shift = match file {
        _ if file.uid() == uid.as_raw() => 6,
        _ if file.gid() == gid.as_raw() => 3,
        _ => 0,
    };
    mode >> shift & bits != 0
}

fn is_terminal(text: &str) -> Result<bool, String> {
    let fd: libc::c_int = text.parse().map_err(|_| format!("{text}: is no descriptor"))?;
    // SAFETY: `isatty` only asks about a descriptor, open or not.
    Ok(unsafe { libc::isatty(fd) } == 1)
}

fn binary(left: &str, operator: &str, right: &str) -> Result<bool, String> {
    match operator {
        "=" | "==" => return Ok(left == right),
        "!=" => return Ok(left != right),
        "<" => return Ok(left < right),
        ">" => return Ok(left > right),
        "-nt" => {
            let age = |path| fs::metadata(path).and_then(|file| file.modified()).ok();
            return Ok(age(left) > age(right));
        }
        _ => {}
    }
    let number =
        |text: &str| text.trim().parse::<i64>().map_err(|_| format!("{text}: is no number"));
    let (left, right) = (number(left)?, number(right)?);
    Ok(match operator {
        "-eq" => left == right,
        "-ne" => left != right,
        "-lt" => left < right,
        "-le" => left <= right,
        "-gt" => left > right,
        _ => left >= right,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(expression: &str, truth: bool) {
        let words: Vec<&str> = expression.split(' ').filter(|word| !word.is_empty()).collect();
        let words: Vec<&str> =
            words.iter().map(|word| if *word == "''" { "" } else { word }).collect();
        assert_eq!(evaluate(&words), Ok(truth), "{expression}");
    }

    #[test]
    fn texts_and_numbers_compare() {
        for truth in ["a", "a = a", "a != b", "2 -lt 10", "-1 -ge -1", "-n a", "-z ''", "-n", "!"] {
            check(truth, true);
        }
        for lie in ["", "''", "a = b", "10 -lt 2", "-z a", "! a", "b < a"] {
            check(lie, false);
        }
    }

    #[test]
    fn expressions_combine() {
        check("a = a -a b = b", true);
        check("a = b -o b = b", true);
        check("! ( a = a -a b = c )", true);
        check("( a )", true);
        check("-d / -a ! -f /", true);
    }

    #[test]
    fn files_are_looked_at() {
        check("-e /", true);
        check("-d /", true);
        check("-f /", false);
        check("-e /no/such/file", false);
        check("-c /dev/null", true);
    }

    #[test]
    fn what_is_no_test_is_said() {
        assert_eq!(evaluate(&["-q", "a"]), Err("`-q` is no test".into()));
        assert_eq!(evaluate(&["a", "-eq", "1"]), Err("a: is no number".into()));
        assert!(evaluate(&["a", "b", "c", "d"]).is_err());
        assert!(evaluate(&["(", "a", "-a", "b"]).is_err());
    }
}
