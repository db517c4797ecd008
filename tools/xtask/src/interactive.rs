//! `make qemu` — this terminal becomes the guest's.

use crate::machine::{Machine, Serial};
use anyhow::{Context as _, Result};
use std::io::IsTerminal as _;
use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

/// Turns this process into QEMU; comes back only with an error.
pub(crate) fn run(machine: &Machine) -> Result<ExitCode> {
    std::fs::create_dir_all(&machine.logs)?;
    let log = machine.logs.join("qemu.log");
    if std::io::stdin().is_terminal() {
        eprintln!("Lifeboat on this terminal; Ctrl-A X quits, Ctrl-A C is QEMU's monitor.");
    }
    let error = machine.command(Serial::Terminal(&log)).exec();
    Err(error).with_context(|| format!("starting {}", machine.program.display()))
}
