//! Searching one file.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use regex::bytes::Regex;

use crate::failure::Failure;

/// What is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Show {
    /// Lines.
    #[default]
    Lines,
    /// What matched in them.
    Parts,
    /// Their number.
    Count,
    /// The file's name if there are any.
    NamesWith,
    /// The file's name if there are none.
    NamesWithout,
    /// Nothing.
    Nothing,
}

/// How to search.
#[derive(Clone, Debug)]
pub(super) struct Search {
    pub(super) show: Show,
    pub(super) invert: bool,
    pub(super) numbers: bool,
    pub(super) names: bool,
    /// Lines that match, at most.
    pub(super) limit: u64,
    pub(super) before: usize,
    pub(super) after: usize,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            show: Show::Lines,
            invert: false,
            numbers: false,
            names: false,
            limit: u64::MAX,
            before: 0,
            after: 0,
        }
    }
}

/// Why a search ended early.
pub(super) enum Stop {
    /// The file cannot be read further.
    Input(io::Error),
    /// Nothing can be printed.
    Output(Failure),
}

type Write<'w> = &'w mut dyn FnMut(&[u8]) -> Result<(), Failure>;

/// Where a search stands.
struct Place<'a> {
    search: &'a Search,
    name: &'a str,
    number: u64,
    /// Lines that may yet be wanted because one after them matches.
    kept: VecDeque<(u64, Vec<u8>)>,
    /// Lines still wanted because one before them matched.
    owed: usize,
    last_printed: u64,
}

impl Search {
    /// Whether anything was found. Lines come out as they are found.
    pub(super) fn run(
        &self,
        regex: &Regex,
        name: &str,
        input: &mut dyn BufRead,
        write: Write,
    ) -> Result<bool, Stop> {
        let mut place = Place {
            search: self,
            name,
            number: 0,
            kept: VecDeque::new(),
            owed: 0,
            last_printed: 0,
        };
        let mut found = 0;
        let mut line = Vec::new();
        while found < self.limit || place.owed > 0 {
            line.clear();
            if input.read_until(b'\n', &mut line).map_err(Stop::Input)? == 0 {
                break;
            }
            place.number += 1;
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            if found < self.limit && regex.is_match(&line) != self.invert {
                found += 1;
                if matches!(self.show, Show::NamesWith | Show::NamesWithout | Show::Nothing) {
                    break;
                }
                place.hit(regex, &line, write).map_err(Stop::Output)?;
            } else {
                place.miss(&line, write).map_err(Stop::Output)?;
            }
        }
        let summary = match self.show {
            Show::Count if self.names => format!("{name}:{found}\n"),
            Show::Count => format!("{found}\n"),
            Show::NamesWith if found > 0 => format!("{name}\n"),
            Show::NamesWithout if found == 0 => format!("{name}\n"),
            _ => String::new(),
        };
        write(summary.as_bytes()).map_err(Stop::Output)?;
        Ok((found > 0) != (self.show == Show::NamesWithout))
    }
}

impl Place<'_> {
    fn hit(&mut self, regex: &Regex, line: &[u8], write: Write) -> Result<(), Failure> {
        match self.search.show {
            Show::Lines => {
                for (number, before) in std::mem::take(&mut self.kept) {
                    self.print(number, b'-', &before, write)?;
                }
                self.print(self.number, b':', line, write)?;
                self.owed = self.search.after;
            }
            Show::Parts => {
                for part in regex.find_iter(line).filter(|part| !part.is_empty()) {
                    self.print(self.number, b':', part.as_bytes(), write)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn miss(&mut self, line: &[u8], write: Write) -> Result<(), Failure> {
        if self.search.show != Show::Lines {
            return Ok(());
        }
        if self.owed > 0 {
            self.owed -= 1;
            return self.print(self.number, b'-', line, write);
        }
        if self.search.before > 0 {
            if self.kept.len() == self.search.before {
                self.kept.pop_front();
            }
            self.kept.push_back((self.number, line.to_vec()));
        }
        Ok(())
    }

    fn print(&mut self, number: u64, mark: u8, line: &[u8], write: Write) -> Result<(), Failure> {
        let has_context = self.search.before + self.search.after > 0;
        let mut text = Vec::new();
        if has_context && self.last_printed > 0 && number > self.last_printed + 1 {
            text.extend(b"--\n");
        }
        self.last_printed = number;
        if self.search.names {
            text.extend(self.name.as_bytes());
            text.push(mark);
        }
        if self.search.numbers {
            text.extend(number.to_string().as_bytes());
            text.push(mark);
        }
        text.extend(line);
        text.push(b'\n');
        write(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "one\ntwo\nthree\nfour\nfive\nsix";

    fn run(search: Search, pattern: &str) -> (String, bool) {
        let mut text = Vec::new();
        let mut write = |piece: &[u8]| {
            text.extend(piece);
            Ok(())
        };
        let regex = Regex::new(pattern).unwrap();
        let Ok(found) = search.run(&regex, "f", &mut TEXT.as_bytes(), &mut write) else {
            panic!("a search in memory does not fail");
        };
        (String::from_utf8(text).unwrap(), found)
    }

    #[track_caller]
    fn check(search: Search, pattern: &str, expected: &str, found: bool) {
        assert_eq!(run(search, pattern), (expected.to_owned(), found));
    }

    #[test]
    fn matching_lines_are_printed() {
        let plain = Search::default;
        check(plain(), "o", "one\ntwo\nfour\n", true);
        check(plain(), "^x", "", false);
        check(Search { invert: true, ..plain() }, "[ei]", "two\nfour\n", true);
        check(Search { numbers: true, names: true, ..plain() }, "six", "f:6:six\n", true);
        check(Search { show: Show::Parts, ..plain() }, "[eo]+", "o\ne\no\nee\no\ne\n", true);
        check(Search { limit: 1, ..plain() }, "o", "one\n", true);
    }

    #[test]
    fn summaries_replace_lines() {
        let show = |show| Search { show, ..Search::default() };
        check(show(Show::Count), "o", "3\n", true);
        check(show(Show::NamesWith), "o", "f\n", true);
        check(show(Show::NamesWithout), "o", "", false);
        check(show(Show::NamesWithout), "x$x", "f\n", true);
        check(show(Show::Nothing), "o", "", true);
    }

    #[test]
    fn context_stands_around_and_gaps_are_marked() {
        let around = |before, after| Search { before, after, numbers: true, ..Search::default() };
        check(around(1, 0), "t", "1-one\n2:two\n3:three\n", true);
        check(around(0, 1), "one|five", "1:one\n2-two\n--\n5:five\n6-six\n", true);
        check(Search { limit: 1, ..around(0, 1) }, "o", "1:one\n2-two\n", true);
    }
}
