//! `grep` — lines that match.

mod search;

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};

use regex::bytes::{Regex, RegexBuilder};

use crate::Tool;
use crate::arguments::{Argument, Arguments};
use crate::failure::{Failure, output};
use search::{Search, Show};

pub(crate) const TOOL: Tool = Tool {
    name: "grep",
    help: "\
grep - print lines that match a pattern

Usage: grep [OPTION...] PATTERN [FILE...]
       grep [OPTION...] -e PATTERN... [FILE...]

Options:
  -e PATTERN  a pattern; may be given several times
  -F          patterns are plain text
  -E          patterns are regular expressions; they are anyway
  -i          case does not matter
  -w          only whole words
  -x          only whole lines
  -v          lines that do not match
  -r          search directories and what is below
  -n          with line numbers
  -H          with file names (the default for several files)
  --no-filename  without file names
  -o          only the part that matches
  -c          only how many lines
  -l          only names of files with such lines
  -L          only names of files without
  -q          nothing: only the exit status
  -s          no words about files that cannot be read
  -m NUMBER   stop a file after so many lines
  -A NUMBER   also so many lines after
  -B NUMBER   also so many lines before
  -C NUMBER   both
  -h, --help  print this text
  --version   print the version

Exit status: 0 when a line was found, 1 when none was, 2 when something failed.

Examples:
  grep -i boot sys:log
  dmesg | grep -v INFO
  grep -rn 'fn main' /share

See also: dmesg, cat
",
    run,
};

#[derive(Default)]
struct Options {
    patterns: Vec<String>,
    words: Vec<String>,
    plain: bool,
    ignore_case: bool,
    whole_words: bool,
    whole_lines: bool,
    recursive: bool,
    silent: bool,
    names: Option<bool>,
    search: Search,
}

fn run(arguments: &mut Arguments) -> Result<u8, Failure> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next()? {
        options.take(argument, arguments)?;
    }
    if options.patterns.is_empty() {
        if options.words.is_empty() {
            return Err(Failure::Usage("a pattern is missing".into()));
        }
        options.patterns.push(options.words.remove(0));
    }
    let regex = options.regex()?;
    let files = match (options.words.is_empty(), options.recursive) {
        (true, false) => vec!["-".to_owned()],
        (true, true) => vec![".".to_owned()],
        _ => std::mem::take(&mut options.words),
    };
    options.search.names = options.names.unwrap_or(options.recursive || files.len() > 1);
    let mut run = Run { regex, options, found: false, failed: false };
    for file in &files {
        run.path(file)?;
    }
    Ok(match run {
        Run { found: true, failed: false, .. } => 0,
        Run { failed: true, .. } => 2,
        _ => 1,
    })
}

impl Options {
    fn take(&mut self, argument: Argument, arguments: &mut Arguments) -> Result<(), Failure> {
        let search = &mut self.search;
        match argument {
            Argument::Short('e') => self.patterns.push(arguments.text()?),
            Argument::Short('F') => self.plain = true,
            Argument::Short('E') => {}
            Argument::Short('i') => self.ignore_case = true,
            Argument::Short('w') => self.whole_words = true,
            Argument::Short('x') => self.whole_lines = true,
            Argument::Short('r' | 'R') => self.recursive = true,
            Argument::Short('s') => self.silent = true,
            Argument::Short('H') => self.names = Some(true),
            Argument::Long(name) if name == "no-filename" => self.names = Some(false),
            Argument::Short('v') => search.invert = true,
            Argument::Short('n') => search.numbers = true,
            Argument::Short('o') => search.show = Show::Parts,
            Argument::Short('c') => search.show = Show::Count,
            Argument::Short('l') => search.show = Show::NamesWith,
            Argument::Short('L') => search.show = Show::NamesWithout,
            Argument::Short('q') => search.show = Show::Nothing,
            Argument::Short('m') => search.limit = arguments.value()?,
            Argument::Short('A') => search.after = arguments.value()?,
            Argument::Short('B') => search.before = arguments.value()?,
            Argument::Short('C') => {
                search.after = arguments.value()?;
                search.before = search.after;
            }
            Argument::Word(word) => self.words.push(word),
            other => return Err(other.unexpected()),
        }
        Ok(())
    }

    /// All patterns as one expression.
    fn regex(&self) -> Result<Regex, Failure> {
        let one = |pattern: &str| match self.plain {
            true => regex::escape(pattern),
            false => format!("(?:{pattern})"),
        };
        // A pattern of several lines is several patterns.
        let lines = self.patterns.iter().flat_map(|pattern| pattern.split('\n'));
        let mut all = lines.map(one).collect::<Vec<_>>().join("|");
        if self.whole_words {
            all = format!(r"(?:^|\b{{start-half}})(?:{all})(?:\b{{end-half}}|$)");
        }
        if self.whole_lines {
            all = format!("^(?:{all})$");
        }
        let built = RegexBuilder::new(&all).case_insensitive(self.ignore_case).build();
        built.map_err(|error| Failure::Usage(format!("{}: {error}", self.patterns.join(" "))))
    }
}

struct Run {
    regex: Regex,
    options: Options,
    found: bool,
    failed: bool,
}

impl Run {
    fn path(&mut self, path: &str) -> Result<(), Failure> {
        if path == "-" {
            return self.input("(standard input)", &mut io::stdin().lock());
        }
        match fs::metadata(path) {
            Ok(file) if file.is_dir() && self.options.recursive => self.directory(path),
            Ok(file) if file.is_dir() => {
                self.complain(path, "is a directory; -r searches it");
                Ok(())
            }
            Ok(_) => match File::open(path) {
                Ok(file) => self.input(path, &mut BufReader::new(file)),
                Err(error) => {
                    self.complain(path, error);
                    Ok(())
                }
            },
            Err(error) => {
                self.complain(path, error);
                Ok(())
            }
        }
    }

    /// Everything below, sorted; links are not followed, so that no circle is.
    fn directory(&mut self, path: &str) -> Result<(), Failure> {
        let entries = match fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) => {
                self.complain(path, error);
                return Ok(());
            }
        };
        let mut names: Vec<String> = entries
            .iter()
            .filter(|entry| !entry.file_type().is_ok_and(|kind| kind.is_symlink()))
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        let separator = if path.ends_with(['/', ':']) { "" } else { "/" };
        names.iter().try_for_each(|name| self.path(&format!("{path}{separator}{name}")))
    }

    fn input(&mut self, name: &str, input: &mut dyn BufRead) -> Result<(), Failure> {
        let mut write = |text: &[u8]| -> Result<(), Failure> {
            io::Write::write_all(&mut io::stdout().lock(), text)?;
            Ok(())
        };
        let found = self.options.search.run(&self.regex, name, input, &mut write);
        match found {
            Ok(found) => self.found |= found,
            Err(search::Stop::Output(failure)) => return Err(failure),
            Err(search::Stop::Input(error)) => self.complain(name, error),
        }
        output("")
    }

    fn complain(&mut self, path: &str, what: impl std::fmt::Display) {
        self.failed = true;
        if !self.options.silent {
            eprintln!("grep: {path}: {what}");
        }
    }
}
