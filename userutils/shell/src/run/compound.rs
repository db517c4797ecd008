//! Groups, `if`, loops, `case`.

use super::launch::Part;
use super::{Escape, Flow, Place};
use crate::ast::{Compound, List, Word};
use crate::expand;
use crate::state::Shell;
use crate::system;

impl Shell {
    pub(super) fn compound(&mut self, compound: &Compound, place: Place) -> Flow {
        match compound {
            Compound::Group(list) => self.list(list),
            Compound::Subshell(list) if place == Place::Child => self.list(list),
            Compound::Subshell(list) => self.foreground(&[Part::List(list)]),
            Compound::If(branches, otherwise) => self.branches(branches, otherwise.as_ref()),
            Compound::Loop { until, condition, body } => {
                self.in_loop(|shell| shell.conditional_loop(*until, condition, body))
            }
            Compound::For { name, words, body } => {
                let values = match words {
                    Some(words) => expand::fields(words, self),
                    None => Ok(self.positional.clone()),
                };
                let values = values.map_err(|error| self.failed(error))?;
                self.in_loop(|shell| shell.for_loop(name, values, body))
            }
            Compound::Case { subject, arms } => self.case(subject, arms),
        }
    }

    fn condition(&mut self, list: &List) -> Result<bool, Escape> {
        Ok(self.tested(true, |shell| shell.list(list))? == 0)
    }

    fn branches(&mut self, branches: &[(List, List)], otherwise: Option<&List>) -> Flow {
        for (condition, body) in branches {
            if self.condition(condition)? {
                return self.list(body);
            }
        }
        match otherwise {
            Some(body) => self.list(body),
            None => Ok(0),
        }
    }

    fn in_loop(&mut self, run: impl FnOnce(&mut Self) -> Flow) -> Flow {
        self.loops += 1;
        let flow = run(self);
        self.loops -= 1;
        flow
    }

    fn conditional_loop(&mut self, until: bool, condition: &List, body: &List) -> Flow {
        let mut status = 0;
        loop {
            // `break` may stand in the condition too.
            let goes_on = match self.condition(condition) {
                Ok(held) => held != until,
                Err(escape) => match self.turn(Err(escape), status)? {
                    Turn::Next(_) => continue,
                    Turn::End(status) => return Ok(status),
                },
            };
            if !goes_on {
                return Ok(status);
            }
            let flow = self.list(body);
            match self.turn(flow, status)? {
                Turn::Next(next) => status = next,
                Turn::End(status) => return Ok(status),
            }
        }
    }

    fn for_loop(&mut self, name: &str, values: Vec<String>, body: &List) -> Flow {
        let mut status = 0;
        for value in values {
            self.variables.set(name, value).map_err(|error| self.failed(error))?;
            let flow = self.list(body);
            match self.turn(flow, status)? {
                Turn::Next(next) => status = next,
                Turn::End(status) => return Ok(status),
            }
        }
        Ok(status)
    }

    /// What one run of a loop's body means for the loop.
    fn turn(&mut self, flow: Flow, status: i32) -> Result<Turn, Escape> {
        if system::is_interrupted() && self.is_interactive() {
            return Err(Escape::Interrupted);
        }
        match flow {
            Ok(status) => Ok(Turn::Next(status)),
            Err(Escape::Break(0 | 1)) => Ok(Turn::End(0)),
            Err(Escape::Continue(0 | 1)) => Ok(Turn::Next(status)),
            Err(Escape::Break(levels)) => Err(Escape::Break(levels - 1)),
            Err(Escape::Continue(levels)) => Err(Escape::Continue(levels - 1)),
            Err(escape) => Err(escape),
        }
    }

    fn case(&mut self, subject: &Word, arms: &[(Vec<Word>, List)]) -> Flow {
        let subject = expand::text(subject, self).map_err(|error| self.failed(error))?;
        for (patterns, body) in arms {
            for pattern in patterns {
                let pattern = expand::pattern(pattern, self).map_err(|error| self.failed(error))?;
                if pattern.matches(&subject) {
                    return if body.items.is_empty() { Ok(0) } else { self.list(body) };
                }
            }
        }
        Ok(0)
    }
}

/// Whether a loop goes on.
enum Turn {
    Next(i32),
    End(i32),
}
