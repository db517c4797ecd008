//! Child processes: starting them, and hearing how they ended.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;
use nix::libc::{self, c_int};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::Pid;

use crate::restart::Ended;

/// A child that ended.
pub(crate) type Death = (Pid, Ended);

/// The last stop signal that came; 0 for none.
static STOP: AtomicI32 = AtomicI32::new(0);

/// How the machine is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// `SIGTERM`: power off.
    Shutdown,
    /// `SIGINT`: start anew.
    Reset,
}

impl Stop {
    /// The word for `sys:kstop`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Stop::Shutdown => "shutdown",
            Stop::Reset => "reset",
        }
    }
}

/// Only stores: everything else happens in the loop that asks [`stop_asked`].
extern "C" fn on_stop(signal: c_int) {
    STOP.store(signal, Ordering::Relaxed);
}

/// From here on `SIGTERM` and `SIGINT` ask for a stop instead of ending init. A signal that
/// comes between a look at [`stop_asked`] and [`wait_any`] is seen only when the next child
/// ends, which is why `shutdown` and `reboot` repeat theirs.
pub(crate) fn watch_stop_signals() -> nix::Result<()> {
    // No SA_RESTART: the wait must end, so that the loop looks.
    let action = SigAction::new(SigHandler::Handler(on_stop), SaFlags::empty(), SigSet::empty());
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        // SAFETY: the handler does nothing but one atomic store, which is async-signal-safe.
        unsafe { sigaction(signal, &action)? };
    }
    Ok(())
}

/// Whether somebody asked for a stop.
pub(crate) fn stop_asked() -> Option<Stop> {
    match STOP.load(Ordering::Relaxed) {
        0 => None,
        signal if signal == Signal::SIGINT as i32 => Some(Stop::Reset),
        _ => Some(Stop::Shutdown),
    }
}

/// Parks until a child ends. `None` after a signal.
pub(crate) fn wait_any() -> nix::Result<Option<Death>> {
    wait(0)
}

/// A child that has ended already, if any.
pub(crate) fn reap_one() -> Option<Death> {
    wait(libc::WNOHANG).ok().flatten()
}

/// Not by nix's own function: an emergency ends processes by a signal that nix has no name for, and
/// would tell of as an error without saying whose.
fn wait(flags: c_int) -> nix::Result<Option<Death>> {
    let mut status = 0;
    // SAFETY: the status is ours to write to.
    match Errno::result(unsafe { libc::waitpid(-1, &raw mut status, flags) }) {
        Ok(0) | Err(Errno::EINTR) => Ok(None),
        Ok(pid) => Ok(Ended::from_status(status).map(|ended| (Pid::from_raw(pid), ended))),
        Err(error) => Err(error),
    }
}

/// What a child has as its first three descriptors.
pub(crate) struct Streams {
    /// Descriptor 0.
    pub(crate) input: Stdio,
    /// Descriptor 1.
    pub(crate) output: Stdio,
    /// Descriptor 2.
    pub(crate) error: Stdio,
}

impl Streams {
    /// A daemon's: init's own. `null:` is itself a daemon's, so there may be none yet.
    pub(crate) fn daemon() -> Self {
        Self { input: Stdio::inherit(), output: Stdio::inherit(), error: Stdio::inherit() }
    }

    /// All three on one file.
    pub(crate) fn on(file: File) -> io::Result<Self> {
        let (input, output) = (file.try_clone()?.into(), file.try_clone()?.into());
        Ok(Self { input, output, error: file.into() })
    }
}

/// Starts a program as the leader of a session of its own.
pub(crate) fn start(
    program: &str,
    args: &[String],
    environment: &BTreeMap<String, String>,
    streams: Streams,
) -> io::Result<Pid> {
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(environment);
    command.stdin(streams.input).stdout(streams.output).stderr(streams.error);
    // SAFETY: between fork and exec runs only setsid, one system call that touches no memory.
    unsafe { command.pre_exec(|| nix::unistd::setsid().map(drop).map_err(io::Error::from)) };
    // Dropping the `Child` neither kills nor waits; all waiting is `wait_any`'s.
    command.spawn().map(|child| Pid::from_raw(child.id() as i32))
}
