//! `make bench` — instruction counts, exact, beside Linux and Redox.
//!
//! Runs the guest's `bench` program on a machine that counts instructions, twice: a difference
//! between the two runs means that something unrepeatable is in the system, and is an error. So is
//! a row above its limit, and a machine whose calibration is off.

mod measured;
mod table;

use crate::disk::FreshDisk;
use crate::exec::{self, Outcome};
use crate::firmware;
use crate::machine::{Accelerator, Display, Machine};
use anyhow::{Context as _, Result, bail};
use measured::Measured;
use std::process::ExitCode;
use std::time::Duration;
use table::Table;

const GOALS: &str = "tests/bench/goals.toml";
const REFERENCE: &str = "tests/bench/reference.json";
/// A full suite is a few thousand million instructions, a minute or so.
const LIMIT: Duration = Duration::from_secs(590);

/// Measures, prints, judges.
pub(crate) fn run(machine: &Machine) -> Result<ExitCode> {
    let machine =
        Machine { accelerator: Accelerator::Counted, cpus: 1, memory_mib: 512, ..machine.clone() };
    let (first, second) = std::thread::scope(|scope| {
        let second = scope.spawn(|| measure(&machine, "bench-again"));
        (measure(&machine, "bench"), second.join().expect("measuring does not panic"))
    });
    let (first, second) = (first?, second?);
    print!("{first}");
    let mut measured = Measured::parse(&first)?;
    let mut complaints = measured.calibration_faults();
    if let Err(error) = emergencies(&machine, &mut measured) {
        complaints.push(format!("the emergency was not measured: {error:#}"));
    }
    if let Err(error) = full_boot(&machine, &mut measured) {
        complaints.push(format!("the boot of the disk was not measured: {error:#}"));
    }
    if let Some(difference) = first_difference(&first, &second) {
        complaints.push(format!("two runs differ: {difference}"));
    }
    let table = Table::read(GOALS.as_ref(), REFERENCE.as_ref())?;
    println!("\n{}", table.render(&measured));
    complaints.extend(table.over_limit(&measured));
    for complaint in &complaints {
        eprintln!("bench: {complaint}");
    }
    Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn measure(machine: &Machine, name: &str) -> Result<String> {
    output_of(machine, "bench", name)
}

/// The boot of the full disk image by firmware, from the loader's first instruction to the first
/// command. What firmware executes while it waits for the disk depends on the host, so two runs
/// differ by some millions.
fn full_boot(machine: &Machine, measured: &mut Measured) -> Result<()> {
    let firmware = firmware::find()?.context("no UEFI firmware here: install OVMF")?;
    let disk = FreshDisk::new(machine, "bench-boot")?;
    let machine = Machine {
        firmware: Some(firmware),
        disks: vec![disk.file().to_owned()],
        display: Display::Hidden,
        ..machine.clone()
    };
    let output = output_of(&machine, "bench boot", "bench-boot")?;
    measured.add_boot(&output)
}

/// Emergencies that send some ten thousand pages to a store in memory and back, readable and
/// enciphered, and the picker on a small and on a large machine. A tick is an instruction and a
/// nanosecond there.
fn emergencies(machine: &Machine, measured: &mut Measured) -> Result<()> {
    const TEST: &str = "emerg test >/dev/null; cat emergency:log";
    const FILLED: &str = "sleep 60 | /bin/demo/document 1 48 >/dev/null & sleep 20; ";
    let filled = format!("{FILLED}{TEST}");
    for (secrecy, suffix) in [("off", ""), ("encrypt", "_secret")] {
        let machine = machine.with(format!("emergency.store=ram:300 emergency.secrecy={secrecy}"));
        measured.add_emergency(&output_of(&machine, &filled, "bench-emergency")?, suffix)?;
    }
    for (memory_mib, suffix) in [(256, "_256m"), (4096, "_4g")] {
        let machine = Machine { memory_mib, ..machine.clone() };
        measured.add_picker(&output_of(&machine, TEST, "bench-picker")?, suffix)?;
    }
    Ok(())
}

fn output_of(machine: &Machine, command: &str, name: &str) -> Result<String> {
    let mut output = Vec::new();
    match exec::run(machine, command, LIMIT, name, &mut output)? {
        Outcome::Status(0) => String::from_utf8(output).context("it printed something else"),
        Outcome::Status(status) => {
            bail!("{command} ended with {status}:\n{}", String::from_utf8_lossy(&output))
        }
        Outcome::Failed(report) => bail!(report),
    }
}

fn first_difference(first: &str, second: &str) -> Option<String> {
    if first == second {
        return None;
    }
    let mut pairs = first.lines().zip(second.lines());
    let pair = pairs.find(|(one, other)| one != other);
    Some(pair.map_or("one is longer".into(), |(one, other)| format!("\n  {one}\n  {other}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_must_be_equal() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n").as_deref(), Some("\n  b\n  c"));
        assert!(first_difference("a\n", "a\nb\n").is_some());
    }
}
