//! Constructs: groups, `if`, loops, `case`.

use super::token::Token;
use super::word::is_name;
use super::{Parsed, Parser};
use crate::ast::{Command, Compound, List, Word};

impl Parser<'_> {
    /// The construct that `keyword` (which is next) begins, with its redirections.
    pub(super) fn compound(&mut self, keyword: &str) -> Parsed<Command> {
        self.take()?;
        let compound = self.nested(|parser| match keyword {
            "(" => parser.subshell(),
            "{" => Ok(Compound::Group(parser.body("{", "}")?)),
            "if" => parser.branches(),
            "for" => parser.for_loop(),
            "case" => parser.case(),
            keyword => parser.conditional_loop(keyword == "until"),
        })?;
        let mut redirects = Vec::new();
        while let Some(redirect) = self.redirect()? {
            redirects.push(redirect);
        }
        Ok(Command::Compound(compound, redirects))
    }

    /// A list that must not be empty, and the keyword that ends it.
    fn body(&mut self, opened_by: &str, end: &str) -> Parsed<List> {
        let list = self.list()?;
        self.not_empty(&list)?;
        self.close(opened_by, end)?;
        Ok(list)
    }

    fn not_empty(&mut self, list: &List) -> Parsed<()> {
        if !list.items.is_empty() {
            return Ok(());
        }
        let next = self.look()?.clone();
        Err(self.unexpected(&next))
    }

    fn close(&mut self, opened_by: &str, end: &str) -> Parsed<()> {
        match self.eat_keyword(end)? {
            true => Ok(()),
            false => Err(self.expected_close(&format!("`{opened_by}`"))),
        }
    }

    fn subshell(&mut self) -> Parsed<Compound> {
        let list = self.list()?;
        self.not_empty(&list)?;
        match self.eat(")")? {
            true => Ok(Compound::Subshell(list)),
            false => Err(self.expected_close("`(`")),
        }
    }

    /// After `if`.
    fn branches(&mut self) -> Parsed<Compound> {
        let mut branches = Vec::new();
        loop {
            let condition = self.body("if", "then")?;
            let body = self.list()?;
            self.not_empty(&body)?;
            branches.push((condition, body));
            if self.eat_keyword("elif")? {
                continue;
            }
            if self.eat_keyword("else")? {
                return Ok(Compound::If(branches, Some(self.body("if", "fi")?)));
            }
            self.close("if", "fi")?;
            return Ok(Compound::If(branches, None));
        }
    }

    /// After `while` or `until`.
    fn conditional_loop(&mut self, until: bool) -> Parsed<Compound> {
        let keyword = if until { "until" } else { "while" };
        let condition = self.body(keyword, "do")?;
        let body = self.body("do", "done")?;
        Ok(Compound::Loop { until, condition, body })
    }

    /// After `for`.
    fn for_loop(&mut self) -> Parsed<Compound> {
        let name = match self.take()? {
            Token::Word(word) if word.plain().is_some_and(is_name) => {
                word.plain().unwrap_or_default().to_owned()
            }
            Token::End => return Err(self.unexpected(&Token::End)),
            other => return Err(self.wrong(format!("{other} is no name for a variable"))),
        };
        self.skip_newlines()?;
        let words = if self.eat_keyword("in")? { Some(self.words()?) } else { None };
        self.eat(";")?;
        self.skip_newlines()?;
        if !self.eat_keyword("do")? {
            return Err(self.expected_close("`for`"));
        }
        let body = self.body("do", "done")?;
        Ok(Compound::For { name, words, body })
    }

    fn words(&mut self) -> Parsed<Vec<Word>> {
        let mut words = Vec::new();
        while matches!(self.look()?, Token::Word(_)) {
            let Token::Word(word) = self.take()? else { unreachable!("just looked") };
            words.push(word);
        }
        Ok(words)
    }

    /// After `case`.
    fn case(&mut self) -> Parsed<Compound> {
        let subject = match self.take()? {
            Token::Word(word) => word,
            other => return Err(self.unexpected(&other)),
        };
        self.skip_newlines()?;
        if !self.eat_keyword("in")? {
            return Err(self.expected_close("`case`"));
        }
        let mut arms = Vec::new();
        loop {
            self.skip_newlines()?;
            if self.eat_keyword("esac")? {
                return Ok(Compound::Case { subject, arms });
            }
            let patterns = self.patterns()?;
            let body = self.list()?;
            arms.push((patterns, body));
            if !self.eat(";;")? {
                self.close("case", "esac")?;
                return Ok(Compound::Case { subject, arms });
            }
        }
    }

    /// `(a | b)`, the first parenthesis being optional.
    fn patterns(&mut self) -> Parsed<Vec<Word>> {
        self.eat("(")?;
        let mut patterns = Vec::new();
        loop {
            match self.take()? {
                Token::Word(word) => patterns.push(word),
                other => return Err(self.unexpected(&other)),
            }
            if self.eat(")")? {
                return Ok(patterns);
            }
            if !self.eat("|")? {
                return Err(self.expected_close("`case`"));
            }
        }
    }
}
