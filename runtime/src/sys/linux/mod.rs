//! The same door over Linux (feature `linux`), so that the whole library, and programs for Lifeboat
//! with it, run in an ordinary process of the machine that builds them: `make test-runtime`.
//!
//! Each call of Lifeboat's is made of those of Linux; what a process keeps, Linux keeps. There are no
//! daemons: a scheme is a folder ([`path`]), but for `rand:`, `pipe:` and `event:`. Calls that need
//! Lifeboat's kernel itself (serving a scheme, messages) answer `ENOSYS`.

mod event;
mod file;
mod memory;
mod number;
mod path;
mod process;
mod signal;
mod thread;
mod timer;

use abi::number as own;
use abi::redox::data::TimeSpec;
use abi::redox::flag::{FUTEX_WAIT, FUTEX_WAKE};
use abi::redox::number::*;
use core::arch::asm;

/// A call of Linux's own.
///
/// # Safety
///
/// As for the call.
#[inline]
unsafe fn linux<const N: usize>(number: usize, arguments: [usize; N]) -> usize {
    const { assert!(N <= 6) };
    let mut all = [0; 6];
    all[..N].copy_from_slice(&arguments);
    let answer: usize;
    // SAFETY: Linux destroys rcx and r11 only. Memory is the caller's concern.
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
    answer
}

/// An error as a call answers it. Both systems have the same numbers.
const fn fail(code: i32) -> usize {
    (-(code as isize)) as usize
}

/// Whether an answer is an error.
const fn failed(answer: usize) -> bool {
    answer > -4096_isize as usize
}

/// A time as Linux lays it out.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Time {
    seconds: i64,
    nanoseconds: i64,
}

impl Time {
    fn from(time: &TimeSpec) -> Self {
        Self { seconds: time.tv_sec, nanoseconds: time.tv_nsec.into() }
    }

    fn told(self) -> TimeSpec {
        TimeSpec { tv_sec: self.seconds, tv_nsec: self.nanoseconds as i32 }
    }
}

/// Makes a system call of Lifeboat's; the answer is a value, or an error's number below zero.
///
/// # Safety
///
/// Pointers are not checked where they are read or written from here: a bad one ends the process.
/// Memory that the call fills must be the caller's to fill.
pub(super) unsafe fn call(call: usize, arguments: [usize; 6]) -> usize {
    // SAFETY: as promised by the caller.
    unsafe {
        None.or_else(|| file::call(call, arguments))
            .or_else(|| memory::call(call, arguments))
            .or_else(|| process::call(call, arguments))
            .or_else(|| signal::call(call, arguments))
            .or_else(|| timer::call(call, arguments))
            .or_else(|| timed(call, arguments))
            .unwrap_or(fail(libc::ENOSYS))
    }
}

/// Clocks, and waiting for time to pass or words to change.
unsafe fn timed(call: usize, a: [usize; 6]) -> Option<usize> {
    // SAFETY: as promised by the caller.
    Some(unsafe {
        match call {
            SYS_CLOCK_GETTIME => clock(a[0], a[1] as *mut TimeSpec),
            SYS_NANOSLEEP => sleep(a[0] as *const TimeSpec, a[1] as *mut TimeSpec),
            SYS_FUTEX => futex(a),
            SYS_YIELD => linux(number::SCHED_YIELD, []),
            own::THREAD_NEW => thread::start(a),
            own::THREAD_EXIT => thread::end(a[0], a[1], a[2]),
            _ => return None,
        }
    })
}

unsafe fn clock(clock: usize, place: *mut TimeSpec) -> usize {
    let clock = match clock {
        abi::redox::flag::CLOCK_REALTIME => 0,
        abi::redox::flag::CLOCK_MONOTONIC => 1,
        _ => return fail(libc::EINVAL),
    };
    let mut time = Time::default();
    // SAFETY: the place is the caller's.
    unsafe {
        let answer = linux(number::CLOCK_GETTIME, [clock, &raw mut time as usize]);
        place.write(time.told());
        answer
    }
}

unsafe fn sleep(wanted: *const TimeSpec, left: *mut TimeSpec) -> usize {
    let mut rest = Time::default();
    // SAFETY: the caller's time is readable, and its place writable or null.
    unsafe {
        let wanted = Time::from(&*wanted);
        let times = [&raw const wanted as usize, &raw mut rest as usize];
        let answer = linux(number::NANOSLEEP, times);
        crate::pointer::store(left, rest.told());
        answer
    }
}

unsafe fn futex([word, operation, value, timeout, ..]: [usize; 6]) -> usize {
    /// The word is this address space's alone.
    const PRIVATE: usize = 128;
    let operation = match operation {
        FUTEX_WAIT => PRIVATE,
        FUTEX_WAKE => 1 | PRIVATE,
        _ => return fail(libc::ENOSYS),
    };
    // SAFETY: the timeout is null or readable.
    unsafe {
        let time = crate::pointer::load(timeout as *const TimeSpec).map(|time| Time::from(&time));
        let timeout = time.as_ref().map_or(0, |time| &raw const *time as usize);
        linux(number::FUTEX, [word, operation, value, timeout])
    }
}
