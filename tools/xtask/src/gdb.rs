//! `make gdb` — the machine stopped at its first instruction, and GDB attached to it.
//!
//! GDB has this terminal; the guest's serial port goes to `build/logs/gdb.log`. Leaving GDB ends
//! the machine.

use crate::machine::{Machine, Serial};
use anyhow::{Context as _, Result, bail};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// What GDB reads before the person: how to find symbols, and commands of our own.
const SCRIPT: &str = "tools/gdb/lifeboat.gdb";

/// Starts both and waits for GDB.
pub(crate) fn run(machine: &Machine) -> Result<ExitCode> {
    std::fs::create_dir_all(&machine.logs)?;
    let log = machine.logs.join("gdb.log");
    let socket = machine.logs.join("gdb.socket");
    let _stale = std::fs::remove_file(&socket);
    let _qemu = start_stopped(machine, &log, &socket)?;
    eprintln!("The guest's serial port: tail -f {}", log.display());
    let status = Command::new("gdb")
        .arg("-q")
        .arg("-x")
        .arg(SCRIPT)
        .arg("-ex")
        .arg(format!("target remote {}", socket.display()))
        .arg(&machine.kernel)
        .status()
        .context("starting gdb")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Has GDB do `commands` to a machine that is stopped at its first instruction, and returns what it
/// prints. The guest runs `true` and shuts down, if it is let go.
pub(crate) fn ask(
    machine: &Machine,
    commands: &str,
    limit: Duration,
    name: &str,
) -> Result<String> {
    std::fs::create_dir_all(&machine.logs)?;
    let file = |ending: &str| machine.logs.join(format!("{name}.{ending}"));
    let (socket, script, heard) = (file("socket"), file("gdb"), file("gdb.txt"));
    let _stale = std::fs::remove_file(&socket);
    let machine = machine.with("quiet").with("exec=74727565");
    let _qemu = start_stopped(&machine, &file("log"), &socket)?;
    let target = format!("target remote {}\n", socket.display());
    std::fs::write(&script, format!("source {SCRIPT}\n{target}{commands}"))?;
    let out = std::fs::File::create(&heard)?;
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch", "-x"]).arg(&script).arg(&machine.kernel).stdin(Stdio::null());
    let mut gdb =
        Stopped(gdb.stderr(out.try_clone()?).stdout(out).spawn().context("starting gdb")?);
    let deadline = Instant::now() + limit;
    while gdb.0.try_wait()?.is_none() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(gdb);
    Ok(String::from_utf8_lossy(&std::fs::read(&heard)?).into_owned())
}

/// A program that ends with us.
struct Stopped(Child);

impl Drop for Stopped {
    fn drop(&mut self) {
        // Both fail only for a child that is gone already.
        let _gone = self.0.kill();
        let _gone = self.0.wait();
    }
}

fn start_stopped(machine: &Machine, log: &Path, socket: &Path) -> Result<Stopped> {
    let mut command = machine.command(Serial::File(log), None)?;
    let chardev = format!("socket,id=gdb,path={},server=on,wait=off", socket.display());
    command.args(["-S", "-chardev", &chardev, "-gdb", "chardev:gdb"]);
    // A group of its own: Ctrl-C in GDB interrupts the guest, and must not end QEMU.
    command.stdin(Stdio::null()).process_group(0);
    let child =
        command.spawn().with_context(|| format!("starting {}", machine.program.display()))?;
    let mut qemu = Stopped(child);
    let deadline = Instant::now() + Duration::from_secs(10);
    while !socket.exists() {
        if let Some(status) = qemu.0.try_wait()? {
            bail!("QEMU ended with {status}");
        }
        if Instant::now() > deadline {
            bail!("QEMU does not answer at {}", socket.display());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(qemu)
}
