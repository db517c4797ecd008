//! `sys:mem` — how much memory there is, in bytes. `total` is `used` and `free` together.

use super::{Row, table};
use crate::machine::Machine;
use abi::PAGE_SIZE;

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "mem",
        help: "memory: total, used, free, and what the kernel keeps for itself, in bytes",
        read: |k, _| {
            let counts = k.frames.totals();
            let bytes = |frames: usize| (frames * PAGE_SIZE) as u64;
            table([
                ("total", bytes(counts.total)),
                ("used", bytes(counts.total - counts.free)),
                ("free", bytes(counts.free)),
                ("heap_used", k.machine.heap_used() as u64),
                ("heap_free", k.machine.heap_free() as u64),
            ])
        },
        write: None,
    }
}
