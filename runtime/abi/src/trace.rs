//! `proc:PID/trace` — what a tracer writes and reads, beyond what Redox's RFC 0004 has.
//!
//! A session belongs to one thread: `proc:PID/thread/TID/trace`, or `proc:PID/trace` for the
//! process's first one. Writing `redox::flag::PtraceFlags` (8 bytes) replaces what the thread stops
//! at and lets it go on; reading gives `redox::data::PtraceEvent`s (56 bytes each).
//!
//! # Opening
//!
//! `O_TRUNC` stops the thread at once (attach), without it runs on (seize). `O_EXCL` kills the
//! process when the session ends. A second session for a thread is `EBUSY`.
//!
//! # Events
//!
//! | cause | a | b | c | d | e | f |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | `STOP_PRE_SYSCALL` | number | argument 1 | 2 | 3 | 4 | 5 |
//! | `STOP_POST_SYSCALL` | number | answer, or [`RESTARTS`] | | | | |
//! | `STOP_SINGLESTEP` | instruction | | | | | |
//! | `STOP_SIGNAL` | signal | handler | code | sender | address | |
//! | `STOP_BREAKPOINT` | address of the `int3` | | | | | |
//! | `STOP_EXIT` | status word, see [`crate::wait`] | | | | | |
//! | [`STOP_EXEC`] | first instruction | | | | | |
//! | [`STOP_HARDWARE`] | registers hit, bits 0 to 3 | instruction | | | | |
//! | [`STOP_NOW`] | | | | | | |
//! | `EVENT_CLONE` | new thread | its process | | | | |
//! | `EVENT_ADDRSPACE_SWITCH` | 0 | | | | | |

/// Stop at the first instruction of a program that `EXEC` has started.
pub const STOP_EXEC: u64 = 0x40;
/// Stop when a hardware breakpoint or watchpoint is hit (`regs/debug`).
pub const STOP_HARDWARE: u64 = 0x80;
/// Written: stop as soon as possible. A thread that is stopped already stays so.
pub const STOP_NOW: u64 = 0x2000;
/// Written: the process outlives the session, although that was opened with `O_EXCL`.
pub const SPARE: u64 = 0x4000;

/// As the answer in a `STOP_POST_SYSCALL`: a signal handler runs first, then the call begins anew.
pub const RESTARTS: usize = (crate::redox::error::ERESTART as usize).wrapping_neg();

/// `CALL` on `proc:PID/mem` with this in the first metadata word and a count in the second reads
/// many places at once. The payload begins with `count` pairs of machine words, address and length;
/// the bytes follow behind the pairs, one place after the other, each in a room of its length.
/// Every length is replaced by how many bytes could be read. Answers how many all together.
pub const READ_VECTOR: usize = 1;
/// Most places of one [`READ_VECTOR`].
pub const VECTOR_MAX: usize = 256;

/// Bytes of `regs/debug`: the four addresses DR0 to DR3, the status DR6, the control DR7.
pub const DEBUG_BYTES: usize = 48;
