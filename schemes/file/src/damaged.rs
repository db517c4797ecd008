//! A disk that cannot be trusted: everything on it is an error, and nothing hangs.
//!
//! RedoxFS gives up (panics) over structures that are sealed well and make no sense, which nobody
//! but a malicious hand makes, and could look at them for ever. Then this process starts over as
//! `filed --damaged`: whoever waits gets `ENODEV` at once, whoever comes later `EIO`, and the rest
//! of the system goes on.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// How long opening a file system may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// From here on a panic makes the disk a damaged one.
pub(crate) fn on_panic(scheme: &str) {
    let scheme = scheme.to_owned();
    std::panic::set_hook(Box::new(move |info| {
        eprintln!("filed: {scheme}: the file system is damaged: {info}");
        become_damaged(&scheme);
    }));
}

/// Until what this returns is dropped, time is running: then the disk is a damaged one.
pub(crate) fn on_timeout(scheme: &str) -> Sender<()> {
    let scheme = scheme.to_owned();
    let (done, waits) = channel();
    thread::spawn(move || {
        if waits.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            eprintln!("filed: {scheme}: the file system is damaged: it cannot be opened in time");
            become_damaged(&scheme);
        }
    });
    done
}

fn become_damaged(scheme: &str) {
    let own = std::env::current_exe().unwrap_or_else(|_| "/bin/filed".into());
    let error = Command::new(own).args(["--damaged", "--scheme", scheme]).exec();
    // Ending is the next best: clients get `ENODEV`.
    eprintln!("filed: cannot start over: {error}");
}
