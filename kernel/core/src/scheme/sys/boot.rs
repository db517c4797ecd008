//! `sys:boot` — how far booting came, then a line per stage: name, phase, needs, start and
//! duration in nanoseconds, progress; then what it took from the kernel's first instruction to the
//! first one of user code, in ticks of the time-stamp counter. A loader that says when it ran is a
//! stage, and has lines for the ticks that it worked, and waited for a key.

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
            text += &format!("entered_ticks: {}\nfirst_user_ticks: {took}\n", k.machine.entered());
            if let Some(loader) = k.machine.loader() {
                text += &format!("loader_ticks: {}\n", loader.worked);
                text += &format!("loader_waited_ticks: {}\n", loader.waited);
            }
            text
        },
        write: None,
    }
}
