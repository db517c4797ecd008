//! Signals.

use crate::call::{answer, call3};
use abi::number;
use abi::redox::error::Result;
pub use abi::signal::*;
use core::arch::naked_asm;

/// A handler: signal, what is known of it, a copy of the interrupted registers.
pub type Handler = extern "C" fn(usize, &SigInfo, usize);

/// Where a handler returns to: takes the thread back to where the signal came.
#[unsafe(naked)]
extern "C" fn restorer() {
    naked_asm!("mov eax, {number}", "syscall", "ud2", number = const number::SIGRETURN)
}

/// Catches a signal.
pub fn catch(signal: usize, handler: Handler, flags: usize) -> Result<usize> {
    set(signal, handler as *const () as usize, flags)
}

/// Sets what a signal does: [`SIG_DFL`], [`SIG_IGN`] or a handler's address.
pub fn set(signal: usize, handler: usize, flags: usize) -> Result<usize> {
    let restorer = restorer as extern "C" fn() as *const () as usize;
    let action = SigAction { handler, flags, mask: 0, restorer };
    // SAFETY: the kernel only reads the action.
    answer(unsafe { call3(number::SIGACTION, signal, &raw const action as usize, 0) })
}

/// Blocks (`how` 0), unblocks (1) or sets (2) signals.
pub fn mask(how: usize, set: u64) -> Result<usize> {
    // SAFETY: the kernel only reads the set.
    answer(unsafe { call3(number::SIGPROCMASK, how, &raw const set as usize, 0) })
}

/// The bit of a signal in a mask.
pub const fn bit(signal: usize) -> u64 {
    1 << (signal - 1)
}

/// Sends a signal to the calling thread.
#[inline(always)]
pub fn raise(process: usize, thread: usize, signal: usize) -> Result<usize> {
    // SAFETY: no memory is involved.
    answer(unsafe { call3(number::TGKILL, process, thread, signal) })
}
