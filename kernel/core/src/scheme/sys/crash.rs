//! `sys:core` — where core files of crashed processes go, in the words of whoever writes them.
//! Writing sets it; `off`, or nothing, keeps no process.

use super::Row;
use crate::machine::Machine;

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "core",
        help: "where crashed processes are written down; write a pattern, or `off`",
        read: |k, _| match k.crashes.pattern.as_str() {
            "" => "off\n".into(),
            pattern => alloc::format!("{pattern}\n"),
        },
        write: Some(|k, _, command| {
            k.crashes.pattern = if command == "off" { "" } else { command }.into();
            Ok(())
        }),
    }
}
