//! Processes, descriptors and signals: the few calls std has no safe way for.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid};

/// Descriptors the shell keeps for itself start here, out of the way of scripts.
const OWN_DESCRIPTORS: RawFd = 10;

/// `SIGINT` came and nobody has looked yet.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// An emergency ends processes by a signal that nix has no name for, and tells of as `EINVAL`: there
/// is no other reason for one here.
const BY_NAMELESS_SIGNAL: Ended = Ended::Exited(128 + 99);

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Signalled(Signal),
}

impl Ended {
    /// What `$?` shows.
    pub fn status(self) -> i32 {
        match self {
            Ended::Exited(status) => status,
            Ended::Signalled(signal) => 128 + signal as i32,
        }
    }

    fn from_wait(status: WaitStatus) -> Option<Self> {
        match status {
            WaitStatus::Exited(_, status) => Some(Ended::Exited(status)),
            WaitStatus::Signaled(_, signal, _) => Some(Ended::Signalled(signal)),
            _ => None,
        }
    }
}

/// Splits the process in two; `None` in the child.
pub fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the shell has one thread, so the child has everything the parent had and may go on
    // as the parent could.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(Some(child)),
        ForkResult::Child => Ok(None),
    }
}

/// Ends a child of [`fork`] without running what the parent registered for its own end.
pub fn exit_child(status: i32) -> ! {
    // Everything the shell writes is flushed at once, so nothing is lost.
    // SAFETY: ends the process; no memory is touched.
    unsafe { libc::_exit(status) }
}

/// Time in own code and in the kernel, of the shell and of all children that it has waited for.
pub fn used() -> [Duration; 2] {
    let mut all = [Duration::ZERO; 2];
    for who in [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN] {
        // SAFETY: all zero is a valid one, and the place is ours.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::getrusage(who, &mut usage);
            usage
        };
        for (sum, time) in all.iter_mut().zip([usage.ru_utime, usage.ru_stime]) {
            let microseconds = Duration::from_micros(time.tv_usec as u64);
            *sum += Duration::from_secs(time.tv_sec as u64) + microseconds;
        }
    }
    all
}

/// What a wait for a child came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// It has ended.
    Ended(Ended),
    /// This signal has stopped it.
    Stopped(Signal),
    /// `SIGINT` came first.
    Interrupted,
}

/// Parks until a child ends, or stops if that is of interest.
pub fn wait(pid: Pid, sees_stops: bool) -> io::Result<Waited> {
    let flags = sees_stops.then_some(WaitPidFlag::WUNTRACED);
    loop {
        match waitpid(pid, flags) {
            Ok(WaitStatus::Stopped(_, signal)) => return Ok(Waited::Stopped(signal)),
            Ok(status) => match Ended::from_wait(status) {
                Some(ended) => return Ok(Waited::Ended(ended)),
                None => continue,
            },
            Err(Errno::EINTR) if is_interrupted() => return Ok(Waited::Interrupted),
            Err(Errno::EINTR) => {}
            Err(Errno::EINVAL) => return Ok(Waited::Ended(BY_NAMELESS_SIGNAL)),
            Err(error) => return Err(error.into()),
        }
    }
}

/// What a child did since somebody looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Nothing.
    None,
    /// It ended.
    Ended(Ended),
    /// It stopped.
    Stopped,
    /// It goes on.
    Continued,
}

/// Looks after a child without waiting.
pub fn poll(pid: Pid) -> News {
    let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED | WaitPidFlag::WCONTINUED;
    match waitpid(pid, Some(flags)) {
        Ok(WaitStatus::Stopped(..)) => News::Stopped,
        Ok(WaitStatus::Continued(_)) => News::Continued,
        Ok(status) => Ended::from_wait(status).map_or(News::None, News::Ended),
        Err(Errno::EINVAL) => News::Ended(BY_NAMELESS_SIGNAL),
        // Not our child any more: its status is lost.
        Err(_) => News::Ended(Ended::Exited(127)),
    }
}

