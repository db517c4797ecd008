//! `sys:mem` — how much memory there is, in bytes. `total` is `used`, `free` and `reserved` together:
//! what is reserved is free too, but only the kernel gets it, to finish what it has begun.

use super::{Row, table};
use crate::machine::Machine;
use abi::PAGE_SIZE;

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "mem",
        help: "memory in bytes: total = used + free + reserved, and the kernel's heap",
        read: |k, _| {
            let counts = k.frames.totals();
            let bytes = |frames: usize| (frames * PAGE_SIZE) as u64;
            table([
                ("total", bytes(counts.total)),
                ("used", bytes(counts.total - counts.free)),
                ("free", bytes(counts.free - k.frames.reserve().min(counts.free))),
                ("reserved", bytes(k.frames.reserve().min(counts.free))),
                ("heap_used", k.machine.heap_used() as u64),
                ("heap_free", k.machine.heap_free() as u64),
            ])
        },
        write: None,
    }
}
