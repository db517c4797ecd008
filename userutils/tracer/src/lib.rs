//! `proc:PID/trace` from the tracer's side: sessions, memory, registers, starting a program.
//!
//! What the files mean is in `docs/schemes/proc.md`. Nothing here decides what to stop at.

mod launch;
mod memory;
mod queue;
mod registers;
mod session;

pub use launch::{Launched, launch};
pub use memory::Memory;
pub use queue::Queue;
pub use registers::{Registers, extended_state};
pub use session::{Session, Start};

pub use abi::redox::data::PtraceEvent;
pub use abi::redox::flag::PtraceFlags;

use std::fs;
use std::io;

/// The numbers of a process's threads, ascending.
///
/// # Errors
/// When the process is gone.
pub fn threads(pid: u32) -> io::Result<Vec<u32>> {
    let mut tids = Vec::new();
    for entry in fs::read_dir(format!("/scheme/proc/{pid}/thread"))? {
        tids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(tids)
}

/// One of a process's text files.
///
/// # Errors
/// When the process or the file is not there.
pub fn text(pid: u32, name: &str) -> io::Result<String> {
    fs::read_to_string(format!("/scheme/proc/{pid}/{name}"))
}
