//! `sys:env` — the words of the boot command line, one a line.

use super::Row;
use crate::machine::Machine;
use alloc::format;

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "env",
        help: "words of the boot command line, one a line",
        read: |k, _| {
            k.command_line.split_ascii_whitespace().map(|word| format!("{word}\n")).collect()
        },
        write: None,
    }
}
