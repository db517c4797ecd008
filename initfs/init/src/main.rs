//! `init` — process 1: starts the services, mounts, keeps a shell, reaps orphans, stops.
//!
//! Reads `/etc/init.toml` ([`manifest`]). With `exec=` on the boot command line it runs that
//! one command instead of the shell and stops the machine. It never ends by itself, and it
//! never gives up on the shell because something else failed.

mod manifest;
mod order;
mod process;
mod report;
mod restart;
mod session;
mod supervisor;
mod sys;

use std::fs;
use std::io::Write;
use std::process::ExitCode;

use manifest::{Manifest, Mount};
use process::Stop;
use report::Report;
use supervisor::Supervisor;

const MANIFEST: &str = "/etc/init.toml";
const HELP: &str = "\
init - process 1: starts the services and the shell

Usage: init                 (by the kernel, as process 1)
       init --check FILE    check a manifest and print the starting order

Options:
  --check FILE   read FILE instead of /etc/init.toml, start nothing
  -h, --help     print this text
  --version      print the version

Examples:
  init --check /etc/init.toml

Files:
  /etc/init.toml   services and mounts
  sys:env          the boot command line; exec=HEX runs one command and stops the machine,
                   rescue starts only the services that a shell on the console needs
  sys:kstop        where the machine is stopped

See also: sh, shutdown, mount
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] if std::process::id() == 1 => boot(),
        ["-h" | "--help"] => print(HELP),
        ["--version"] => print(concat!("init ", env!("CARGO_PKG_VERSION"), "\n")),
        ["--check", file] => check(file),
        [] => usage("only the kernel starts init, as process 1"),
        _ => usage("unknown arguments"),
    }
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn usage(problem: &str) -> ExitCode {
    eprintln!("init: {problem}; try `init --help`");
    ExitCode::from(2)
}

fn check(file: &str) -> ExitCode {
    let order = load(file).and_then(|manifest| {
        let supervisor = Supervisor::new(&manifest).map_err(|error| format!("{file}: {error}"))?;
        Ok(supervisor.names().map(|name| format!("{name}\n")).collect::<String>())
    });
    match order {
        Ok(names) => print(&names),
        Err(error) => {
            eprintln!("init: {error}");
            ExitCode::FAILURE
        }
    }
}

fn load(file: &str) -> Result<Manifest, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    Manifest::parse(&text).map_err(|error| format!("{file}: {error}"))
}

/// Everything process 1 does. A broken manifest costs the services, not the shell.
fn boot() -> ! {
    let mut report = Report::default();
    if let Err(error) = process::watch_stop_signals() {
        report.say(format_args!("cannot catch SIGTERM: {error}"));
    }
    let boot = fs::read_to_string("/scheme/sys/env").unwrap_or_else(|error| {
        report.say(format_args!("sys:env: {error}"));
        String::new()
    });
    let mut manifest = load(MANIFEST).unwrap_or_else(|error| {
        report.say(error);
        Manifest::default()
    });
    if sys::has_boot_word(&boot, "rescue") {
        report.say("rescue: only what a shell on the console needs is started");
        manifest = manifest.for_rescue();
    }
    let mut services = Supervisor::new(&manifest).unwrap_or_else(|error| {
        report.say(format_args!("{MANIFEST}: {error}; no service is started"));
        Supervisor::none(&manifest)
    });
    services.start_all(&mut report);
    for mount in &manifest.mounts {
        apply(mount, &mut report);
    }
    serve(&boot, &manifest, &mut services, &mut report);
    services.stop_all(&mut report);
    stop_machine(process::stop_asked().unwrap_or(Stop::Shutdown), &mut report)
}

/// The one command or the shell, until it is time to stop.
fn serve(boot: &str, manifest: &Manifest, services: &mut Supervisor, report: &mut Report) {
    let environment = manifest.environment();
    match sys::boot_value(boot, "exec").map(sys::decode_command) {
        None => session::interactive(&environment, services, report),
        Some(Ok(command)) => {
            if let Err(error) = session::one_command(&command, &environment, services, report) {
                report.say(format_args!("debug: {error}"));
            }
        }
        // The host waits for a command's end; stopping now tells it sooner than its time limit.
        Some(Err(error)) => report.say(error),
    }
}

fn apply(mount: &Mount, report: &mut Report) {
    let Mount { at, target, optional } = mount;
    let is_no_device = |error: std::io::Error| error.raw_os_error() == Some(nix::libc::ENODEV);
    if *optional && fs::metadata(target).is_err_and(is_no_device) {
        return;
    }
    if let Err(error) = fs::write("/scheme/sys/mount", format!("mount {at} {target}")) {
        report.say(format_args!("cannot mount {target} at {at}: {error}"));
    }
}

/// Stops the machine, and stays if the kernel refuses.
fn stop_machine(how: Stop, report: &mut Report) -> ! {
    let Err(error) = fs::write("/scheme/sys/kstop", how.word()) else { park() };
    report.say(format_args!("sys:kstop: {error}"));
    park()
}

/// Process 1 must not end.
fn park() -> ! {
    loop {
        std::thread::sleep(std::time::Duration::from_secs(3600));
    }
}
