//! `sys:uname` — four lines: system, version, architecture, build.

use super::Row;
use crate::machine::Machine;
use alloc::string::String;

const TEXT: &str =
    concat!("Lifeboat\n", env!("CARGO_PKG_VERSION"), "\nx86_64\n", env!("CARGO_PKG_NAME"), "\n");

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "uname",
        help: "system, version, architecture, build: a line each",
        read: |_, _| String::from(TEXT),
        write: None,
    }
}
