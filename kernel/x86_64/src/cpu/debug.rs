//! Debug registers: hardware breakpoints and watchpoints of user code (SDM 3B, chapter 17).
//!
//! The kernel reaches user memory by other addresses, so what is set here never traps in it.

use super::Cpu;
use crate::context::Context;
use abi::USER_END;
use core::arch::asm;
use kernel_core::machine::{DebugRegisters, Exception};

/// DR6 after reset: the processor only ever sets bits in it.
const STATUS_CLEAR: usize = 0xFFFF_0FF0;
/// DR7 with nothing watched: one bit is always 1.
const CONTROL_CLEAR: usize = 0x400;
/// How many there are.
const COUNT: usize = 4;
/// What is watched: execution of an instruction, input and output.
const EXECUTE: usize = 0;
const INPUT_OUTPUT: usize = 2;

/// What breakpoint `place` watches, and how many bytes less one, as DR7 has it (table 17-2).
fn kind_and_length(control: usize, place: usize) -> (usize, usize) {
    let field = control >> (16 + place * 4);
    (field & 3, field >> 2 & 3)
}

/// Whether it is switched on.
fn is_on(control: usize, place: usize) -> bool {
    control >> (place * 2) & 3 != 0
}

/// The same registers with nothing in them but what concerns user memory. `None` when they ask for
/// more.
pub(crate) fn sanitised(debug: DebugRegisters) -> Option<DebugRegisters> {
    let mut control = 0;
    for place in 0..COUNT {
        let address = debug.addresses[place];
        if address >= USER_END {
            return None;
        }
        if !is_on(debug.control, place) {
            continue;
        }
        let (kind, length) = kind_and_length(debug.control, place);
        // Length 2 stands for eight bytes.
        let mask = if length == 2 { 7 } else { length };
        if kind == INPUT_OUTPUT || kind == EXECUTE && length != 0 || address & mask != 0 {
            return None;
        }
        control |= 1 << (place * 2) | (kind | length << 2) << (16 + place * 4);
    }
    Some(DebugRegisters { status: debug.status & 0xF, control, ..debug })
}

/// Whether one of the breakpoints that were hit is on an instruction: those trap before it runs.
pub(crate) fn is_on_instruction(debug: &DebugRegisters, hits: u8) -> bool {
    let is_hit = |place: usize| hits & 1 << place != 0;
    (0..COUNT).any(|place| is_hit(place) && kind_and_length(debug.control, place).0 == EXECUTE)
}

/// Makes `cpu`, the one this runs on, watch.
#[cold]
pub(crate) fn load(cpu: &Cpu, debug: &DebugRegisters) {
    let [a, b, c, d] = debug.addresses;
    let control = debug.control | CONTROL_CLEAR;
    // SAFETY: only user addresses are watched, and no access to the registers themselves.
    unsafe {
        asm!("mov dr7, {}", in(reg) CONTROL_CLEAR, options(nomem, nostack));
        asm!("mov dr0, {}", in(reg) a, options(nomem, nostack));
        asm!("mov dr1, {}", in(reg) b, options(nomem, nostack));
        asm!("mov dr2, {}", in(reg) c, options(nomem, nostack));
        asm!("mov dr3, {}", in(reg) d, options(nomem, nostack));
        asm!("mov dr7, {}", in(reg) control, options(nomem, nostack));
    }
    cpu.has_breakpoints.set(debug.control != 0);
}

/// What a debug exception of user code was for.
pub(crate) fn exception(context: &mut Context) -> Exception {
    let status: usize;
    // SAFETY: the value written is the one after reset.
    unsafe {
        asm!("mov {}, dr6", out(reg) status, options(nomem, nostack));
        asm!("mov dr6, {}", in(reg) STATUS_CLEAR, options(nomem, nostack));
    }
    // Bits are also set for breakpoints that are switched off.
    let control = kernel_core::machine::Context::debug(context).control;
    let hits: usize = (0..COUNT).filter(|place| is_on(control, *place)).map(|p| 1 << p).sum();
    match status & hits {
        0 => Exception::Step,
        hits => Exception::Watch(context.note_hits(hits)),
    }
}
