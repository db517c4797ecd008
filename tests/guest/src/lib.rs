//! What the programs in `/bin/tests` and `bench` are made of: the kernel's calls, bare.
//!
//! The C library stands between an ordinary program and the kernel: it checks, retries, locks and
//! translates. A program that tests the kernel, or counts its instructions, wants none of that.
//! But for [`report`], nothing here allocates, locks or keeps state, so all of it may be used
//! after [`process::fork`].

pub mod call;
pub mod event;
pub mod file;
pub mod memory;
pub mod process;
pub mod program;
pub mod report;
pub mod scheme;
pub mod signal;
pub mod time;
pub mod trace;

pub use abi;
pub use abi::redox::error::{Error, Result};

/// The error of a result, 0 when there is none: what tests compare.
pub fn errno<T>(result: Result<T>) -> i32 {
    result.err().map_or(0, |error| error.errno)
}
