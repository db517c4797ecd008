//! `sys:pressure` — how short memory is: `normal`, `low`, `critical` or `out-of-memory`.

use super::Row;
use crate::machine::Machine;
use crate::scheme::emergency::pressure_text;

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "pressure",
        help: "how short memory is; `emergency:pressure` can be waited for",
        read: |k, _| pressure_text(k),
        write: None,
    }
}
