//! Commands to processes.
//!
//! What the shell does itself runs in the shell's process; everything else, and every member of
//! a pipeline, runs in a child made by [`fork`](crate::system::fork). A child arranges its own
//! descriptors before it becomes the program, so the shell's stay untouched.

mod compound;
mod launch;
mod program;
mod redirect;
mod simple;

use crate::ast::{Chain, Command, Item, Link, List, Pipeline};
use crate::parse::{Parser, SyntaxError};
use crate::state::Shell;
use crate::system;

pub use launch::Part;
pub use program::Found;

/// Why the commands that follow do not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// `exit`, or a failure under `set -e`.
    Exit(i32),
    /// `return`.
    Return(i32),
    /// `break n`.
    Break(usize),
    /// `continue n`.
    Continue(usize),
    /// An expansion or redirection failed; it was said. Ends a script, not a person's shell.
    Failed(i32),
    /// Ctrl-C.
    Interrupted,
    /// A command has been stopped, as by Ctrl-Z; it is a job now.
    Stopped(i32),
}

/// A status, or a way out.
pub type Flow = Result<i32, Escape>;

/// The status of what a signal from the keyboard ended.
const INTERRUPTED: i32 = 130;

impl Escape {
    /// The status where a way out ends a process.
    pub fn status(self, so_far: i32) -> i32 {
        match self {
            Escape::Exit(status)
            | Escape::Return(status)
            | Escape::Failed(status)
            | Escape::Stopped(status) => status,
            Escape::Break(_) | Escape::Continue(_) => so_far,
            Escape::Interrupted => INTERRUPTED,
        }
    }
}

impl Shell {
    /// Runs a whole script. A syntax error is said and is status 2.
    ///
    /// With `last` the shell ends after it: its last program may take the shell's place.
    pub fn run_text(&mut self, text: &str, last: bool) -> Flow {
        let aliases = self.aliases.clone();
        let lookup = move |name: &str| aliases.borrow().get(name).cloned();
        let mut parser = Parser::new(text, &lookup);
        loop {
            self.status = match parser.next_command() {
                Ok(Some(list)) if last && parser.at_end() => self.last_list(&list)?,
                Ok(Some(list)) => self.list(&list)?,
                Ok(None) => return Ok(self.status),
                Err(error) => return Ok(self.syntax_error(&error)),
            };
        }
    }

    /// Says a syntax error; its status.
    pub fn syntax_error(&mut self, error: &SyntaxError) -> i32 {
        self.complain(error);
        self.status = 2;
        2
    }

    /// Commands one after the other.
    pub fn list(&mut self, list: &List) -> Flow {
        for item in &list.items {
            self.item(item)?;
        }
        Ok(self.status)
    }

    /// A list after which the shell ends.
    fn last_list(&mut self, list: &List) -> Flow {
        let Some((last, before)) = list.items.split_last() else { return Ok(self.status) };
        for item in before {
            self.item(item)?;
        }
        match last {
            Item { chain: Chain { first, rest }, background: false, .. }
                if rest.is_empty() && !first.negated && first.commands.len() == 1 =>
            {
                self.command(&first.commands[0], Place::Child)
            }
            item => self.item(item),
        }
    }

    fn item(&mut self, item: &Item) -> Flow {
        if system::is_interrupted() && self.is_interactive() {
            return Err(Escape::Interrupted);
        }
        if self.terminal.is_some() {
            self.typed.clone_from(&item.text);
        }
        self.status = match item.background {
            true => self.background(item)?,
            false => self.chain(&item.chain)?,
        };
        Ok(self.status)
    }

    fn chain(&mut self, chain: &Chain) -> Flow {
        let links = chain.rest.iter().map(|(link, _)| Some(*link)).chain([None]);
        let pipelines = [&chain.first].into_iter().chain(chain.rest.iter().map(|(_, next)| next));
        let mut before = None;
        for (pipeline, after) in pipelines.zip(links) {
            let runs = match before {
                None => true,
                Some(Link::And) => self.status == 0,
                Some(Link::Or) => self.status != 0,
            };
            before = after;
            if !runs {
                continue;
            }
            // A failure in front of `&&` and `||` is being tested.
            let tested = after.is_some() || pipeline.negated;
            self.status = self.tested(tested, |shell| shell.pipeline(pipeline))?;
            let exits = self.options.exit_on_error && self.conditions == 0 && !tested;
            if exits && self.status != 0 {
                return Err(Escape::Exit(self.status));
            }
        }
        Ok(self.status)
    }

    /// Runs something whose failure is looked at, so that `set -e` must not exit.
    fn tested(&mut self, tested: bool, run: impl FnOnce(&mut Self) -> Flow) -> Flow {
        self.conditions += usize::from(tested);
        let flow = run(self);
        self.conditions -= usize::from(tested);
        flow
    }

    fn pipeline(&mut self, pipeline: &Pipeline) -> Flow {
        let status = match &pipeline.commands[..] {
            [command] => self.command(command, Place::Shell)?,
            commands => {
                let parts: Vec<Part> = commands.iter().map(Part::Command).collect();
                self.foreground(&parts)?
            }
        };
        Ok(if pipeline.negated { i32::from(status == 0) } else { status })
    }

    /// One command.
    fn command(&mut self, command: &Command, place: Place) -> Flow {
        match command {
            Command::Simple(simple) => self.simple(simple, place),
            Command::Compound(compound, redirects) => {
                self.redirected(redirects, |shell| shell.compound(compound, place))
            }
            Command::Function(name, body) => {
                self.functions.insert(name.clone(), body.clone());
                Ok(0)
            }
        }
    }
}

/// Where a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the shell that goes on afterwards.
    Shell,
    /// In a process that has nothing else to do: a program simply takes it over.
    Child,
}
