//! `proc:PID/profile`, `proc:crashes` — the records that their readers get.

/// Words of a sample before its addresses: how many words there are in all, process, thread, the
/// moment in nanoseconds since boot, and how many samples were lost since the one before.
pub const SAMPLE_HEAD: usize = 5;
/// Most addresses of a sample: the instruction, then return addresses, the innermost first.
pub const SAMPLE_DEPTH: usize = 64;
/// Most samples a second.
pub const SAMPLE_RATE_MAX: u64 = 1000;

/// Words of a crash: process, thread, signal, its code, its address.
pub const CRASH_WORDS: usize = 5;
