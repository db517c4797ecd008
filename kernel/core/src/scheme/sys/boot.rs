//! `sys:boot` — how far booting came, then a line per stage: name, phase, needs, start and
//! duration in nanoseconds, progress; then what it took from the kernel's first instruction to the
//! first one of user code, in ticks of the time-stamp counter.

use super::Row;
use crate::machine::Machine;
use alloc::format;
use alloc::string::String;

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "boot",
        help: "how far booting came; each stage with start and duration in ns",
        read: |k, _| {
            let mut text = String::new();
            if let Some(pipeline) = &k.pipeline {
                // A String takes everything.
                let _ = pipeline.render(|ticks| k.machine.nanoseconds(ticks), &mut text);
            }
            let took = k.stats.first_user.saturating_sub(k.machine.entered());
            text += &format!("first_user_ticks: {took}\n");
            text
        },
        write: None,
    }
}
