//! `CALL` with [`LOCK`] — advisory locks on whole files, for schemes that keep files.
//!
//! Two words of metadata and no payload: [`LOCK`], and an operation with the numbers of C's `flock`.
//! A lock belongs to the open file, which descriptors share after `dup` and `fork`, and goes with
//! its last descriptor. `EWOULDBLOCK` when others are in the way and [`NO_WAIT`] is set; without it
//! the call waits. `EINVAL` for an unknown operation.

/// The first word.
pub const LOCK: u64 = 1;

/// Others may have it shared, too.
pub const SHARED: u64 = 1;
/// Nobody else may have it.
pub const EXCLUSIVE: u64 = 2;
/// Fail rather than wait.
pub const NO_WAIT: u64 = 4;
/// Give it back.
pub const UNLOCK: u64 = 8;