/// Makes `SIGINT` only leave a note, and ignores what must not end an interactive shell.
pub fn prepare_interactive() -> io::Result<()> {
    let note = SigHandler::Handler(note_interrupt);
    // No SA_RESTART: what the shell waits for must end, so that it looks at the note.
    let note = SigAction::new(note, SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing but one atomic store, which is async-signal-safe.
    unsafe { sigaction(Signal::SIGINT, &note) }?;
    for signal in
        [Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU]
    {
        dispose(signal, SigHandler::SigIgn)?;
    }
    Ok(())
}

extern "C" fn note_interrupt(_signal: libc::c_int) {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Whether `SIGINT` came since the last [`clear_interrupt`].
pub fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Forgets that `SIGINT` came.
pub fn clear_interrupt() {
    INTERRUPTED.store(false, Ordering::Relaxed);
}

/// In a child: signals act as programs expect.
pub fn default_signals() -> io::Result<()> {
    for signal in [
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
        Signal::SIGTSTP,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
    ] {
        dispose(signal, SigHandler::SigDfl)?;
    }
    Ok(())
}

/// In a background child without a group of its own: Ctrl-C is not for it.
pub fn ignore_keyboard() -> io::Result<()> {
    dispose(Signal::SIGINT, SigHandler::SigIgn)?;
    dispose(Signal::SIGQUIT, SigHandler::SigIgn)
}

fn dispose(signal: Signal, handler: SigHandler) -> io::Result<()> {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler is "default" or "ignore", no function of this program.
    unsafe { sigaction(signal, &action) }?;
    Ok(())
}

/// A copy of a descriptor, at 10 or above and closed on exec.
pub fn keep_copy(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: `fcntl` with F_DUPFD touches no memory, whatever the descriptor is.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD, OWN_DESCRIPTORS) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just made `copy`, so nobody else owns it.
    let copy = unsafe { OwnedFd::from_raw_fd(copy) };
    set_close_on_exec(copy.as_raw_fd(), true)?;
    Ok(copy)
}

fn set_close_on_exec(fd: RawFd, close: bool) -> io::Result<()> {
    let flags = if close { libc::FD_CLOEXEC } else { 0 };
    // SAFETY: `fcntl` with F_SETFD touches no memory, whatever the descriptor is.
    match unsafe { libc::fcntl(fd, libc::F_SETFD, flags) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Makes `target` mean what `fd` means, also after exec.
pub fn put(fd: RawFd, target: RawFd) -> io::Result<()> {
    if fd == target {
        return set_close_on_exec(fd, false);
    }
    // SAFETY: `dup2` touches no memory. What `target` was is replaced on purpose: the caller
    // owns the process's standard descriptors, and those the script names.
    match unsafe { libc::dup2(fd, target) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Closes a descriptor the script named.
pub fn close(fd: RawFd) {
    // An unopened one is as closed as can be: the result says nothing new.
    let _ = nix::unistd::close(fd);
}

/// A descriptor lent for one call.
pub fn borrow(fd: RawFd) -> BorrowedFd<'static> {
    // SAFETY: only used for 0 to 2 and within one call; a closed descriptor gives an error there.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// Writes to standard output now, whatever it is redirected to.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Reads one byte from standard input, never more: what follows is for somebody else.
pub fn read_byte() -> io::Result<Option<u8>> {
    let mut byte = [0];
    match nix::unistd::read(borrow(libc::STDIN_FILENO), &mut byte) {
        Ok(0) => Ok(None),
        Ok(_) => Ok(Some(byte[0])),
        Err(error) => Err(error.into()),
    }
}

/// Reads one line from standard input, without its newline. `None` at the end.
pub fn read_line() -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    loop {
        match read_byte() {
            Ok(Some(b'\n')) => break,
            Ok(Some(byte)) => bytes.push(byte),
            Ok(None) if bytes.is_empty() => return Ok(None),
            Ok(None) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted && !is_interrupted() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// A file that is always empty.
pub fn null() -> io::Result<File> {
    File::open(if cfg!(target_os = "redox") { "/scheme/null" } else { "/dev/null" })
}

/// The terminal a person is at, and how it was when they came.
#[derive(Debug)]
pub struct Terminal {
    fd: OwnedFd,
    settings: Option<Termios>,
}

impl Terminal {
    /// Standard input's, kept open whatever that is redirected to.
    pub fn of_standard_input() -> io::Result<Self> {
        let fd = keep_copy(libc::STDIN_FILENO)?;
        let settings = tcgetattr(&fd).ok();
        Ok(Self { fd, settings })
    }

    /// The same for a child.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { fd: self.fd.try_clone()?, settings: self.settings.clone() })
    }

    /// Gives it to a process group. Fails quietly: a terminal that knows no groups still works as
    /// one.
    pub fn give(&self, group: Pid) {
        let _ = nix::unistd::tcsetpgrp(&self.fd, group);
    }

    /// Puts it back to how it was, after a program that could not do so itself.
    pub fn reset(&self) {
        if let Some(settings) = &self.settings {
            let _ = tcsetattr(&self.fd, SetArg::TCSADRAIN, settings);
        }
    }
}
