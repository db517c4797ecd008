//! `sys:syscall` — the calls: slot, number, name, arguments, how often each was made.

use super::Row;
use crate::machine::Machine;
use crate::syscall::{ROWS, SLOTS};
use alloc::format;
use alloc::string::String;

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "syscall",
        help: "the calls: slot, number, name, arguments, how often",
        read: |k, _| {
            let mut text = String::from("SLOT NUMBER     NAME             ARGS      CALLS\n");
            for (slot, row) in ROWS.iter().enumerate() {
                let calls = k.stats.calls[slot];
                text += &format!(
                    "{slot:4} {:#010x} {:16} {:4} {calls:10}\n",
                    row.number, row.name, row.count
                );
            }
            text += &format!("   - -          unknown             - {:10}\n", k.stats.calls[SLOTS]);
            text
        },
        write: None,
    }
}
