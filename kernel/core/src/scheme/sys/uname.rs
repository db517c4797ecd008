//! `sys:uname` — four lines: system, version, architecture, build. A `checked` build has the
//! kernel's own checks switched on, a `release` one has not.

use super::Row;
use crate::machine::Machine;
use alloc::string::String;

const NAMES: &str = concat!("Lifeboat\n", env!("CARGO_PKG_VERSION"), "\nx86_64\n");
const BUILD: &str = if cfg!(debug_assertions) { "checked\n" } else { "release\n" };

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "uname",
        help: "system, version, architecture, build: a line each",
        read: |_, _| String::from(NAMES) + BUILD,
        write: None,
    }
}
