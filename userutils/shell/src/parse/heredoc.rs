//! `<< end`: the lines after the command.

use std::cell::OnceCell;
use std::rc::Rc;

use super::token::Token;
use super::{Parsed, Parser, Pending, SyntaxError};
use crate::ast::{Part, RedirectKind, Word};

impl Parser<'_> {
    /// After `<<` or `<<-`: the delimiter. The lines come later.
    pub(super) fn here_document(&mut self, strip_tabs: bool) -> Parsed<RedirectKind> {
        let word = match self.take()? {
            Token::Word(word) => word,
            other => return Err(self.unexpected(&other)),
        };
        let (end, raw) = delimiter(&word);
        let body = Rc::new(OnceCell::new());
        self.pending.push(Pending { end, raw, strip_tabs, body: body.clone() });
        Ok(RedirectKind::HereDocument(body))
    }

    /// At the start of a line: the bodies that were announced on the line before.
    pub(super) fn read_here_documents(&mut self) -> Parsed<()> {
        for pending in std::mem::take(&mut self.pending) {
            let text = self.lines_until(&pending)?;
            let word = if pending.raw {
                Word(vec![Part::Quoted(text)])
            } else {
                let mut inside = Parser::new(&text, self.aliases);
                inside.depth = self.depth;
                Word(vec![Part::Double(inside.double_quoted(None)?)])
            };
            pending.body.set(word).expect("a body is read once");
        }
        Ok(())
    }

    fn lines_until(&mut self, pending: &Pending) -> Parsed<String> {
        let mut text = String::new();
        while self.at < self.text.len() {
            let rest = &self.text[self.at..];
            let length = rest.iter().position(|&c| c == '\n').unwrap_or(rest.len());
            let line: String = rest[..length].iter().collect();
            self.at = (self.at + length + 1).min(self.text.len());
            let line = if pending.strip_tabs { line.trim_start_matches('\t') } else { &line };
            if line == pending.end {
                return Ok(text);
            }
            text.push_str(line);
            text.push('\n');
        }
        Err(SyntaxError::Incomplete(format!("no line `{}`", pending.end)))
    }
}

/// The delimiter's text, and whether any of it was quoted.
fn delimiter(word: &Word) -> (String, bool) {
    let mut text = String::new();
    let mut quoted = false;
    for part in &word.0 {
        match part {
            Part::Literal(plain) => text.push_str(plain),
            Part::Quoted(plain) => {
                quoted = true;
                text.push_str(plain);
            }
            Part::Double(inside) => {
                quoted = true;
                text.push_str(&delimiter(&Word(inside.clone())).0);
            }
            Part::Parameter(parameter) => {
                text.push('$');
                text.push_str(&parameter.name);
            }
            Part::Command(_) | Part::Arithmetic(_) => {}
        }
    }
    (text, quoted)
}
