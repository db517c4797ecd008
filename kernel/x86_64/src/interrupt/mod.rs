//! Interrupts: noted when they come, taken later under the kernel lock.
//!
//! A CPU takes interrupts only in user mode and while it hibernates. Noting one is a bit in the
//! CPU's block; which thread it concerns, the portable kernel finds out.

pub(crate) mod io;
pub(crate) mod local;
pub(crate) mod message;

use crate::cpu::Cpu;
use crate::smp::flush;
use kernel_core::machine::Interrupt;

/// Who uses which vector. Device lines have the ones from [`LINES`](vector::LINES) on.
pub(crate) mod vector {
    /// Device line 0.
    pub(crate) const LINES: u8 = 0x81;
    /// One past the last device line.
    pub(crate) const LINES_END: u8 = 0xF0;
    /// The local timer.
    pub(crate) const TIMER: u8 = 0xF0;
    /// Another CPU wants the kernel to look.
    pub(crate) const KICK: u8 = 0xF1;
    /// Another CPU wants translations forgotten.
    pub(crate) const FLUSH: u8 = 0xF2;
    /// The controller had nothing to tell after all.
    pub(crate) const SPURIOUS: u8 = 0xFF;
}

/// In [`Cpu::events`]: the timer fired.
const TIMER: u32 = 1;
/// A kick came.
const KICK: u32 = 2;
/// Some bit of [`Cpu::lines`] is set.
const LINE: u32 = 4;

/// Notes that `vector` came to `cpu`, the one this runs on. Returns whether that is anything the
/// portable kernel has to look at.
pub(crate) fn arrived(cpu: &Cpu, vector: u8) -> bool {
    match vector {
        vector::TIMER => note(cpu, TIMER),
        vector::KICK => note(cpu, KICK),
        vector::FLUSH => flush::answer(cpu),
        vector::LINES..vector::LINES_END => {
            let line = vector - vector::LINES;
            io::arrived(line);
            let word = &cpu.lines[usize::from(line / 64)];
            word.set(word.get() | 1 << (line % 64));
            note(cpu, LINE);
        }
        // A spurious interrupt must not be ended (SDM 3A, 11.9).
        _ => return false,
    }
    local::end();
    vector != vector::FLUSH
}

fn note(cpu: &Cpu, event: u32) {
    cpu.events.set(cpu.events.get() | event);
}

/// Takes the next interrupt that was noted.
#[inline]
pub(crate) fn next(cpu: &Cpu) -> Option<Interrupt> {
    if cpu.events.get() == 0 { None } else { take(cpu) }
}

#[cold]
fn take(cpu: &Cpu) -> Option<Interrupt> {
    let events = cpu.events.get();
    if events & TIMER != 0 {
        cpu.events.set(events & !TIMER);
        return Some(Interrupt::Timer);
    }
    if events & KICK != 0 {
        cpu.events.set(events & !KICK);
        return Some(Interrupt::Kick);
    }
    for (index, word) in cpu.lines.iter().enumerate() {
        let lines = word.get();
        if lines != 0 {
            word.set(lines & (lines - 1));
            return Some(Interrupt::Line((index * 64) as u8 + lines.trailing_zeros() as u8));
        }
    }
    cpu.events.set(events & !LINE);
    None
}

/// Whether something was noted and not taken.
pub(crate) fn is_waiting(cpu: &Cpu) -> bool {
    cpu.events.get() != 0
}
