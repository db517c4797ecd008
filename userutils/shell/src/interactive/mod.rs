//! Talking to a person: prompt, lines, history, finished background commands.

mod complete;
mod editor;
mod history;

use std::io;

use crate::expand;
use crate::parse::{Parser, SyntaxError, prompt_word};
use crate::run::Escape;
use crate::state::Shell;
use crate::system::{self, Terminal};
use editor::{Editor, Input};

/// Read before the first prompt.
const PROFILE: &str = "/etc/profile";

/// Runs until the person leaves; the status to end with.
pub fn run(shell: &mut Shell) -> io::Result<i32> {
    take_terminal(shell)?;
    shell.history = history::load(shell);
    let mut editor = Editor::new(&shell.history);
    if let Ok(profile) = std::fs::read_to_string(PROFILE)
        && let Some(status) = run_text(shell, &profile)
    {
        return Ok(status);
    }
    loop {
        system::clear_interrupt();
        tell_ended_jobs(shell);
        let Some(text) = read_command(shell, &mut editor) else { return Ok(shell.status) };
        if let Some(status) = run_text(shell, &text) {
            return Ok(status);
        }
    }
}

/// Makes the shell the terminal's foreground group and keeps the terminal at hand.
fn take_terminal(shell: &mut Shell) -> io::Result<()> {
    let terminal = Terminal::of_standard_input()?;
    system::prepare_interactive()?;
    // Fails for the leader of a session, which leads its group already.
    let own = nix::unistd::Pid::from_raw(0);
    let _ = nix::unistd::setpgid(own, own);
    terminal.give(nix::unistd::getpgrp());
    shell.terminal = Some(terminal);
    Ok(())
}

/// Runs what was typed; a status when the shell is to end.
fn run_text(shell: &mut Shell, text: &str) -> Option<i32> {
    shell.loops = 0;
    shell.conditions = 0;
    match shell.run_text(text, false) {
        Ok(_) => {}
        Err(Escape::Exit(status)) => return Some(status),
        Err(escape) => {
            if escape == Escape::Interrupted {
                // Behind the `^C` of the terminal. Not worth a failure if it cannot be said.
                let _ = system::print("\n");
            }
            shell.status = escape.status(shell.status);
        }
    }
    None
}

fn tell_ended_jobs(shell: &mut Shell) {
    shell.jobs.poll();
    for job in shell.jobs.take_ended() {
        // Not worth a failure if it cannot be said.
        let _ = system::print(&format!("{}\n", job.describe()));
    }
}

/// One complete command, over as many lines as it takes. `None` when the person leaves.
fn read_command(shell: &mut Shell, editor: &mut Editor) -> Option<String> {
    let mut text = String::new();
    loop {
        let prompt = prompt(shell, if text.is_empty() { "PS1" } else { "PS2" });
        match editor.line(&prompt, shell) {
            Input::Line(line) => {
                text.push_str(&line);
                text.push('\n');
                if !is_incomplete(shell, &text) {
                    remember(shell, editor, text.trim_end());
                    return Some(text);
                }
            }
            Input::Interrupted => {
                shell.status = 130;
                text.clear();
            }
            Input::End if text.is_empty() => return None,
            Input::End => {
                shell.complain("unexpected end");
                text.clear();
            }
        }
    }
}

fn remember(shell: &mut Shell, editor: &mut Editor, text: &str) {
    let known = shell.history.last().is_some_and(|last| last == text);
    if !text.is_empty() && !text.starts_with(' ') && !known {
        editor.add(text);
        history::append(shell, text);
        shell.history.push(text.to_owned());
    }
}

/// Whether more lines must follow.
pub fn is_incomplete(shell: &Shell, text: &str) -> bool {
    let aliases = shell.aliases.clone();
    let lookup = move |name: &str| aliases.borrow().get(name).cloned();
    let mut parser = Parser::new(text, &lookup);
    loop {
        match parser.next_command() {
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(error) => return matches!(error, SyntaxError::Incomplete(_)),
        }
    }
}

/// A prompt variable with its parameters expanded; as it is when that fails.
fn prompt(shell: &mut Shell, variable: &str) -> String {
    let text = shell.variables.get(variable).unwrap_or_default().to_owned();
    // What a prompt runs is not what `$?` is about.
    let status = shell.status;
    let word = prompt_word(&text);
    let expanded = word.and_then(|word| expand::text(&word, shell).ok());
    shell.status = status;
    expanded.unwrap_or(text)
}
