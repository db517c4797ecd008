//! Words and operators.

use std::fmt;

use super::{Parsed, Parser};
use crate::ast::{Part, Word};

/// What the grammar is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Anything that is no operator.
    Word(Word),
    /// Digits right before `<` or `>`.
    Descriptor(i32),
    /// One of [`OPERATORS`].
    Operator(&'static str),
    Newline,
    End,
}

/// The longest first, since the first that fits is taken.
const OPERATORS: [&str; 20] = [
    "<<<", "<<-", "&>>", "&&", "||", ";;", "<<", ">>", "<&", ">&", "<>", ">|", "&>", "|", "&", ";",
    "<", ">", "(", ")",
];

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Word(word) => match word.plain() {
                Some(text) => write!(f, "`{text}`"),
                None => write!(f, "word"),
            },
            Token::Descriptor(number) => write!(f, "`{number}`"),
            Token::Operator(text) => write!(f, "`{text}`"),
            Token::Newline => write!(f, "end of line"),
            Token::End => write!(f, "end"),
        }
    }
}

/// Whether a character ends a word.
pub(super) fn ends_word(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')')
}

impl Parser<'_> {
    /// The next token, without taking it.
    pub(super) fn look(&mut self) -> Parsed<&Token> {
        if self.seen.is_none() {
            self.skip_blanks();
            let start = self.at;
            let token = self.read_token()?;
            self.seen = Some((token, self.at));
            self.at = start;
        }
        Ok(&self.seen.as_ref().expect("just read").0)
    }

    /// The next token. Taking a newline reads the here-documents that wait for it.
    pub(super) fn take(&mut self) -> Parsed<Token> {
        self.look()?;
        let (token, end) = self.seen.take().expect("just looked");
        self.at = end;
        if token == Token::Newline {
            self.read_here_documents()?;
        }
        Ok(token)
    }

    /// Takes one certain operator, if it is next.
    pub(super) fn eat(&mut self, operator: &'static str) -> Parsed<bool> {
        let there = *self.look()? == Token::Operator(operator);
        if there {
            self.take()?;
        }
        Ok(there)
    }

    pub(super) fn skip_newlines(&mut self) -> Parsed<()> {
        while *self.look()? == Token::Newline {
            self.take()?;
        }
        Ok(())
    }

    /// Blanks, comments, and newlines behind a backslash.
    fn skip_blanks(&mut self) {
        loop {
            match self.peek_char() {
                Some(' ' | '\t' | '\r') => self.at += 1,
                Some('\\') if self.char_after(1) == Some('\n') => self.at += 2,
                Some('#') => {
                    while self.peek_char().is_some_and(|c| c != '\n') {
                        self.at += 1;
                    }
                }
                _ => return,
            }
        }
    }

    fn read_token(&mut self) -> Parsed<Token> {
        match self.peek_char() {
            None => return Ok(Token::End),
            Some('\n') => {
                self.at += 1;
                return Ok(Token::Newline);
            }
            Some(_) => {}
        }
        if let Some(number) = self.descriptor() {
            return Ok(Token::Descriptor(number));
        }
        for operator in OPERATORS {
            if operator.chars().enumerate().all(|(i, c)| self.is_at(i, c)) {
                self.at += operator.len();
                return Ok(Token::Operator(operator));
            }
        }
        self.word().map(Token::Word)
    }

    fn is_at(&self, distance: usize, wanted: char) -> bool {
        self.char_after(distance) == Some(wanted)
    }

    /// Digits followed by a redirection.
    fn descriptor(&mut self) -> Option<i32> {
        let rest = &self.text[self.at..];
        let digits = rest.iter().take_while(|c| c.is_ascii_digit()).count();
        if digits == 0 || !matches!(rest.get(digits), Some('<' | '>')) {
            return None;
        }
        let number = rest[..digits].iter().collect::<String>().parse().ok()?;
        self.at += digits;
        Some(number)
    }

    /// A word: parts up to the next blank or operator.
    fn word(&mut self) -> Parsed<Word> {
        let mut parts: Vec<Part> = Vec::new();
        while let Some(c) = self.peek_char().filter(|&c| !ends_word(c)) {
            self.part(c, &mut parts)?;
        }
        Ok(Word(parts))
    }
}
