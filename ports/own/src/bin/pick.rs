//! `pick FILE` — shows a file's lines as a list, over ratatui and crossterm, and prints the one that is
//! chosen with the arrow keys and Enter; `q` or Escape chooses none, which is status 1.

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::widgets::{Block, List, ListState, Paragraph};
use ratatui::{DefaultTerminal, Frame};
use std::process::ExitCode;

fn draw(frame: &mut Frame, lines: &[String], state: &mut ListState) {
    let [above, below] =
        Layout::vertical([Constraint::Min(3), Constraint::Length(1)]).areas(frame.area());
    let list = List::new(lines.iter().map(String::as_str))
        .block(Block::bordered().title("Wähle"))
        .highlight_symbol("→ ")
        .highlight_style(Style::new().fg(Color::Green).add_modifier(Modifier::BOLD));
    frame.render_stateful_widget(list, above, state);
    let chosen = state.selected().map_or(0, |index| index + 1);
    frame.render_widget(Paragraph::new(format!("{chosen} of {}", lines.len())), below);
}

/// The line that a person chooses.
fn choose(terminal: &mut DefaultTerminal, lines: &[String]) -> std::io::Result<Option<usize>> {
    let mut state = ListState::default().with_selected(Some(0));
    loop {
        terminal.draw(|frame| draw(frame, lines, &mut state))?;
        let Event::Key(key) = event::read()? else { continue };
        if key.kind != KeyEventKind::Press {
            continue;
        }
        match key.code {
            KeyCode::Down => state.select_next(),
            KeyCode::Up => state.select_previous(),
            KeyCode::Enter => return Ok(state.selected()),
            KeyCode::Char('q') | KeyCode::Esc => return Ok(None),
            _ => {}
        }
    }
}

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: pick FILE");
        return ExitCode::from(2);
    };
    let lines: Vec<String> = match std::fs::read_to_string(&path) {
        Ok(text) => text.lines().map(String::from).collect(),
        Err(error) => {
            eprintln!("pick: {path}: {error}");
            return ExitCode::from(2);
        }
    };
    let mut terminal = ratatui::init();
    let chosen = choose(&mut terminal, &lines);
    ratatui::restore();
    match chosen {
        Ok(Some(index)) if index < lines.len() => {
            println!("{}", lines[index]);
            ExitCode::SUCCESS
        }
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("pick: {error}");
            ExitCode::from(2)
        }
    }
}
