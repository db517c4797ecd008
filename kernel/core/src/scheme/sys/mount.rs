//! `sys:mount` — where path prefixes lead. Writing `mount PREFIX TARGET` or `unmount PREFIX`
//! changes it for everybody, so a process that may not use every name may not do that.

use super::Row;
use crate::error::*;
use crate::machine::Machine;
use crate::namespace::View;
use alloc::format;

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "mount",
        help: "where path prefixes lead; write `mount PREFIX TARGET` or `unmount PREFIX`",
        read: |k, _| {
            let mounts = k.namespace.mounts();
            let line = |(prefix, target)| match prefix {
                "" => format!("/ {target}\n"),
                prefix => format!("{prefix} {target}\n"),
            };
            mounts.map(line).collect()
        },
        write: Some(|k, caller, command| {
            if k.processes[caller.process.0].view != View::All {
                return fail(EPERM);
            }
            let namespace = &mut k.namespace;
            let words: alloc::vec::Vec<&str> = command.split_ascii_whitespace().collect();
            match words[..] {
                ["mount", prefix, target] => Ok(namespace.mount(prefix, target)?),
                ["unmount", prefix] => Ok(namespace.unmount(prefix)?),
                _ => fail(EINVAL),
            }
        }),
    }
}
