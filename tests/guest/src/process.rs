//! Processes and threads.

use crate::call::{answer, call0, call1, call2, call3, call6};
use crate::time::{Deadline, sleep_ms};
use abi::number;
use abi::redox::error::{EINTR, Result};
use abi::redox::number::SYS_YIELD;
use abi::signal::SIGKILL;
pub use abi::wait::Ended;
use core::arch::asm;

/// → 0 in the child, the child's number in the parent.
///
/// Only the calling thread goes along, so the child may use nothing that another thread could have
/// locked: this library's functions, and no more.
pub fn fork() -> Result<usize> {
    // SAFETY: both copies go on from here, each with its own memory.
    answer(unsafe { call0(number::FORK) })
}

/// Ends the process.
pub fn exit(status: u8) -> ! {
    // SAFETY: nothing is left to go wrong.
    unsafe { call1(number::EXIT, usize::from(status)) };
    // SAFETY: never reached; an illegal instruction if it were.
    unsafe { asm!("ud2", options(noreturn)) }
}

/// The caller's process.
pub fn pid() -> usize {
    // SAFETY: no memory is involved.
    unsafe { call0(number::GETPID) }
}

/// The caller's thread.
pub fn tid() -> usize {
    // SAFETY: no memory is involved.
    unsafe { call0(number::GETTID) }
}

/// Lets others go first.
pub fn yield_turn() {
    // SAFETY: no memory is involved.
    unsafe { call0(SYS_YIELD) };
}

/// Sends a signal; `pid` as for `kill`.
pub fn kill(pid: isize, signal: usize) -> Result<usize> {
    // SAFETY: no memory of ours is involved.
    answer(unsafe { call2(number::KILL, pid as usize, signal) })
}

/// Waits for a child; returns its number and how it ended, or `None` under `WNOHANG`.
pub fn wait(pid: isize, options: usize) -> Result<Option<(usize, Ended)>> {
    let mut status = 0;
    let found = loop {
        let place = &raw mut status as usize;
        // SAFETY: `status` is ours.
        match answer(unsafe { call3(number::WAIT, pid as usize, place, options) }) {
            Err(error) if error.errno == EINTR => {}
            other => break other?,
        }
    };
    Ok((found != 0).then(|| (found, Ended::from_status(status))))
}

/// A child; one that is dropped is killed and forgotten.
#[derive(Debug)]
pub struct Child {
    /// Its number.
    pub pid: usize,
    is_gone: bool,
}

impl Child {
    /// A child that runs `body` and ends with what it returns.
    pub fn start(body: impl FnOnce() -> u8) -> Result<Self> {
        match fork()? {
            0 => exit(body()),
            pid => Ok(Self { pid, is_gone: false }),
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: usize) -> Result<usize> {
        kill(self.pid as isize, signal)
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Result<Ended> {
        let ended = wait(self.pid as isize, 0)?;
        self.is_gone = true;
        Ok(ended.map_or(Ended::Exited(0), |(_, ended)| ended))
    }

    /// Waits for its end, at most so many milliseconds. After that it is killed: `None`.
    pub fn wait_within(mut self, millis: u64) -> Result<Option<Ended>> {
        let deadline = Deadline::in_ms(millis);
        let mut pause = 0;
        loop {
            if let Some((_, ended)) = wait(self.pid as isize, number::WNOHANG)? {
                self.is_gone = true;
                return Ok(Some(ended));
            }
            if deadline.has_passed() {
                return Ok(None);
            }
            match pause {
                0..20 => yield_turn(),
                _ => sleep_ms(2),
            }
            pause += 1;
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.is_gone {
            // It may have ended already; waiting takes it either way.
            let _ = self.signal(SIGKILL);
            let _ = wait(self.pid as isize, 0);
        }
    }
}

/// Starts a thread of this process at `entry(argument)`.
///
/// # Safety
///
/// `stack` is the end of memory that only the new thread uses, and `entry` never returns. The
/// thread has no thread-local values: it may use this library and nothing of std.
pub unsafe fn thread(
    entry: extern "C" fn(usize) -> !,
    stack: usize,
    argument: usize,
) -> Result<usize> {
    // A C function finds its stack pointer 8 below a multiple of 16 (System V x86-64 ABI, 3.2.2).
    let stack = stack / 16 * 16 - 8;
    let entry = entry as *const () as usize;
    // SAFETY: the caller's.
    answer(unsafe { call6(number::THREAD_NEW, entry, stack, argument, 0, 0, 0) })
}

/// Ends the calling thread, then stores 0 at `done` and wakes who waits there.
pub fn exit_thread(done: *mut u32) -> ! {
    // SAFETY: the stack stays mapped; `done` is checked by the kernel.
    unsafe { call3(number::THREAD_EXIT, 0, 0, done as usize) };
    // SAFETY: never reached.
    unsafe { asm!("ud2", options(noreturn)) }
}
