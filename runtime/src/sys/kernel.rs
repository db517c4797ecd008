//! The door to Lifeboat's kernel: one instruction.

use core::arch::asm;

/// Makes a system call; the answer is a value, or an error's number below zero.
///
/// # Safety
///
/// The kernel checks every pointer, but writes to what it is given: memory that the call fills
/// must be the caller's to fill.
#[inline]
pub(super) unsafe fn call(number: usize, arguments: [usize; 6]) -> usize {
    let answer: usize;
    // SAFETY: registers are those the ABI names; it destroys rcx and r11 only, and uses no stack
    // of ours. Memory is the caller's concern.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => answer,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") arguments[4],
            in("r9") arguments[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    answer
}
