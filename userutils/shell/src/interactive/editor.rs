//! Lines from a person: with editing where the terminal allows it, plain otherwise.

use rustyline::completion::{Completer, Pair};
use rustyline::config::{BellStyle, CompletionType};
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{Config, Context, Helper, Highlighter, Hinter, Validator};

use super::complete::{self, World};
use crate::builtin;
use crate::state::Shell;
use crate::system;

/// What came.
pub(super) enum Input {
    /// A line, without its newline.
    Line(String),
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D, or the terminal is gone.
    End,
}

type Lines = rustyline::Editor<Names, MemHistory>;

/// The source of lines.
pub(super) struct Editor {
    /// `None`: this terminal cannot be edited on.
    lines: Option<Lines>,
}

impl Editor {
    pub(super) fn new(history: &[String]) -> Self {
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .bell_style(BellStyle::None)
            .bracketed_paste(false)
            .auto_add_history(false)
            .build();
        let memory = MemHistory::with_config(&config);
        let lines = Lines::with_history(config, memory).ok();
        let mut editor = Self { lines };
        history.iter().for_each(|line| editor.add(line));
        editor
    }

    /// Remembers a line for the arrow keys.
    pub(super) fn add(&mut self, line: &str) {
        if let Some(lines) = &mut self.lines {
            // Refused only for what need not be remembered.
            let _ = lines.add_history_entry(line);
        }
    }

    /// The next line.
    pub(super) fn line(&mut self, prompt: &str, shell: &Shell) -> Input {
        let Some(lines) = &mut self.lines else { return plain(prompt) };
        lines.set_helper(Some(Names::of(shell)));
        loop {
            return match lines.readline(prompt) {
                Ok(line) => Input::Line(line),
                Err(ReadlineError::Interrupted) => Input::Interrupted,
                Err(ReadlineError::Eof) => {
                    // As if it had been typed.
                    let _ = system::print("exit\n");
                    Input::End
                }
                Err(ReadlineError::Signal(_)) => continue,
                Err(error) => {
                    shell.complain(format_args!("lines cannot be edited here: {error}"));
                    self.lines = None;
                    plain(prompt)
                }
            };
        }
    }
}

/// A line as the terminal itself collects it.
fn plain(prompt: &str) -> Input {
    if system::print(prompt).is_err() {
        return Input::End;
    }
    match system::read_line() {
        Ok(Some(line)) => Input::Line(line),
        Ok(None) => Input::End,
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {
            system::clear_interrupt();
            let _ = system::print("\n");
            Input::Interrupted
        }
        Err(_) => Input::End,
    }
}

/// The names the shell knew when the prompt was shown.
#[derive(Helper, Hinter, Highlighter, Validator)]
struct Names {
    commands: Vec<String>,
    variables: Vec<String>,
    path: Vec<String>,
}

impl Names {
    fn of(shell: &Shell) -> Self {
        let aliases = shell.aliases.borrow();
        let own = builtin::names().map(str::to_owned);
        let path = shell.variables.get("PATH").unwrap_or_default();
        Self {
            commands: own
                .chain(shell.functions.keys().cloned())
                .chain(aliases.keys().cloned())
                .collect(),
            variables: shell.variables.all().map(|(name, _)| name.to_owned()).collect(),
            path: path.split(':').filter(|part| !part.is_empty()).map(str::to_owned).collect(),
        }
    }
}

impl World for Names {
    fn commands(&self) -> Vec<String> {
        let programs = self.path.iter().flat_map(|directory| complete::list(directory));
        let programs = programs.filter(|(_, is_directory)| !is_directory).map(|(name, _)| name);
        self.commands.iter().cloned().chain(programs).collect()
    }

    fn variables(&self) -> Vec<String> {
        self.variables.clone()
    }

    fn entries(&self, directory: &str) -> Vec<(String, bool)> {
        complete::list(directory)
    }
}

impl Completer for Names {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, offers) = complete::offers(&line[..position], self);
        let pair = |offer: complete::Offer| Pair { display: offer.shown, replacement: offer.text };
        Ok((start, offers.into_iter().map(pair).collect()))
    }
}
