//! `sys:context` — one line for every thread, in Redox's columns.
//!
//! STAT is `U` for user code, then R ready, B parked, S parked with a moment to wake, T stopped,
//! Z ended, then `+` while on a CPU. PRIVATE is resident memory, SHARED what else is mapped.

use super::{Row, clock_text, size_text};
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::task::{State, TaskId};
use abi::PAGE_SIZE;
use alloc::format;
use alloc::string::String;

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "context",
        help: "one line for every thread",
        read: |k, _| {
            let mut text = String::from(
                "PID   EUID  EGID  STAT CPU  AFFINITY TIME        PRIVATE   SHARED    NAME\n",
            );
            let mut order: alloc::vec::Vec<(u32, usize)> =
                k.tasks.iter().map(|(index, task)| (task.tid, index)).collect();
            order.sort_unstable();
            order.into_iter().for_each(|(_, index)| text += &line(k, TaskId(index)));
            text
        },
        write: None,
    }
}

fn line<M: Machine>(k: &Kernel<M>, id: TaskId) -> String {
    let task = &k.tasks[id.0];
    let process = &k.processes[task.process.0];
    let plus = if matches!(task.state, State::Running(_)) { "+" } else { "" };
    let time = k.machine.nanoseconds(k.ticks_of(id).iter().sum());
    let space = k.spaces.get(task.space.0);
    let resident = space.map_or(0, |space| space.resident * PAGE_SIZE);
    let mapped = space.map_or(0, |space| space.virtual_bytes());
    format!(
        "{:<5} {:<5} {:<5} {:<4} #{:<3} {:<8} {:<11} {:<9} {:<9} {}\n",
        task.tid,
        process.ids.euid,
        process.ids.egid,
        format!("U{}{plus}", task.letter()),
        task.last_cpu.0,
        "all",
        clock_text(time),
        size_text(resident),
        size_text(mapped),
        process.name(),
    )
}
