//! The one door to the kernel, and the calls behind it as Rust functions.

pub(crate) mod file;
pub(crate) mod futex;
pub(crate) mod map;

pub(crate) use abi::redox::error::{Error, Result};
use core::arch::asm;

/// Makes a system call with up to six arguments.
///
/// # Safety
///
/// The kernel checks every pointer, but writes to what it is given: memory that the call fills
/// must be the caller's to fill.
#[inline]
pub(crate) unsafe fn syscall<const N: usize>(
    number: usize,
    arguments: [usize; N],
) -> Result<usize> {
    const { assert!(N <= 6) };
    let mut all = [0; 6];
    all[..N].copy_from_slice(&arguments);
    let answer: usize;
    // SAFETY: registers are those the ABI names; it destroys rcx and r11 only, and uses no stack
    // of ours. Memory is the caller's concern.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => answer,
            in("rdi") all[0],
            in("rsi") all[1],
            in("rdx") all[2],
            in("r10") all[3],
            in("r8") all[4],
            in("r9") all[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    Error::demux(answer)
}

/// An error by its number.
pub(crate) fn error<T>(code: i32) -> Result<T> {
    Err(Error::new(code))
}
