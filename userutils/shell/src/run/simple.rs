//! Simple commands: functions, what the shell does itself, and programs.

use super::launch::Part;
use super::{Escape, Flow, Place};
use crate::ast::{Command, Redirect, Simple};
use crate::builtin::{self, Builtin};
use crate::expand;
use crate::state::Shell;
use crate::system;
use crate::variables::Before;

/// A program with everything expanded, ready for a child.
#[derive(Debug)]
pub struct Prepared<'a> {
    /// Its name and arguments.
    pub(super) args: Vec<String>,
    /// `A=1` in front of it.
    pub(super) assignments: Vec<(String, String)>,
    /// Applied by the child.
    pub(super) redirects: &'a [Redirect],
}

impl Shell {
    /// Expands and runs a simple command.
    pub(super) fn simple(&mut self, simple: &Simple, place: Place) -> Flow {
        self.substituted = None;
        let expanded = expand::fields(&simple.words, self);
        let args = expanded.map_err(|error| self.failed(error))?;
        let mut assignments = Vec::new();
        for (name, word) in &simple.assignments {
            let value = expand::text(word, self).map_err(|error| self.failed(error))?;
            if args.is_empty() {
                self.variables.set(name, value).map_err(|error| self.failed(error))?;
            } else {
                assignments.push((name.clone(), value));
            }
        }
        let Some(name) = args.first() else {
            let status = self.substituted.unwrap_or(0);
            return self.redirected(&simple.redirects, |_| Ok(status));
        };
        self.trace(&args);
        if let Some(body) = self.functions.get(name).cloned() {
            return self.with_assignments(assignments, |shell| {
                shell.redirected(&simple.redirects, |shell| shell.call(&body, &args))
            });
        }
        if let Some(builtin) = builtin::find(name) {
            return self.with_assignments(assignments, |shell| {
                shell.builtin(builtin, &args, &simple.redirects, place)
            });
        }
        let prepared = Prepared { args, assignments, redirects: &simple.redirects };
        self.run_program(&prepared, place)
    }

    fn run_program(&mut self, prepared: &Prepared, place: Place) -> Flow {
        match place {
            Place::Child => self.become_program(prepared),
            Place::Shell => self.foreground(&[Part::Program(prepared)]),
        }
    }

    /// `command name args`: a program or builtin even if there is a function of that name.
    pub(crate) fn without_functions(&mut self, args: &[String]) -> Flow {
        match builtin::find(&args[0]) {
            Some(builtin) => self.builtin(builtin, args, &[], Place::Shell),
            None => {
                let (args, assignments) = (args.to_vec(), Vec::new());
                self.run_program(&Prepared { args, assignments, redirects: &[] }, Place::Shell)
            }
        }
    }

    /// `exec name args`.
    pub(crate) fn replace_by(&mut self, args: &[String]) -> Flow {
        let (args, assignments) = (args.to_vec(), Vec::new());
        self.become_program(&Prepared { args, assignments, redirects: &[] })
    }

    fn builtin(
        &mut self,
        builtin: &Builtin,
        args: &[String],
        redirects: &[Redirect],
        place: Place,
    ) -> Flow {
        // `exec > file` is the one command whose redirections stay.
        if builtin.name == "exec" && args.len() == 1 {
            let applied = self.redirect_for_good(redirects);
            return applied.map(|()| 0).map_err(|error| self.failed(error));
        }
        let _ = place;
        self.redirected(redirects, |shell| {
            let mut output = String::new();
            let flow = (builtin.run)(shell, args, &mut output);
            if output.is_empty() {
                return flow;
            }
            match system::print(&output) {
                Ok(()) => flow,
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(1),
                Err(error) => {
                    shell.complain(format_args!("{}: {error}", args[0]));
                    Ok(1)
                }
            }
        })
    }

    /// Runs a function's body with its own positional parameters.
    fn call(&mut self, body: &Command, args: &[String]) -> Flow {
        if self.calls == CALLS_MAX {
            self.complain(format_args!("{}: functions call each other too deeply", args[0]));
            return Err(Escape::Failed(1));
        }
        let before = std::mem::replace(&mut self.positional, args[1..].to_vec());
        let loops = std::mem::take(&mut self.loops);
        self.calls += 1;
        self.variables.enter_function();
        let flow = self.command(body, Place::Shell);
        self.variables.leave_function();
        self.calls -= 1;
        self.loops = loops;
        self.positional = before;
        match flow {
            Err(Escape::Return(status)) => Ok(status),
            flow => flow,
        }
    }

    /// Variables that only hold while something runs.
    fn with_assignments(
        &mut self,
        assignments: Vec<(String, String)>,
        run: impl FnOnce(&mut Self) -> Flow,
    ) -> Flow {
        let mut before: Vec<Before> = Vec::new();
        let mut refused = None;
        for (name, value) in assignments {
            match self.variables.set_for_command(&name, value) {
                Ok(old) => before.push(old),
                Err(error) => refused = Some(error),
            }
        }
        let flow = match refused {
            Some(error) => Err(self.failed(error)),
            None => run(self),
        };
        before.into_iter().rev().for_each(|old| self.variables.restore(old));
        flow
    }

    /// Says why a command cannot run at all.
    pub(crate) fn failed(&mut self, error: impl std::fmt::Display) -> Escape {
        self.complain(error);
        self.status = 1;
        Escape::Failed(1)
    }

    /// `set -x`.
    fn trace(&self, args: &[String]) {
        if self.options.trace {
            let quoted: Vec<String> = args.iter().map(|arg| builtin::quoted(arg)).collect();
            // A trace that nobody can see is no reason to stop.
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("+ {}\n", quoted.join(" ")).as_bytes(),
            );
        }
    }
}

/// How deep functions may call each other: each level takes some of the shell's stack.
const CALLS_MAX: usize = 200;
