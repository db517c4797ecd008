//! `display:` — the screen, where it has pixels in memory.
//!
//! `display:mode` is text: columns and rows of pixels, bytes from one row to the next, the lowest
//! bits of red, green and blue. `display:text` is what the kernel itself shows. `display:screen` is
//! the screen: root opens it, one at a time, and maps its pixels; while it is open the kernel
//! draws nothing but the picker and a panic. Reading it gives what others have written to the console
//! meanwhile, the kernel's log among it, for the daemon to show; a zero byte says that the kernel has
//! drawn over the picture, and the daemon draws it again.

use super::{Opened, Position, Scheme, directory::Entry, memory};
use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::UserSlice;
use crate::scheme::place;
use crate::task::{ProcessId, Reason, Wait};
use abi::PAGE_SIZE;
use abi::redox::data::{Map, Stat};
use abi::redox::flag::*;
use alloc::format;
use alloc::string::{String, ToString};

/// The names, by the number of their files; the directory comes after them.
const NAMES: [&str; 3] = ["mode", "screen", "text"];
const MODE: usize = 0;
const SCREEN: usize = 1;
const TEXT: usize = 2;
const DIRECTORY: usize = 3;

pub(super) struct Display;

impl<M: Machine> Scheme<M> for Display {
    fn name(&self) -> &'static str {
        "display"
    }

    fn open(&self, k: &mut Kernel<M>, caller: Caller, path: &str, _: usize) -> Outcome<Opened> {
        if path.is_empty() {
            return Opened::positioned(DIRECTORY);
        }
        let number = NAMES.iter().position(|name| *name == path).ok_or(Errno(ENOENT))?;
        if number == SCREEN && k.processes[caller.process.0].ids.euid != 0 {
            return fail(EACCES);
        }
        if k.display.memory().is_none() {
            return fail(ENODEV);
        }
        if number != SCREEN {
            return Opened::positioned(number);
        }
        if k.display.is_taken() {
            return fail(EBUSY);
        }
        k.display.take(caller.process);
        Opened::stream(SCREEN)
    }

    fn read(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        into: UserSlice,
        at: Position,
    ) -> Outcome {
        let text = match number {
            SCREEN => return read_said(k, caller, into, at),
            MODE => mode_text(k),
            TEXT => k.display.text().unwrap_or_default(),
            _ => return fail(EISDIR),
        };
        let from = text.len().min(usize::try_from(at.offset).unwrap_or(usize::MAX));
        let bytes = &text.as_bytes()[from..];
        let count = bytes.len().min(into.length);
        k.copy_out(caller.space, into, &bytes[..count])?;
        Ok(count)
    }

    fn close(&self, k: &mut Kernel<M>, number: usize) {
        if number == SCREEN {
            k.display.give_back(&mut k.machine);
        }
    }

    fn ready(&self, k: &mut Kernel<M>, number: usize) -> EventFlags {
        let is_ready = number != SCREEN || !k.display.said.is_empty();
        if is_ready { EventFlags::EVENT_READ } else { EventFlags::empty() }
    }

    fn path(&self, _: &mut Kernel<M>, number: usize) -> String {
        NAMES.get(number).map(|name| name.to_string()).unwrap_or_default()
    }

    fn stat(&self, k: &mut Kernel<M>, number: usize) -> Outcome<Stat> {
        let size = k.display.memory().map_or(0, |memory| memory.size());
        let (st_mode, st_size) = match number {
            SCREEN => (MODE_CHR | 0o600, size),
            DIRECTORY => (MODE_DIR | 0o555, 0),
            _ => (MODE_FILE | 0o444, 0),
        };
        Ok(Stat { st_mode, st_size, st_nlink: 1, ..Stat::default() })
    }

    fn entry(
        &self,
        _: &mut Kernel<M>,
        _: Caller,
        number: usize,
        from: usize,
    ) -> Outcome<Option<Entry>> {
        match number {
            DIRECTORY => Ok(NAMES.get(from).map(|name| Entry::file(from, *name))),
            _ => fail(ENOTDIR),
        }
    }

    fn map(&self, k: &mut Kernel<M>, caller: Caller, number: usize, map: &Map) -> Outcome {
        let Some(screen) = k.display.memory().filter(|_| number == SCREEN) else {
            return fail(ENODEV);
        };
        let page = PAGE_SIZE as u64;
        let (offset, length) = (map.offset as u64, map.size as u64);
        let end = offset.checked_add(length).ok_or(Errno(EINVAL))?;
        if end > screen.size().next_multiple_of(page) || !screen.start.0.is_multiple_of(page) {
            return fail(EINVAL);
        }
        memory::map_physical(k, caller, map, (screen.start.0 + offset) / page)
    }
}

fn mode_text<M: Machine>(k: &Kernel<M>) -> String {
    let Some(memory) = k.display.memory() else { return String::new() };
    let [red, green, blue] = memory.mode.shifts;
    let (width, height) = (memory.mode.width, memory.mode.height);
    format!("{width} {height} {} {red} {green} {blue}\n", memory.stride)
}

/// What others have to say to the daemon that has the screen.
fn read_said<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    into: UserSlice,
    at: Position,
) -> Outcome {
    if k.display.said.is_empty() {
        return match at.is_nonblocking {
            true => fail(EAGAIN),
            false => Err(Stop::Park(Wait::on(Reason::Readable, k.display.readable))),
        };
    }
    let mut bytes = [0; 256];
    let count = bytes.len().min(into.length).min(k.display.said.len());
    for (byte, said) in bytes.iter_mut().zip(&k.display.said) {
        *byte = *said;
    }
    k.copy_out(caller.space, into, &bytes[..count])?;
    k.display.said.drain(..count);
    Ok(count)
}

impl<M: Machine> Kernel<M> {
    /// Writes to the console: its serial line, and the screen. Returns how many bytes the line took.
    pub(crate) fn write_console(&mut self, writer: Option<ProcessId>, bytes: &[u8]) -> usize {
        let taken = self.machine.console_write(bytes);
        let is_said = self.display.write(&mut self.machine, writer, &bytes[..taken]);
        // Under the picker nobody runs; whoever waits is woken after it.
        if is_said && !self.display.is_covered() {
            self.wake_screen();
        }
        taken
    }

    /// The picker is over: the screen is its owner's again.
    pub(crate) fn uncover_screen(&mut self) {
        if self.display.uncover(&mut self.machine) {
            self.wake_screen();
        }
    }

    fn wake_screen(&mut self) {
        self.wake_all(self.display.readable);
        self.raise((place::DISPLAY, SCREEN), EventFlags::EVENT_READ);
    }
}
