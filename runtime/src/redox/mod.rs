//! The names that `libredox` and `redox_event` link against: `redox_*_vN`.
//!
//! They return the value or `-errno` in one word, and leave `errno` alone.

mod event;
mod file;
pub(crate) mod namespace;
mod process;

use crate::sys::{Error, Result};

/// The answer of all of them.
type Raw = usize;

/// Packs a result into one word.
fn raw(result: Result<usize>) -> Raw {
    Error::mux(result)
}
