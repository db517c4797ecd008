//! What the kernel itself shows on a screen whose pixels are in memory: the same text that goes to
//! the console's serial line, until a daemon takes the screen over, and the picker at any time.
//!
//! It keeps a terminal in memory, so that it never reads a pixel. While a daemon has the screen
//! nothing is drawn; what others have to say goes to the daemon, which shows it.

use crate::emergency::screen::{COLUMNS, Cells, ROWS, Style};
use crate::machine::{Machine, ScreenMemory};
use crate::task::{ProcessId, QueueId};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use terminal::{Cell, Painter, Pixels, Vt, colour};

/// Full screens make room for this part of their rows at once: drawing every line of a boot anew
/// would take longer than the boot.
const JUMP: usize = 4;

/// Most bytes kept for the daemon; then the oldest go.
const SAID: usize = 4096;
/// What tells the daemon that the kernel has drawn over its picture.
const DRAWN_OVER: u8 = 0;

/// The screen, if there is one.
pub struct Display {
    screen: Option<Screen>,
    /// Whose daemon has the screen.
    owner: Option<ProcessId>,
    /// The picker is to be seen, whoever draws otherwise.
    is_covered: bool,
    /// What the daemon has not read yet.
    pub(crate) said: VecDeque<u8>,
    /// The daemon waits here.
    pub(crate) readable: QueueId,
}

/// A letter of the picker, where it has been drawn.
type Shown = Option<(u8, Style)>;

struct Screen {
    memory: ScreenMemory,
    text: Painter,
    vt: Vt,
    picker: Painter,
    /// What of the picker is on the screen.
    shown: Box<[[Shown; COLUMNS]; ROWS]>,
}

/// Pixels by way of the machine.
struct Through<'m, M>(&'m mut M);

impl<M: Machine> Pixels for Through<'_, M> {
    fn put(&mut self, x: usize, y: usize, pixels: &[u32]) {
        self.0.draw(x, y, pixels);
    }
}

impl Display {
    /// The screen as the firmware left it.
    pub fn new(memory: Option<ScreenMemory>, readable: QueueId) -> Self {
        let screen = memory.map(|memory| {
            let text = Painter::new(memory.mode);
            let (columns, rows) = text.grid();
            Screen {
                memory,
                text,
                vt: Vt::new(columns, rows, (rows / JUMP).max(1)),
                picker: Painter::centred(memory.mode, COLUMNS, ROWS),
                shown: Box::new([[None; COLUMNS]; ROWS]),
            }
        });
        // All of it now: under the picker there is no memory for more.
        let said = VecDeque::with_capacity(if screen.is_some() { SAID } else { 0 });
        Self { screen, owner: None, is_covered: false, said, readable }
    }

    /// Where the pixels are.
    pub(crate) fn memory(&self) -> Option<ScreenMemory> {
        self.screen.as_ref().map(|screen| screen.memory)
    }

    /// What the kernel's terminal holds.
    pub(crate) fn text(&self) -> Option<String> {
        self.screen.as_ref().map(|screen| screen.vt.text())
    }

    /// Whether a daemon has the screen.
    pub(crate) fn is_taken(&self) -> bool {
        self.owner.is_some()
    }

    /// Leaves the screen to a daemon.
    pub(crate) fn take(&mut self, owner: ProcessId) {
        self.owner = Some(owner);
        self.said.clear();
    }

    /// Makes the whole screen empty, for the first time.
    pub(crate) fn begin<M: Machine>(&mut self, machine: &mut M) {
        if let Some(screen) = &self.screen {
            screen.text.clear(&mut Through(machine), colour::BACKGROUND);
        }
    }

    /// Goes on with the kernel's own text where a daemon drew.
    pub(crate) fn give_back<M: Machine>(&mut self, machine: &mut M) {
        self.owner = None;
        if !self.is_covered {
            self.redraw(machine);
        }
    }

    fn redraw<M: Machine>(&mut self, machine: &mut M) {
        let Some(screen) = &mut self.screen else { return };
        screen.text.clear(&mut Through(machine), colour::BACKGROUND);
        screen.vt.forget_shown();
        screen.vt.draw(&mut Through(machine), &screen.text);
    }

    /// Shows what `writer` (nobody: the kernel) wrote to the console. True when the daemon that has
    /// the screen has something to read now.
    pub(crate) fn write<M: Machine>(
        &mut self,
        machine: &mut M,
        writer: Option<ProcessId>,
        bytes: &[u8],
    ) -> bool {
        let Some(screen) = &mut self.screen else { return false };
        match self.owner {
            // It has shown that itself.
            Some(_) if self.owner == writer => false,
            Some(_) => {
                bytes.iter().filter(|byte| **byte != DRAWN_OVER).for_each(|byte| self.say(*byte));
                true
            }
            // A terminal may need memory, and under the picker nothing may.
            None if self.is_covered => false,
            None => {
                screen.vt.write(bytes);
                screen.vt.draw(&mut Through(machine), &screen.text);
                false
            }
        }
    }

    fn say(&mut self, byte: u8) {
        if self.said.len() == SAID {
            self.said.pop_front();
        }
        self.said.push_back(byte);
    }

    /// Whether the picker is on the screen.
    pub(crate) fn is_covered(&self) -> bool {
        self.is_covered
    }

    /// Shows the picker, as far as it has changed.
    pub(crate) fn cover<M: Machine>(&mut self, machine: &mut M, cells: &Cells) {
        let Some(screen) = &mut self.screen else { return };
        let pixels = &mut Through(machine);
        if !self.is_covered {
            self.is_covered = true;
            screen.picker.clear(pixels, colour::BACKGROUND);
            screen.shown.iter_mut().for_each(|row| row.fill(None));
        }
        for (row, (cells, shown)) in cells.iter().zip(screen.shown.iter_mut()).enumerate() {
            for (column, (cell, shown)) in cells.iter().zip(shown).enumerate() {
                if *shown != Some((cell.byte, cell.style)) {
                    *shown = Some((cell.byte, cell.style));
                    screen.picker.draw(pixels, column, row, look(cell.style, cell.byte));
                }
            }
        }
    }

    /// The picker is over. True when a daemon has to draw its picture again.
    pub(crate) fn uncover<M: Machine>(&mut self, machine: &mut M) -> bool {
        if !core::mem::take(&mut self.is_covered) {
            return false;
        }
        if self.owner.is_none() {
            self.redraw(machine);
            return false;
        }
        self.say(DRAWN_OVER);
        true
    }
}

/// A character of the picker in colours.
fn look(style: Style, byte: u8) -> Cell {
    let plain = Cell::plain(byte.into());
    match style {
        Style::Plain => plain,
        Style::Bold => Cell { foreground: colour::ANSI[15], ..plain },
        Style::Reverse => plain.reversed(),
        Style::Red => Cell { foreground: colour::ANSI[9], ..plain },
        Style::Green => Cell { foreground: colour::ANSI[10], ..plain },
        Style::Dim => Cell { foreground: colour::ANSI[8], ..plain },
    }
}
