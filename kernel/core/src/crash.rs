//! `proc:crashes`, `sys:core` — processes that have crashed and are kept, for a moment, for whoever
//! wants to write them down.
//!
//! This file keeps the books. Keeping a process and letting it go is in `kernel/crash.rs`.

use crate::kernel::TimerKey;
use crate::task::QueueId;
use crate::trace::ProcessKey;
use abi::signal::*;
use abi::watch::CRASH_WORDS;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

/// How long a process is kept: after that it ends, written down or not.
pub const KEPT_NS: u64 = 30_000_000_000;

/// Signals that tell of a mistake in the program.
const CRASHES: [usize; 8] = [SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS];

/// Whether a process that ends by this signal has crashed.
pub fn is_crash(signal: usize) -> bool {
    CRASHES.contains(&signal)
}

/// A process that is kept.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Which.
    pub process: ProcessKey,
    /// What ends it.
    pub signal: usize,
    /// Ends the wait.
    pub timer: TimerKey,
}

/// The collector, and what there is for it.
pub struct Crashes {
    /// Where collectors are to put core files, in their words; empty: nothing is kept.
    pub pattern: String,
    /// The open file of the collector.
    pub collector: Option<usize>,
    /// Woken when there is something to read.
    pub changed: QueueId,
    /// Crashes that have not been read.
    pub news: VecDeque<[usize; CRASH_WORDS]>,
    /// Processes that wait.
    pub kept: Vec<Kept>,
}

impl Crashes {
    /// Nobody collects.
    pub fn new(changed: QueueId) -> Self {
        let (pattern, news) = (String::new(), VecDeque::new());
        Self { pattern, collector: None, changed, news, kept: Vec::new() }
    }
}
