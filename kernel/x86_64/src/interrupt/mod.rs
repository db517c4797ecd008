//! Interrupts.

use crate::cpu::Cpu;

/// Notes that `vector` fired on this CPU.
pub(crate) fn arrived(cpu: &Cpu, vector: u8) {
    let word = &cpu.pending[usize::from(vector / 64)];
    word.set(word.get() | 1 << (vector % 64));
}
