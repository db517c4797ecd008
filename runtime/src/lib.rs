//! `libc.a` — the C library of Lifeboat's programs.
//!
//! `std` for `x86_64-unknown-redox`, `libredox`, `redox-scheme` and `redox_event` link against the
//! names defined here. Layouts and constants are those of the `libc` crate for that target; calls,
//! flags and errors are those of `lifeboat-abi`. `docs/std.md` says what works.
//!
//! It keeps per process: the environment, the heap, what to do at exit and at fork. It keeps per
//! thread: `errno`, thread-local values and the record that others wait on. Descriptors, the
//! working directory, signals and everything else live in the kernel.
//!
//! What is missing says so (`ENOSYS`, `EOPNOTSUPP`); nothing pretends.
#![no_std]
#![feature(c_variadic)]

extern crate alloc;

mod accounts;
mod environment;
mod epoll;
mod errno;
mod event;
mod exit;
mod fs;
mod locale;
mod lock;
mod math;
mod memory;
mod missing;
mod pointer;
mod print;
mod process;
mod pseudo;
mod random;
mod redox;
mod resolve;
mod signal;
mod socket;
mod start;
mod string;
mod sys;
mod system;
mod terminal;
mod thread;
mod time;
#[cfg_attr(feature = "unwind", path = "unwind/tables.rs")]
#[cfg_attr(not(feature = "unwind"), path = "unwind/frames.rs")]
mod unwind;

use core::fmt::Write;

/// A bug in this library: says where, then ends the program as `abort` does.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    // Nothing more can be done when standard error is closed.
    let _ = writeln!(sys::file::Output(2), "libc: {info}");
    exit::abort()
}
