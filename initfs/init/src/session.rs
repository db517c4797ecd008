//! What the machine runs for its person: the shell on `console:`, or one command (`exec=`).

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use crate::process::{self, Streams};
use crate::report::Report;
use crate::supervisor::{Supervisor, stop, wait_for};

const SHELL: &str = "/bin/sh";
const CONSOLE: &str = "/scheme/console";
/// The serial line itself: no console in between, so every byte arrives as it was written.
const SERIAL: &str = "/scheme/debug";
const CONSOLE_SCHEME: &str = "console";
/// How long a console that is being started again may take, and how often to look for it.
const CONSOLE_PATIENCE: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(5);
/// A shell that ends or fails faster than this is not started again at once.
const QUICK: Duration = Duration::from_secs(1);

/// Keeps a shell on the console until a stop is asked for.
pub(crate) fn interactive(
    environment: &BTreeMap<String, String>,
    services: &mut Supervisor,
    report: &mut Report,
) {
    while process::stop_asked().is_none() {
        let started = Instant::now();
        let patience =
            if services.gives(CONSOLE_SCHEME) { CONSOLE_PATIENCE } else { Duration::ZERO };
        match start_shell(environment, patience, report) {
            Ok(pid) => match wait_for(pid, services, report) {
                Some(how) => report.say(format_args!("the shell {how}; starting a new one")),
                None => {
                    stop(pid);
                }
            },
            Err(error) => report.say(format_args!("cannot start {SHELL}: {error}")),
        }
        if started.elapsed() < QUICK && process::stop_asked().is_none() {
            std::thread::sleep(QUICK);
        }
    }
}

/// The shell takes the terminal itself; without a console it gets the bare serial line.
fn start_shell(
    environment: &BTreeMap<String, String>,
    patience: Duration,
    report: &mut Report,
) -> io::Result<Pid> {
    let open = |path| OpenOptions::new().read(true).write(true).open(path);
    let deadline = Instant::now() + patience;
    let mut terminal = open(CONSOLE);
    while terminal.is_err() && Instant::now() < deadline {
        std::thread::sleep(LOOK);
        terminal = open(CONSOLE);
    }
    let terminal = terminal.or_else(|error| {
        report.say(format_args!("{CONSOLE}: {error}; the shell runs on {SERIAL}"));
        open(SERIAL)
    })?;
    process::start(SHELL, &[], environment, Streams::on(terminal)?)
}

/// Runs one command line with its output on the serial line, between two marks that the host
/// looks for. `status` is what a shell would show in `$?`.
pub(crate) fn one_command(
    command: &str,
    environment: &BTreeMap<String, String>,
    services: &mut Supervisor,
    report: &mut Report,
) -> io::Result<()> {
    let mut serial = OpenOptions::new().write(true).open(SERIAL)?;
    report.hold();
    serial.write_all(b"@@BEGIN\n")?;
    let status = run(command, &serial, environment, services, report);
    serial.write_all(format!("\n@@END {status}\n").as_bytes())?;
    report.release();
    Ok(())
}

fn run(
    command: &str,
    serial: &File,
    environment: &BTreeMap<String, String>,
    services: &mut Supervisor,
    report: &mut Report,
) -> i32 {
    let args = ["-c".to_owned(), command.to_owned()];
    let streams = serial.try_clone().and_then(|output| {
        Ok(Streams {
            input: Stdio::null(),
            output: output.into(),
            error: serial.try_clone()?.into(),
        })
    });
    match streams.and_then(|streams| process::start(SHELL, &args, environment, streams)) {
        Ok(pid) => match wait_for(pid, services, report) {
            Some(how) => how.shell_status(),
            // The command asked for the stop itself (`shutdown`), or somebody else did: either
            // way it ends here, as a shell tells an end by SIGTERM.
            None => {
                stop(pid);
                143
            }
        },
        Err(error) => {
            report.say(format_args!("cannot start {SHELL}: {error}"));
            if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 }
        }
    }
}
