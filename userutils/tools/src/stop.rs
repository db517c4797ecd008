//! `shutdown`, `reboot` — the end of the machine.

use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Tool;
use crate::arguments::{Argument, Arguments};
use crate::failure::Failure;
use crate::source;

pub(crate) const SHUTDOWN: Tool = Tool {
    name: "shutdown",
    help: "\
shutdown - stop all services and switch the machine off

Usage: shutdown [-f]

Options:
  -f          at once: do not wait for services to end
  -h, --help  print this text
  --version   print the version

Examples:
  shutdown

Files:
  sys:kstop

See also: reboot, init
",
    run: |arguments| stop(arguments, Signal::SIGTERM, "shutdown"),
};

pub(crate) const REBOOT: Tool = Tool {
    name: "reboot",
    help: "\
reboot - stop all services and start the machine anew

Usage: reboot [-f]

Options:
  -f          at once: do not wait for services to end
  -h, --help  print this text
  --version   print the version

Examples:
  reboot

Files:
  sys:kstop

See also: shutdown, init
",
    run: |arguments| stop(arguments, Signal::SIGINT, "reset"),
};

/// How often init is asked.
const TRIES: u32 = 10;
/// Between two of them.
const PAUSE: Duration = Duration::from_secs(1);

/// Asks init, which stops the services in order. Repeated, because init may just be about to
/// wait when the first signal comes.
fn stop(arguments: &mut Arguments, signal: Signal, word: &str) -> Result<u8, Failure> {
    let mut now = false;
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Short('f') => now = true,
            other => return Err(other.unexpected()),
        }
    }
    if !now {
        for _ in 0..TRIES {
            kill(Pid::from_raw(1), signal).map_err(|error| Failure::of("init", error.desc()))?;
            sleep(PAUSE);
        }
        eprintln!("{word}: init does not answer; stopping without it");
    }
    source::write("sys", "kstop", word)?;
    Ok(0)
}
