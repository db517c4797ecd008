//! Lists, pipelines and simple commands.

use std::rc::Rc;

use super::token::Token;
use super::word::is_name;
use super::{Parsed, Parser};
use crate::ast::{
    Chain, Command, Item, Link, List, Part, Pipeline, Redirect, RedirectKind, Simple, Word,
};

/// Words that end a list when they stand where a command could.
const CLOSING: [&str; 8] = ["then", "else", "elif", "fi", "do", "done", "esac", "}"];

impl Parser<'_> {
    /// Commands on one line (a construct in it may span several).
    pub(super) fn line(&mut self) -> Parsed<List> {
        let mut items = vec![self.item()?.0];
        while !matches!(self.look()?, Token::Newline | Token::End) {
            items.push(self.item()?.0);
        }
        Ok(List { items })
    }

    /// Commands up to whatever closes the construct around them.
    pub(super) fn list(&mut self) -> Parsed<List> {
        let mut items = Vec::new();
        loop {
            self.skip_newlines()?;
            let ends = match self.look()? {
                Token::End | Token::Operator(")" | ";;") => true,
                Token::Word(word) => word.plain().is_some_and(|word| CLOSING.contains(&word)),
                _ => false,
            };
            if ends {
                return Ok(List { items });
            }
            let (item, separated) = self.item()?;
            items.push(item);
            if !separated && *self.look()? != Token::Newline {
                return Ok(List { items });
            }
        }
    }

    /// A chain and whether `;` or `&` ended it.
    fn item(&mut self) -> Parsed<(Item, bool)> {
        self.look()?;
        let start = self.at;
        let chain = self.chain()?;
        self.look()?;
        let text: String = self.text[start..self.at].iter().collect();
        let background = self.eat("&")?;
        let separated = background || self.eat(";")?;
        if !separated {
            let next = self.look()?.clone();
            if matches!(next, Token::Word(_) | Token::Operator("(") | Token::Descriptor(_)) {
                return Err(self.unexpected(&next));
            }
        }
        Ok((Item { chain, background, text: text.trim().to_owned() }, separated))
    }

    fn chain(&mut self) -> Parsed<Chain> {
        let first = self.pipeline()?;
        let mut rest = Vec::new();
        loop {
            let link = match self.look()? {
                Token::Operator("&&") => Link::And,
                Token::Operator("||") => Link::Or,
                _ => return Ok(Chain { first, rest }),
            };
            self.take()?;
            self.skip_newlines()?;
            rest.push((link, self.pipeline()?));
        }
    }

    fn pipeline(&mut self) -> Parsed<Pipeline> {
        let mut negated = false;
        while self.eat_keyword("!")? {
            negated = !negated;
        }
        let mut commands = vec![self.command()?];
        while self.eat("|")? {
            self.skip_newlines()?;
            commands.push(self.command()?);
        }
        Ok(Pipeline { negated, commands })
    }

    /// Takes one certain plain word, if it is next.
    pub(super) fn eat_keyword(&mut self, keyword: &str) -> Parsed<bool> {
        let there = matches!(self.look()?, Token::Word(word) if word.plain() == Some(keyword));
        if there {
            self.take()?;
        }
        Ok(there)
    }

    /// Any command.
    pub(super) fn command(&mut self) -> Parsed<Command> {
        self.expand_aliases()?;
        let token = self.look()?.clone();
        match &token {
            Token::Operator("(") => self.compound("("),
            Token::Word(word) => match word.plain() {
                Some(keyword @ ("{" | "if" | "while" | "until" | "for" | "case")) => {
                    let keyword = keyword.to_owned();
                    self.compound(&keyword)
                }
                Some(closing) if CLOSING.contains(&closing) => Err(self.unexpected(&token)),
                _ => self.simple(),
            },
            Token::Descriptor(_) | Token::Operator(_) => self.simple(),
            Token::Newline | Token::End => Err(self.unexpected(&token)),
        }
    }

    /// Puts an alias's text in place of its name.
    fn expand_aliases(&mut self) -> Parsed<()> {
        loop {
            let Token::Word(word) = self.look()? else { return Ok(()) };
            let Some(name) = word.plain().map(str::to_owned) else { return Ok(()) };
            let end = self.seen.as_ref().expect("just looked").1;
            let behind = self.text.len() - end;
            // An alias does not expand within its own text.
            self.open_aliases.retain(|(_, after)| behind >= *after);
            if self.open_aliases.iter().any(|(open, _)| *open == name) {
                return Ok(());
            }
            let Some(text) = (self.aliases)(&name) else { return Ok(()) };
            self.text.splice(self.at..end, text.chars());
            self.open_aliases.push((name, behind));
            self.seen = None;
        }
    }

    fn simple(&mut self) -> Parsed<Command> {
        let mut simple = Simple::default();
        loop {
            match self.look()? {
                Token::Word(_) => {
                    let Token::Word(word) = self.take()? else { unreachable!("just looked") };
                    match (simple.words.is_empty(), assignment(&word)) {
                        (true, Some(assignment)) => simple.assignments.push(assignment),
                        _ => simple.words.push(word),
                    }
                }
                Token::Operator("(") if is_function_name(&simple) => {
                    return self.function(&simple.words[0]);
                }
                _ => match self.redirect()? {
                    Some(redirect) => simple.redirects.push(redirect),
                    None => break,
                },
            }
        }
        if simple == Simple::default() {
            let token = self.look()?.clone();
            return Err(self.unexpected(&token));
        }
        Ok(Command::Simple(simple))
    }

    /// After a name and before `(`.
    fn function(&mut self, name: &Word) -> Parsed<Command> {
        let name = name.plain().expect("checked by the caller").to_owned();
        self.take()?;
        if !self.eat(")")? {
            return Err(self.expected_close("`(`"));
        }
        self.skip_newlines()?;
        let body = self.nested(Self::command)?;
        match body {
            Command::Compound(..) => Ok(Command::Function(name, Rc::new(body))),
            _ => {
                Err(self.wrong(format!("the body of `{name}` must be a group such as {{ ...; }}")))
            }
        }
    }

    /// A redirection, if one is next.
    pub(super) fn redirect(&mut self) -> Parsed<Option<Redirect>> {
        let fd = match *self.look()? {
            Token::Descriptor(number) => {
                self.take()?;
                Some(number)
            }
            Token::Operator(operator) if operator.contains(['<', '>']) => None,
            _ => return Ok(None),
        };
        let Token::Operator(operator) = self.take()? else {
            unreachable!("a descriptor is only read in front of an operator")
        };
        let kind = match operator {
            "<<" => self.here_document(false)?,
            "<<-" => self.here_document(true)?,
            _ => self.redirect_to_word(operator)?,
        };
        // What is duplicated does not say in which direction it will be used.
        let fd = fd.or((operator == "<&").then_some(0));
        Ok(Some(Redirect { fd, kind }))
    }

    fn redirect_to_word(&mut self, operator: &str) -> Parsed<RedirectKind> {
        let word = match self.take()? {
            Token::Word(word) => word,
            Token::End | Token::Newline => {
                return Err(self.wrong(format!("a file is missing after `{operator}`")));
            }
            other => return Err(self.unexpected(&other)),
        };
        Ok(match operator {
            "<" => RedirectKind::Read(word),
            ">" | ">|" => RedirectKind::Write(word),
            ">>" => RedirectKind::Append(word),
            "<>" => RedirectKind::ReadWrite(word),
            "&>" => RedirectKind::Both { append: false, file: word },
            "&>>" => RedirectKind::Both { append: true, file: word },
            "<<<" => RedirectKind::HereString(word),
            _ => RedirectKind::Duplicate(word),
        })
    }
}

/// `name=value`, split.
fn assignment(word: &Word) -> Option<(String, Word)> {
    let Some(Part::Literal(first)) = word.0.first() else { return None };
    let (name, value) = first.split_once('=')?;
    if !is_name(name) {
        return None;
    }
    let mut parts = word.0.clone();
    match value {
        "" => drop(parts.remove(0)),
        value => parts[0] = Part::Literal(value.to_owned()),
    }
    Some((name.to_owned(), Word(parts)))
}

/// Whether what was read so far is one name that a function could have.
fn is_function_name(simple: &Simple) -> bool {
    let nothing_else = simple.assignments.is_empty() && simple.redirects.is_empty();
    nothing_else && matches!(&simple.words[..], [word] if word.plain().is_some_and(is_name))
}
