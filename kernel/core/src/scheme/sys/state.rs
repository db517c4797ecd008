//! `sys:state` — name and number of what the kernel as a whole is doing. Writing a name asks for
//! that state; only legal changes that a person may ask for are obeyed.

use super::Row;
use crate::boot::KernelState;
use crate::error::*;
use crate::machine::{Machine, PowerOff};
use crate::power;
use alloc::format;

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "state",
        help: "what the kernel is doing; write ShuttingDown to end",
        read: |k, _| format!("{}\n", k.state),
        write: Some(|k, _, wanted| {
            let is_wanted = |state: &&KernelState| format!("{state:?}") == wanted;
            let to = *KernelState::ALL.iter().find(is_wanted).ok_or(Errno(EINVAL))?;
            match to {
                KernelState::ShuttingDown if k.state.may_become(to) => {
                    k.shut_down(PowerOff::Shutdown(power::SUCCESS));
                    Ok(())
                }
                _ => fail(EINVAL),
            }
        }),
    }
}
