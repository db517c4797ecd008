//! `sys:log` — the kernel's log. Writing `level NAME` or `console NAME` sets what is kept and
//! what is shown.

use super::Row;
use crate::error::*;
use crate::log::Level;
use crate::machine::Machine;
use alloc::string::String;
use alloc::vec;

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "log",
        help: "the kernel's log; write `level NAME` or `console NAME`",
        read: |k, _| {
            let (start, end) = (k.log.start(), k.log.end());
            let mut bytes = vec![0; (end - start) as usize];
            let piece = k.log.read(start, &mut bytes);
            bytes.truncate(piece.count);
            String::from_utf8_lossy(&bytes).into_owned()
        },
        write: Some(|k, _, command| {
            let (what, name) = command.split_once(' ').ok_or(Errno(EINVAL))?;
            let level = Level::parse(name).ok_or(Errno(EINVAL))?;
            match what {
                "level" => k.log.level = level,
                "console" => k.log.console_level = level,
                _ => return fail(EINVAL),
            }
            Ok(())
        }),
    }
}
