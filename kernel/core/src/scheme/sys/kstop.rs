//! `sys:kstop` — writing `shutdown`, `reset` or `panic` does it. `emergency_reset`, which programs
//! of Redox write, is `reset`.

use super::Row;
use crate::error::*;
use crate::log::Level;
use crate::machine::{Machine, PowerOff};
use crate::power;
use alloc::string::String;

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "kstop",
        help: "write shutdown, reset or panic to end the system",
        read: |_, _| String::from("shutdown reset panic\n"),
        write: Some(|k, caller, command| {
            let how = match command {
                "shutdown" => PowerOff::Shutdown(power::SUCCESS),
                "reset" | "emergency_reset" => PowerOff::Reset,
                "panic" => panic!("asked for through sys:kstop"),
                _ => return fail(EINVAL),
            };
            let pid = k.processes[caller.process.0].pid;
            k.log(Level::Info, "power", format_args!("{command}, asked for by process {pid}"));
            k.shut_down(how);
            Ok(())
        }),
    }
}
