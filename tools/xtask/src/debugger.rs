//! A GDB on the host that debugs a program inside Lifeboat, for stories.
//!
//! It is started when `gdbserver` says that it waits, and reaches it through the guest's second
//! serial port, which ends in a socket in the folder for logs. Or it reads a core file, when the
//! guest has ended: what the guest wrote to that port.

use crate::machine::Machine;
use crate::story::Gdb;
use anyhow::{Context as _, Result};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What gdbserver says when it is there.
const READY: &[u8] = b"waiting for GDB";
/// What every GDB is told first. It must not ask, and wait for a busy host.
const BEGINNING: &str = "set pagination off\nset confirm off\nset remotetimeout 60\n";
/// How long GDB may need after the guest has ended.
const PATIENCE: Duration = Duration::from_secs(20);

/// Keeps what the guest prints, and starts GDB when it is time.
pub(crate) struct Debugger<'a> {
    gdb: Option<&'a Gdb>,
    /// The socket, or the core file.
    line: PathBuf,
    /// GDB's commands, and what it prints.
    script: PathBuf,
    log: PathBuf,
    child: Option<Child>,
    /// What the guest has printed.
    pub(crate) output: Vec<u8>,
}

impl<'a> Debugger<'a> {
    /// Gives `machine` the line that `gdb`, if there is one, comes by.
    pub(crate) fn new(gdb: Option<&'a Gdb>, machine: &mut Machine, name: &str) -> Self {
        let file = |ending: &str| machine.logs.join(format!("{name}.{ending}"));
        let (line, script, log) = (file("line"), file("gdb"), file("gdb.txt"));
        if let Some(gdb) = gdb {
            let path = line.display();
            machine.debug_line = Some(match gdb.reads_core {
                true => format!("file:{path}"),
                false => format!("unix:{path},server=on,wait=off"),
            });
        }
        Self { gdb, line, script, log, child: None, output: Vec::new() }
    }

    fn start(&mut self, gdb: &Gdb) -> Result<()> {
        let target = if gdb.reads_core { "core-file" } else { "target remote" };
        let target = format!("{target} {}\n", self.line.display());
        std::fs::write(&self.script, format!("{BEGINNING}{target}{}", gdb.commands))?;
        let log = File::create(&self.log)?;
        let mut command = Command::new("gdb");
        command.args(["-nx", "-batch", "-x"]).arg(&self.script).arg(Path::new(&gdb.symbols));
        command.stdin(Stdio::null()).stderr(log.try_clone()?).stdout(log);
        self.child = Some(command.spawn().context("starting gdb; `make setup-gdb` installs it")?);
        Ok(())
    }

    /// Waits for GDB and returns what it printed.
    pub(crate) fn finish(&mut self) -> Result<String> {
        if let Some(gdb) = self.gdb.filter(|gdb| gdb.reads_core) {
            self.start(gdb)?;
        }
        let Some(child) = &mut self.child else { return Ok(String::new()) };
        let deadline = Instant::now() + PATIENCE;
        while child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                child.kill()?;
                child.wait()?;
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let text = std::fs::read(&self.log)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

impl Write for Debugger<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        let is_ready = self.output.windows(READY.len()).any(|window| window == READY);
        if let Some(gdb) = self.gdb.filter(|gdb| !gdb.reads_core)
            && self.child.is_none()
            && is_ready
        {
            self.start(gdb).map_err(io::Error::other)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Debugger<'_> {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // Both fail only for a child that is gone already.
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }
}
