//! Running user code.

use crate::context::Context;
use crate::cpu::Cpu;
use crate::interrupt;
use crate::trap::FIRST_INTERRUPT;
use crate::trap::entry::{CALL_VECTOR, enter_user};
use core::arch::asm;
use kernel_core::machine::{Access, Exception, Trap};

/// Error-code bits of a page fault (SDM 3A, 4.7).
const FAULT_WRITE: u32 = 1 << 1;
const FAULT_EXECUTE: u32 = 1 << 4;

/// Runs user code on this CPU until it stops.
#[inline]
pub(crate) fn run(context: &mut Context) -> Trap {
    if !context.is_resident() {
        context.resume(Cpu::this());
    }
    loop {
        let (vector, error) = enter(context);
        if vector == CALL_VECTOR {
            return Trap::Call;
        }
        if vector < FIRST_INTERRUPT {
            return exception(context, vector, error);
        }
        if interrupt::arrived(Cpu::this(), vector) {
            return Trap::Interrupt;
        }
    }
}

/// What the portable kernel is told of an exception.
#[cold]
fn exception(context: &mut Context, vector: u8, error: u32) -> Trap {
    Trap::Exception(match vector {
        0 => Exception::Divide,
        1 => crate::cpu::debug::exception(context),
        3 => Exception::Breakpoint,
        6 => Exception::InvalidInstruction,
        11..=13 => Exception::Protection,
        14 => return fault(error),
        16 | 19 => Exception::Float,
        17 => Exception::Alignment,
        other => Exception::Other(other),
    })
}

fn fault(error: u32) -> Trap {
    let access = if error & FAULT_EXECUTE != 0 {
        Access::EXECUTE
    } else if error & FAULT_WRITE != 0 {
        Access::WRITE
    } else {
        Access::READ
    };
    // SAFETY: reading CR2 changes nothing; no other fault has come since.
    Trap::Fault { address: unsafe { x86::controlregs::cr2() }, access }
}

#[inline]
fn enter(context: &mut Context) -> (u8, u32) {
    let (vector, error): (u32, u32);
    // SAFETY: the entry code keeps `rsp`, destroys all other registers, and touches no memory but
    // the context's registers and the CPU's block. `rbx` and `rbp` cannot be named as clobbers.
    unsafe {
        asm!(
            "push rbx",
            "push rbp",
            "call {enter}",
            "pop rbp",
            "pop rbx",
            enter = sym enter_user,
            inout("rdi") context.registers_pointer() => _,
            lateout("eax") vector,
            lateout("edx") error,
            lateout("rcx") _, lateout("rsi") _,
            lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
            lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
        );
    }
    (vector as u8, error)
}
