//! `proc:PID/names` — which schemes' names a process may use: `all`, `only NAME...` or
//! `without NAME...`.
//!
//! Writing the same narrows it, for the process and each child that it makes from then on; nothing
//! widens it again, root's write neither.

use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::task::ProcessId;
use alloc::format;
use alloc::string::String;

pub(super) fn read<M: Machine>(k: &mut Kernel<M>, process: ProcessId) -> String {
    format!("{}\n", k.processes[process.0].view)
}

/// Narrows the view. `EINVAL` for nonsense, `EPERM` for a name that is not in it, and for somebody
/// else's process.
pub(super) fn write<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    process: ProcessId,
    text: &str,
) -> Outcome<()> {
    super::limits::check_owner(k, caller, process)?;
    let record = &mut k.processes[process.0];
    record.view = record.view.narrow(text)?;
    Ok(())
}
