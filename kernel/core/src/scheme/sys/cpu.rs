//! `sys:cpu` — how many CPUs there are, and of what kind.

use super::Row;
use crate::machine::{CpuId, Machine};
use alloc::format;

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "cpu",
        help: "number and kind of the CPUs",
        read: |k, _| {
            let facts = k.machine.cpu_facts(CpuId(0));
            format!(
                "CPUs: {}\nVendor: {}\nModel: {}\nMHz: {}\nFeatures: {}\n",
                k.machine.cpu_count(),
                facts.vendor,
                facts.model,
                facts.ticks_per_second / 1_000_000,
                facts.features,
            )
        },
        write: None,
    }
}
