//! `sys:exe` — the path of the program that reads it.

use super::Row;
use crate::machine::Machine;

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "exe",
        help: "path of the program that reads it",
        read: |k, caller| k.processes[caller.process.0].exe.clone(),
        write: None,
    }
}
