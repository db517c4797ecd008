//! `sys:irq` — how often each interrupt line has fired.

use super::Row;
use crate::machine::Machine;
use alloc::format;

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "irq",
        help: "how often each interrupt line has fired",
        read: |k, _| {
            let lines = k.stats.lines.iter().enumerate().filter(|(_, count)| **count > 0);
            lines.map(|(line, count)| format!("{line}: {count}\n")).collect()
        },
        write: None,
    }
}
