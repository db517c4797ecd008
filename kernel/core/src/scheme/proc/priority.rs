//! `proc:PID/priority` — how urgent a process is: 1 to 40 for a share of the CPUs' time, 20 unless asked
//! for otherwise, and 0 for what nobody else wants. Children have their parent's.
//!
//! Who may signal a process may make it less urgent; the other way is for root.

use super::limits::check_owner;
use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::schedule::Priority;
use crate::task::ProcessId;
use alloc::format;
use alloc::string::String;

pub(super) fn read<M: Machine>(k: &mut Kernel<M>, process: ProcessId) -> String {
    format!("{}\n", k.processes[process.0].priority.number())
}

/// `EINVAL` for what is no priority, `EPERM` for somebody else's process, `EACCES` for more urgent
/// without being root.
pub(super) fn write<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    process: ProcessId,
    text: &str,
) -> Outcome<()> {
    let priority = text.parse().ok().and_then(Priority::new).ok_or(Errno(EINVAL))?;
    check_owner(k, caller, process)?;
    let is_root = k.processes[caller.process.0].ids.euid == 0;
    if priority > k.processes[process.0].priority && !is_root {
        return fail(EACCES);
    }
    k.set_priority(process, priority);
    Ok(())
}
