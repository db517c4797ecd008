//! `make qemu` — this terminal becomes the guest's.

use crate::firmware;
use crate::guest::{EXIT_OK, Ending, die_with_us};
use crate::machine::{Display, Machine, Serial};
use crate::{store, window};
use anyhow::{Context as _, Result};
use std::io::IsTerminal as _;
use std::process::ExitCode;

/// The machine, booted by firmware from its disk where that is possible.
fn with_firmware(machine: &Machine) -> Result<Machine> {
    let mut machine = machine.clone();
    if machine.disks.is_empty() {
        return Ok(machine);
    }
    let why_not = match firmware::find()? {
        _ if !machine.append.is_empty() => "a kernel command line was given",
        None => "no UEFI firmware was found (Debian: ovmf, Fedora and Arch: edk2-ovmf)",
        found => {
            machine.firmware = found;
            return Ok(machine);
        }
    };
    eprintln!("QEMU loads the kernel itself: {why_not}.");
    Ok(machine)
}

/// Boots and stays until the guest shuts down or the person quits.
pub(crate) fn run(machine: &Machine) -> Result<ExitCode> {
    std::fs::create_dir_all(&machine.logs)?;
    let log = machine.logs.join("qemu.log");
    if std::io::stdin().is_terminal() {
        eprintln!("Lifeboat on this terminal; Ctrl-A X quits, Ctrl-A C is QEMU's monitor.");
    }
    let mut machine = with_firmware(machine)?;
    if window::is_wanted() {
        machine.display = Display::Window;
    }
    let machine = &machine;
    let store = store::image(machine, "qemu")?;
    let status = die_with_us(machine.command(Serial::Terminal(&log), store.as_deref())?)
        .status()
        .with_context(|| format!("starting {}", machine.program.display()))?;
    match Ending::of(status) {
        // QEMU ends the same way when the person quits it.
        Ending::Code(EXIT_OK) | Ending::Reset => Ok(ExitCode::SUCCESS),
        ending => {
            if machine.display == Display::Window {
                eprintln!("\nIf that was the window's fault: NOGRAPHIC=1 does without.");
            }
            eprintln!("\nlifeboat: {ending}; the console is kept in {}", log.display());
            Ok(ExitCode::FAILURE)
        }
    }
}
