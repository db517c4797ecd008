//! `sys:help` — what the other files are.

use super::{Row, Rows};
use crate::machine::Machine;
use alloc::format;

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "help",
        help: "what the files of sys: are",
        read: |_, _| {
            let rows = Rows::<M>::ALL.iter();
            rows.map(|row| format!("{:10} {}\n", row.name, row.help)).collect()
        },
        write: None,
    }
}
