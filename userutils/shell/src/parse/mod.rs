//! Text to [`crate::ast`], one complete command at a time.
//!
//! One complete command, not the whole script: an `alias` must count for the next line, and what
//! stands before a syntax error must run.

mod command;
mod compound;
mod heredoc;
mod token;
mod word;

#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;

use crate::ast::{List, Part, Word};
use token::Token;
pub(crate) use word::{begins_name, is_name, is_name_char};

/// Looks up an alias.
pub type Aliases<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Why a text is no command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyntaxError {
    /// It may become one when more lines follow; the text names what is still open.
    Incomplete(String),
    /// It never will.
    Wrong {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SyntaxError::Incomplete(what) => write!(f, "unexpected end: {what}"),
            SyntaxError::Wrong { line, what } => write!(f, "line {line}: {what}"),
        }
    }
}

type Parsed<T> = Result<T, SyntaxError>;

/// A prompt as a word: parameters and substitutions in it are to be expanded.
pub fn prompt_word(text: &str) -> Option<Word> {
    let parts = Parser::new(text, &|_| None).double_quoted(None).ok()?;
    Some(Word(vec![Part::Double(parts)]))
}

/// A place in a text, and how to go on from it.
pub struct Parser<'a> {
    text: Vec<char>,
    at: usize,
    /// The token at `at`, if it was looked at already, and where it ends.
    seen: Option<(Token, usize)>,
    aliases: Aliases<'a>,
    /// Aliases being expanded: a name and how many characters follow its text.
    open_aliases: Vec<(String, usize)>,
    /// Here-documents whose lines come after the next newline.
    pending: Vec<Pending>,
    /// How deep constructs nest; bounded so that no script can exhaust the stack.
    depth: usize,
}

/// A here-document that has not been read yet.
struct Pending {
    end: String,
    /// No expansion: the delimiter was quoted.
    raw: bool,
    strip_tabs: bool,
    body: Rc<OnceCell<Word>>,
}

/// Nesting allowed.
const DEPTH_MAX: usize = 100;

impl<'a> Parser<'a> {
    /// Starts at the beginning of `text`.
    pub fn new(text: &str, aliases: Aliases<'a>) -> Self {
        Self {
            text: text.chars().collect(),
            at: 0,
            seen: None,
            aliases,
            open_aliases: Vec::new(),
            pending: Vec::new(),
            depth: 0,
        }
    }

    /// The next complete command: everything up to a newline that ends it. `None` at the end.
    pub fn next_command(&mut self) -> Parsed<Option<List>> {
        self.skip_newlines()?;
        if *self.look()? == Token::End {
            return Ok(None);
        }
        let list = self.line()?;
        match self.take()? {
            Token::Newline | Token::End => {}
            other => return Err(self.unexpected(&other)),
        }
        match self.pending.first() {
            None => Ok(Some(list)),
            Some(open) => Err(SyntaxError::Incomplete(format!("no line `{}`", open.end))),
        }
    }

    /// Whether nothing but blanks and comments is left.
    pub fn at_end(&mut self) -> bool {
        self.skip_newlines().is_ok() && matches!(self.look(), Ok(Token::End))
    }

    fn peek_char(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn char_after(&self, distance: usize) -> Option<char> {
        self.text.get(self.at + distance).copied()
    }

    fn next_char(&mut self) -> Option<char> {
        let next = self.peek_char()?;
        self.at += 1;
        Some(next)
    }

    fn eat_char(&mut self, wanted: char) -> bool {
        let there = self.peek_char() == Some(wanted);
        self.at += usize::from(there);
        there
    }

    fn line_number(&self) -> usize {
        let end = self.at.min(self.text.len());
        1 + self.text[..end].iter().filter(|&&c| c == '\n').count()
    }

    fn wrong(&self, what: impl Into<String>) -> SyntaxError {
        SyntaxError::Wrong { line: self.line_number(), what: what.into() }
    }

    fn unexpected(&self, token: &Token) -> SyntaxError {
        match token {
            Token::End => SyntaxError::Incomplete("a command is missing".into()),
            other => self.wrong(format!("unexpected {other}")),
        }
    }

    /// Runs a part of the grammar that may contain itself.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == DEPTH_MAX {
            return Err(self.wrong("nested too deeply"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }
}
