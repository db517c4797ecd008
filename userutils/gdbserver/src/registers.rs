//! Registers as GDB names them.

use gdbstub_arch::x86::reg::X86_64CoreRegs;
use std::io;
use tracer::Registers;

/// Bytes of an x87 register that count.
const X87_BYTES: usize = 10;

/// Reads a thread's registers.
pub(crate) fn read(registers: &Registers, into: &mut X86_64CoreRegs) -> io::Result<()> {
    let r = registers.integer()?;
    let words = [
        r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8, r.r9, r.r10, r.r11, r.r12,
        r.r13, r.r14, r.r15,
    ];
    into.regs = words.map(|word| word as u64);
    into.rip = r.rip as u64;
    into.eflags = r.rflags as u32;
    into.segments.cs = r.cs as u32;
    into.segments.ss = r.ss as u32;
    let float = registers.float()?;
    let stack = float.st_space;
    for (place, value) in into.st.iter_mut().zip(stack) {
        place.copy_from_slice(&value.to_le_bytes()[..X87_BYTES]);
    }
    into.xmm = float.xmm_space;
    into.mxcsr = float.mxcsr;
    into.fpu.fctrl = u32::from(float.fcw);
    into.fpu.fstat = u32::from(float.fsw);
    into.fpu.ftag = u32::from(float.ftw);
    into.fpu.fop = u32::from(float.fop);
    Ok(())
}

/// Replaces a stopped thread's registers.
pub(crate) fn write(registers: &Registers, from: &X86_64CoreRegs) -> io::Result<()> {
    let mut r = registers.integer()?;
    let places = [
        &mut r.rax, &mut r.rbx, &mut r.rcx, &mut r.rdx, &mut r.rsi, &mut r.rdi, &mut r.rbp,
        &mut r.rsp, &mut r.r8, &mut r.r9, &mut r.r10, &mut r.r11, &mut r.r12, &mut r.r13,
        &mut r.r14, &mut r.r15,
    ];
    for (place, value) in places.into_iter().zip(from.regs) {
        *place = value as usize;
    }
    r.rip = from.rip as usize;
    r.rflags = from.eflags as usize;
    registers.set_integer(&r)?;
    let mut float = registers.float()?;
    let mut stack = float.st_space;
    for (place, value) in stack.iter_mut().zip(&from.st) {
        let mut bytes = place.to_le_bytes();
        bytes[..X87_BYTES].copy_from_slice(value);
        *place = u128::from_le_bytes(bytes);
    }
    float.st_space = stack;
    float.xmm_space = from.xmm;
    float.mxcsr = from.mxcsr;
    float.fcw = from.fpu.fctrl as u16;
    float.fsw = from.fpu.fstat as u16;
    registers.set_float(&float)
}
