//! The two gates of the kernel: `syscall` and `int 0x80`.
//!
//! Registers are those of the binary interface: number in `rax`, arguments in `rdi rsi rdx r10 r8
//! r9`, the answer in `rax`. Each function loads exactly the registers it names, so that counting
//! instructions counts the kernel's.

use abi::redox::error::{Error, Result};
use core::arch::asm;

/// Declares one function a count of arguments, for both gates.
macro_rules! gates {
    ($($fast:ident $slow:ident ($($argument:ident in $register:tt),*);)*) => {$(
        /// Makes a call through `syscall` and returns `rax` as it comes.
        ///
        /// # Safety
        ///
        /// The kernel checks every pointer, but writes to what it is given, and unmaps what it is
        /// told to: that must be the caller's to lose.
        #[inline(always)]
        pub unsafe fn $fast(number: usize $(, $argument: usize)*) -> usize {
            let answer;
            // SAFETY: the registers are those that the interface names; `syscall` destroys `rcx`
            // and `r11` (SDM 2B, SYSCALL) and uses no stack of ours. Memory is the caller's.
            unsafe {
                asm!(
                    "syscall",
                    inlateout("rax") number => answer,
                    $(in($register) $argument,)*
                    lateout("rcx") _,
                    lateout("r11") _,
                    options(nostack),
                );
            }
            answer
        }

        /// The same through `int 0x80`, which destroys no register.
        ///
        /// # Safety
        ///
        /// As for the other gate.
        #[inline(always)]
        pub unsafe fn $slow(number: usize $(, $argument: usize)*) -> usize {
            let answer;
            // SAFETY: as above; only `rax` changes.
            unsafe {
                asm!(
                    "int 0x80",
                    inlateout("rax") number => answer,
                    $(in($register) $argument,)*
                    options(nostack, preserves_flags),
                );
            }
            answer
        }
    )*};
}

gates! {
    call0 int0();
    call1 int1(a in "rdi");
    call2 int2(a in "rdi", b in "rsi");
    call3 int3(a in "rdi", b in "rsi", c in "rdx");
    call4 int4(a in "rdi", b in "rsi", c in "rdx", d in "r10");
    call5 int5(a in "rdi", b in "rsi", c in "rdx", d in "r10", e in "r8");
    call6 int6(a in "rdi", b in "rsi", c in "rdx", d in "r10", e in "r8", f in "r9");
}

/// Tells a value from an error.
#[inline(always)]
pub fn answer(raw: usize) -> Result<usize> {
    Error::demux(raw)
}
