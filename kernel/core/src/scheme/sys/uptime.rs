//! `sys:uptime` — seconds since boot.

use super::Row;
use crate::machine::Machine;
use alloc::format;

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "uptime",
        help: "seconds since boot",
        read: |k, _| {
            let millis = k.now() / 1_000_000;
            format!("{}.{:03}\n", millis / 1000, millis % 1000)
        },
        write: None,
    }
}
