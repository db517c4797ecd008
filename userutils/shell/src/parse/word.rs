//! The inside of words: quotes, `$`, backquotes.

use super::{Parsed, Parser, SyntaxError};
use crate::ast::{List, Operation, Parameter, Part, Word};

/// A character that may begin a variable's name.
pub(crate) fn begins_name(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

/// A character that may stand in a variable's name.
pub(crate) fn is_name_char(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric()
}

/// Whether a text is a variable's name.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(begins_name) && text.chars().all(is_name_char)
}

/// Parameters named by one character that is neither letter nor digit.
const SPECIAL: &str = "@*#?$!-";

/// Adds plain characters to a word, joining them with those before.
fn push_literal(parts: &mut Vec<Part>, c: char) {
    match parts.last_mut() {
        Some(Part::Literal(text)) => text.push(c),
        _ => parts.push(Part::Literal(c.into())),
    }
}

fn open(what: &str) -> SyntaxError {
    SyntaxError::Incomplete(format!("{what} is not closed"))
}

impl Parser<'_> {
    /// One part outside of double quotes; `c` is next.
    pub(super) fn part(&mut self, c: char, parts: &mut Vec<Part>) -> Parsed<()> {
        match c {
            '\'' => {
                self.at += 1;
                parts.push(Part::Quoted(self.single_quoted()?));
            }
            '"' => {
                self.at += 1;
                parts.push(Part::Double(self.double_quoted(Some('"'))?));
            }
            '\\' => {
                self.at += 1;
                match self.next_char() {
                    Some('\n') => {}
                    Some(escaped) => parts.push(Part::Quoted(escaped.into())),
                    None => return Err(SyntaxError::Incomplete("a line ends in `\\`".into())),
                }
            }
            '$' => self.dollar(parts)?,
            '`' => parts.push(self.backquoted()?),
            c => {
                self.at += 1;
                push_literal(parts, c);
            }
        }
        Ok(())
    }

    fn single_quoted(&mut self) -> Parsed<String> {
        let mut text = String::new();
        loop {
            match self.next_char() {
                Some('\'') => return Ok(text),
                Some(c) => text.push(c),
                None => return Err(open("`'`")),
            }
        }
    }

    /// Parts as between double quotes, up to `end` (or the end of the text, for the lines of
    /// a here-document).
    pub(super) fn double_quoted(&mut self, end: Option<char>) -> Parsed<Vec<Part>> {
        let mut parts = Vec::new();
        loop {
            match self.peek_char() {
                None if end.is_none() => return Ok(parts),
                None => return Err(open("`\"`")),
                c if c == end => {
                    self.at += 1;
                    return Ok(parts);
                }
                Some('\\') => self.escape_in_double(&mut parts, end.is_some()),
                Some('$') => self.dollar(&mut parts)?,
                Some('`') => parts.push(self.backquoted()?),
                Some(c) => {
                    self.at += 1;
                    push_literal(&mut parts, c);
                }
            }
        }
    }

    /// Between double quotes a backslash only protects what would be special there.
    fn escape_in_double(&mut self, parts: &mut Vec<Part>, quote_is_special: bool) {
        self.at += 1;
        match self.peek_char() {
            Some('\n') => self.at += 1,
            Some(c @ ('$' | '`' | '\\')) => {
                self.at += 1;
                push_literal(parts, c);
            }
            Some('"') if quote_is_special => {
                self.at += 1;
                push_literal(parts, '"');
            }
            _ => push_literal(parts, '\\'),
        }
    }

    /// `$` and what follows. A `$` that begins nothing is itself.
    fn dollar(&mut self, parts: &mut Vec<Part>) -> Parsed<()> {
        self.at += 1;
        let part = match (self.peek_char(), self.char_after(1)) {
            (Some('('), Some('(')) => self.arithmetic()?,
            (Some('('), _) => {
                self.at += 1;
                Part::Command(self.substitution()?)
            }
            (Some('{'), _) => {
                self.at += 1;
                Part::Parameter(self.nested(Self::braced)?)
            }
            (Some(c), _) if begins_name(c) => self.plain_parameter(),
            (Some(c), _) if c.is_ascii_digit() || SPECIAL.contains(c) => {
                self.at += 1;
                Part::Parameter(Parameter { name: c.into(), operation: Operation::Value })
            }
            _ => {
                return {
                    push_literal(parts, '$');
                    Ok(())
                };
            }
        };
        parts.push(part);
        Ok(())
    }

    fn plain_parameter(&mut self) -> Part {
        let name = self.name();
        Part::Parameter(Parameter { name, operation: Operation::Value })
    }

    fn name(&mut self) -> String {
        let rest = &self.text[self.at..];
        let name: String = rest.iter().take_while(|&&c| is_name_char(c)).collect();
        self.at += name.len();
        name
    }

    /// Commands up to the closing parenthesis.
    fn substitution(&mut self) -> Parsed<List> {
        self.nested(|parser| {
            let list = parser.list()?;
            if parser.eat(")")? { Ok(list) } else { Err(parser.expected_close("`$(`")) }
        })
    }

    /// The error when a construct's end is not where it must be.
    pub(super) fn expected_close(&mut self, what: &str) -> SyntaxError {
        match self.look() {
            Ok(super::Token::End) => open(what),
            Ok(token) => {
                let token = token.to_string();
                self.wrong(format!("unexpected {token} before {what} is closed"))
            }
            Err(error) => error,
        }
    }

    /// `$((...))`. When the parentheses do not close as a pair it was `$( (...) ...)`.
    fn arithmetic(&mut self) -> Parsed<Part> {
        let start = self.at;
        self.at += 2;
        let mut parts = Vec::new();
        let mut depth = 0usize;
        loop {
            match (self.peek_char(), self.char_after(1)) {
                (None, _) => return Err(open("`$((`")),
                (Some(')'), Some(')')) if depth == 0 => {
                    self.at += 2;
                    return Ok(Part::Arithmetic(Word(parts)));
                }
                (Some(')'), _) if depth == 0 => {
                    self.at = start + 1;
                    return self.substitution().map(Part::Command);
                }
                (Some('$'), _) => self.nested(|parser| parser.dollar(&mut parts))?,
                (Some(c), _) => {
                    depth += usize::from(c == '(');
                    depth -= usize::from(c == ')');
                    self.at += 1;
                    push_literal(&mut parts, c);
                }
            }
        }
    }

    /// The inside of backquotes is unescaped once and then parsed like any script.
    fn backquoted(&mut self) -> Parsed<Part> {
        self.at += 1;
        let mut inside = String::new();
        loop {
            match self.next_char() {
                Some('`') => break,
                Some('\\') => match self.next_char() {
                    Some(c @ ('`' | '\\' | '$')) => inside.push(c),
                    Some(c) => inside.extend(['\\', c]),
                    None => return Err(open("a backquote")),
                },
                Some(c) => inside.push(c),
                None => return Err(open("a backquote")),
            }
        }
        let mut parser = Parser::new(&inside, self.aliases);
        parser.depth = self.depth;
        let list = parser.nested(Self::list)?;
        match parser.take()? {
            super::Token::End => Ok(Part::Command(list)),
            other => Err(self.wrong(format!("unexpected {other} between backquotes"))),
        }
    }

    /// The inside of `${...}`.
    fn braced(&mut self) -> Parsed<Parameter> {
        // `${#}` and `${#-...}` are about the number of parameters; `${#x}` is a length.
        let length = self.peek_char() == Some('#')
            && self
                .char_after(1)
                .is_some_and(|c| c != '}' && (is_name_char(c) || "@*?$!".contains(c)));
        self.at += usize::from(length);
        let name = match self.peek_char() {
            Some(c) if begins_name(c) => self.name(),
            Some(c) if c.is_ascii_digit() => self.digits(),
            Some(c) if SPECIAL.contains(c) => {
                self.at += 1;
                c.to_string()
            }
            None => return Err(open("`${`")),
            Some(_) => return Err(self.wrong("a name is missing after `${`")),
        };
        let operation = if length { Operation::Length } else { self.operation()? };
        match self.next_char() {
            Some('}') => Ok(Parameter { name, operation }),
            None => Err(open("`${`")),
            Some(c) => Err(self.wrong(format!("unexpected `{c}` in `${{{name}`"))),
        }
    }

    fn digits(&mut self) -> String {
        let rest = &self.text[self.at..];
        let digits: String = rest.iter().take_while(|c| c.is_ascii_digit()).collect();
        self.at += digits.len();
        digits
    }

    fn operation(&mut self) -> Parsed<Operation> {
        let colon = self.peek_char() == Some(':')
            && matches!(self.char_after(1), Some('-' | '=' | '?' | '+'));
        self.at += usize::from(colon);
        let Some(sign) = self.peek_char().filter(|&c| "-=?+#%".contains(c)) else {
            return Ok(Operation::Value);
        };
        self.at += 1;
        let longest = "#%".contains(sign) && self.eat_char(sign);
        let word = self.word_in_braces()?;
        Ok(match sign {
            '-' => Operation::Default(colon, word),
            '=' => Operation::Assign(colon, word),
            '?' => Operation::Error(colon, word),
            '+' => Operation::Alternative(colon, word),
            sign => Operation::Trim { suffix: sign == '%', longest, pattern: word },
        })
    }

    /// A word up to `}`, in which blanks are ordinary.
    fn word_in_braces(&mut self) -> Parsed<Word> {
        let mut parts = Vec::new();
        loop {
            match self.peek_char() {
                Some('}') => return Ok(Word(parts)),
                Some(c) => self.part(c, &mut parts)?,
                None => return Err(open("`${`")),
            }
        }
    }
}
