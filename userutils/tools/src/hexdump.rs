//! `hexdump` — bytes as numbers and letters.

use std::fs::File;
use std::io::{self, Read};

use crate::Tool;
use crate::arguments::{Argument, Arguments};
use crate::failure::{Failure, output};

pub(crate) const TOOL: Tool = Tool {
    name: "hexdump",
    help: "\
hexdump - show bytes in hexadecimal and as text

Usage: hexdump [-v] [-n LENGTH] [-s SKIP] [FILE...]

Options:
  -n LENGTH   show only so many bytes
  -s SKIP     leave out the first ones
  -v          show all lines; otherwise * stands for lines like the one before
  -C          accepted: this is the only form
  -h, --help  print this text
  --version   print the version

Numbers may be decimal or, after 0x, hexadecimal. - is standard input.

Examples:
  hexdump sys:uname
  hexdump -n 16 rand:

See also: cat
",
    run,
};

/// Bytes a line.
const WIDTH: usize = 16;
/// Bytes read at once; a multiple of [`WIDTH`].
const CHUNK: usize = 16 << 10;

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let (mut files, mut length, mut skip, mut all) = (Vec::new(), u64::MAX, 0, false);
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Short('n') => length = number(&arguments.text()?)?,
            Argument::Short('s') => skip = number(&arguments.text()?)?,
            Argument::Short('v') => all = true,
            Argument::Short('C') => {}
            Argument::Word(file) => files.push(file),
            other => return Err(other.unexpected()),
        }
    }
    let mut input = open_all(&files)?;
    io::copy(&mut (&mut input).take(skip), &mut io::sink())
        .map_err(|error| Failure::of("input", error))?;
    let mut dump = Dump { offset: skip, all, ..Dump::default() };
    let mut rest = input.take(length);
    let mut chunk = Vec::with_capacity(CHUNK);
    loop {
        chunk.clear();
        let count = (&mut rest).take(CHUNK as u64).read_to_end(&mut chunk);
        match count.map_err(|error| Failure::of("input", error))? {
            0 => break,
            _ => output(&dump.lines(&chunk))?,
        }
    }
    output(&format!("{:08x}\n", dump.offset))?;
    Ok(0)
}

/// All files, one after the other.
fn open_all(files: &[String]) -> Result<Box<dyn Read>, Failure> {
    let mut all: Box<dyn Read> = Box::new(io::empty());
    if files.is_empty() {
        return Ok(Box::new(io::stdin()));
    }
    for file in files {
        let next: Box<dyn Read> = match file.as_str() {
            "-" => Box::new(io::stdin()),
            path => Box::new(File::open(path).map_err(|error| Failure::of(path, error))?),
        };
        all = Box::new(all.chain(next));
    }
    Ok(all)
}

fn number(text: &str) -> Result<u64, Failure> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| Failure::Usage(format!("{text}: is no number")))
}

#[derive(Default)]
struct Dump {
    offset: u64,
    all: bool,
    before: Vec<u8>,
    /// `*` stands for the lines since.
    folded: bool,
}

impl Dump {
    fn lines(&mut self, bytes: &[u8]) -> String {
        let mut text = String::new();
        for line in bytes.chunks(WIDTH) {
            let same = !self.all && line == self.before && line.len() == WIDTH;
            match (same, self.folded) {
                (true, false) => text += "*\n",
                (true, true) => {}
                (false, _) => text += &self.line(line),
            }
            self.folded = same;
            self.before = line.to_vec();
            self.offset += line.len() as u64;
        }
        text
    }

    fn line(&self, bytes: &[u8]) -> String {
        let mut numbers = String::new();
        for at in 0..WIDTH {
            let gap = if at == WIDTH / 2 { " " } else { "" };
            numbers += &match bytes.get(at) {
                Some(byte) => format!("{gap} {byte:02x}"),
                None => format!("{gap}   "),
            };
        }
        let letter = |&byte: &u8| if (b' '..=b'~').contains(&byte) { byte as char } else { '.' };
        let letters: String = bytes.iter().map(letter).collect();
        format!("{:08x} {numbers}  |{letters}|\n", self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_numbers_and_letters() {
        let line = Dump::default().lines(b"Lifeboat\n0.1.0\n\xFF");
        let expected =
            "00000000  4c 69 66 65 62 6f 61 74  0a 30 2e 31 2e 30 0a ff  |Lifeboat.0.1.0..|\n";
        assert_eq!(line, expected);
        let short = Dump { offset: 16, ..Dump::default() }.lines(b"ab");
        assert_eq!(short, format!("00000010  61 62{}  |ab|\n", " ".repeat(43)));
    }

    #[test]
    fn lines_like_the_one_before_are_folded() {
        let mut dump = Dump::default();
        let text = dump.lines(&[0; 64]) + &dump.lines(&[0; 16]) + &dump.lines(&[1; 16]);
        assert_eq!(text.lines().count(), 3);
        assert!(text.contains("\n*\n00000050  01"));
        assert_eq!(Dump { all: true, ..Dump::default() }.lines(&[0; 64]).lines().count(), 4);
    }

    #[test]
    fn numbers_have_two_forms() {
        assert_eq!(number("16").unwrap(), number("0x10").unwrap());
        assert!(number("-1").is_err());
    }
}
