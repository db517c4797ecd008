//! `sys:boot` — how far booting came, then a line per stage: name, phase, needs, start and
//! duration in nanoseconds, progress.

use super::Row;
use crate::machine::Machine;
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
            text
        },
        write: None,
    }
}
