//! Signals have other numbers in GDB's protocol.

use abi::signal::*;
use gdbstub::common::Signal;

/// Ours, and GDB's.
const PAIRS: &[(usize, Signal)] = &[
    (SIGHUP, Signal::SIGHUP),
    (SIGINT, Signal::SIGINT),
    (SIGQUIT, Signal::SIGQUIT),
    (SIGILL, Signal::SIGILL),
    (SIGTRAP, Signal::SIGTRAP),
    (SIGABRT, Signal::SIGABRT),
    (SIGBUS, Signal::SIGBUS),
    (SIGFPE, Signal::SIGFPE),
    (SIGKILL, Signal::SIGKILL),
    (SIGUSR1, Signal::SIGUSR1),
    (SIGSEGV, Signal::SIGSEGV),
    (SIGUSR2, Signal::SIGUSR2),
    (SIGPIPE, Signal::SIGPIPE),
    (SIGALRM, Signal::SIGALRM),
    (SIGTERM, Signal::SIGTERM),
    (SIGCHLD, Signal::SIGCHLD),
    (SIGCONT, Signal::SIGCONT),
    (SIGSTOP, Signal::SIGSTOP),
    (SIGTSTP, Signal::SIGTSTP),
    (SIGTTIN, Signal::SIGTTIN),
    (SIGTTOU, Signal::SIGTTOU),
    (SIGURG, Signal::SIGURG),
    (SIGXCPU, Signal::SIGXCPU),
    (SIGXFSZ, Signal::SIGXFSZ),
    (SIGVTALRM, Signal::SIGVTALRM),
    (SIGPROF, Signal::SIGPROF),
    (SIGWINCH, Signal::SIGWINCH),
    (SIGIO, Signal::SIGIO),
    (SIGPWR, Signal::SIGPWR),
    (SIGSYS, Signal::SIGSYS),
];

/// GDB's number.
pub(crate) fn to_gdb(signal: usize) -> Signal {
    let pair = PAIRS.iter().find(|(ours, _)| *ours == signal);
    pair.map_or(Signal::SIGTRAP, |(_, theirs)| *theirs)
}

/// Ours; 0 for one that we do not have.
pub(crate) fn from_gdb(signal: Signal) -> usize {
    PAIRS.iter().find(|(_, theirs)| *theirs == signal).map_or(0, |(ours, _)| *ours)
}
