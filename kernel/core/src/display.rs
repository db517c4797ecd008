//! What the kernel itself shows on a screen whose pixels are in memory: the same text that goes to
//! the console's serial line, until a daemon takes the screen over, and the picker at any time.
//!
//! It keeps a terminal in memory, so that it never reads a pixel. While a daemon has the screen
//! nothing is drawn, but the terminal goes on, and is there again when the daemon ends.

use crate::emergency::screen::{COLUMNS, Cells, ROWS, Style};
use crate::machine::{Machine, ScreenMemory};
use crate::task::QueueId;
use alloc::boxed::Box;
use alloc::string::String;
use terminal::{Cell, Painter, Pixels, Vt, colour};

/// Full screens make room for this part of their rows at once: drawing every line of a boot anew
/// would take longer than the boot.
const JUMP: usize = 4;

/// Who draws now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Drawer {
    /// The kernel, its terminal.
    #[default]
    Kernel,
    /// The daemon that has `display:screen`.
    Daemon,
}

/// The screen, if there is one.
pub struct Display {
    screen: Option<Screen>,
    drawer: Drawer,
    /// The picker is to be seen, whoever draws otherwise.
    is_covered: bool,
    /// How often the kernel has drawn over the daemon's picture, and how often that was read.
    pub(crate) covered: u64,
    pub(crate) seen: u64,
    /// The daemon waits here.
    pub(crate) readable: QueueId,
}

struct Screen {
    memory: ScreenMemory,
    text: Painter,
    vt: Vt,
    picker: Painter,
    /// What of the picker is on the screen.
    shown: Box<[[Option<(u8, Style)>; COLUMNS]; ROWS]>,
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
        let drawer = Drawer::default();
        Self { screen, drawer, is_covered: false, covered: 0, seen: 0, readable }
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
        self.drawer == Drawer::Daemon
    }

    /// Leaves the screen to a daemon.
    pub(crate) fn take(&mut self) {
        self.drawer = Drawer::Daemon;
        self.seen = self.covered;
    }

    /// Makes the whole screen empty, for the first time.
    pub(crate) fn begin<M: Machine>(&mut self, machine: &mut M) {
        if let Some(screen) = &self.screen {
            screen.text.clear(&mut Through(machine), colour::BACKGROUND);
        }
    }

    /// Goes on with the kernel's own text where a daemon drew.
    pub(crate) fn give_back<M: Machine>(&mut self, machine: &mut M) {
        self.drawer = Drawer::Kernel;
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

    /// Shows what the console shows.
    pub(crate) fn write<M: Machine>(&mut self, machine: &mut M, bytes: &[u8]) {
        // A terminal may need memory, and under the picker nothing may.
        let Some(screen) = self.screen.as_mut().filter(|_| !self.is_covered) else { return };
        match self.drawer {
            Drawer::Daemon => {}
            Drawer::Kernel => {
                screen.vt.write(bytes);
                screen.vt.draw(&mut Through(machine), &screen.text);
            }
        }
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
        if self.drawer == Drawer::Kernel {
            self.redraw(machine);
            return false;
        }
        self.covered += 1;
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
