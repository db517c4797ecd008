//! Job control: who may read from the terminal, and who is stopped for trying.
//!
//! The foreground group is kept by [`crate::Terminal`]; which group a process is in, and what it
//! does about signals, is asked of the kernel each time. Nothing is remembered. Signals go out with the
//! daemon's rights, so who may choose the group is asked too ([`may_give`]).

use std::fs::read_dir;

use libredox::Fd;
use libredox::flag::{O_CLOEXEC, O_RDONLY};
use syscall::error::{EINVAL, EPERM, Error, Result};

use crate::Terminal;
use crate::line::Signal;

/// How a process stands to the terminal.
pub enum Standing {
    /// It may use it.
    Foreground,
    /// Its group is another one of the same session, and a signal may stop it.
    Background {
        /// The group.
        group: i32,
    },
    /// Its group is another one, but the signal would not reach it.
    Deaf,
}

/// How process `pid` stands when `foreground` has the terminal and `signal` is what stops others.
pub fn standing(pid: usize, foreground: Option<u32>, signal: i32) -> Standing {
    let Some(foreground) = foreground.map(|group| group as i32) else {
        return Standing::Foreground;
    };
    let pid = pid as i32;
    // SAFETY: the call touches no memory.
    let group = unsafe { libc::getpgid(pid) };
    if group <= 0 || group == foreground {
        return Standing::Foreground;
    }
    let (Some(own), Some(theirs)) = (Status::of(pid), Status::of(foreground)) else {
        return Standing::Foreground;
    };
    if own.value("Session") != theirs.value("Session") {
        return Standing::Foreground;
    }
    let masks = ["SigIgn", "SigBlk"].map(|key| own.mask(key));
    let is_deaf = (masks[0] | masks[1]) & 1 << (signal - 1) != 0;
    if is_deaf { Standing::Deaf } else { Standing::Background { group } }
}

/// Whether process `pid` may give the terminal to `group`, whose processes then get its signals: to
/// groups of its own session. Root may give it to any.
///
/// # Errors
/// `EPERM`, and `EINVAL` for what is no group to a signal: 0 and 1 stand for others there.
pub fn may_give(pid: usize, uid: u32, group: u32) -> Result<()> {
    if group <= 1 {
        return Err(Error::new(EINVAL));
    }
    let session = |status: &Status| status.value("Session").map(str::to_owned);
    let own = || Status::of(pid as i32).and_then(|status| session(&status));
    let is_own =
        || own().is_some_and(|own| member_of(group).is_some_and(|s| session(&s) == Some(own)));
    if uid == 0 || is_own() { Ok(()) } else { Err(Error::new(EPERM)) }
}

/// Some process of a group, its leader if that is still there.
fn member_of(group: u32) -> Option<Status> {
    let is_member = |status: &Status| status.value("Pgid") == Some(group.to_string().as_str());
    let all = read_dir("/scheme/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    std::iter::once(group as i32).chain(pids).filter_map(Status::of).find(is_member)
}

/// What `proc:PID/status` says.
struct Status(String);

impl Status {
    fn of(pid: i32) -> Option<Self> {
        let path = format!("/scheme/proc/{pid}/status");
        let file = Fd::open(&path, O_RDONLY | O_CLOEXEC, 0).ok()?;
        let mut bytes = [0; 1024];
        let length = file.read(&mut bytes).ok()?;
        Some(Self(String::from_utf8_lossy(&bytes[..length]).into_owned()))
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
    }

    fn mask(&self, key: &str) -> u64 {
        self.value(key).and_then(|value| u64::from_str_radix(value, 16).ok()).unwrap_or(0)
    }
}

/// Sends what a terminal has for its foreground group: signals of keys, and of a new size.
pub fn send_signals(terminal: &mut Terminal) {
    let keys = terminal.take_signals().into_iter().map(|signal| match signal {
        Signal::Interrupt => libc::SIGINT,
        Signal::Quit => libc::SIGQUIT,
        Signal::Suspend => libc::SIGTSTP,
    });
    let mut signals: Vec<i32> = keys.collect();
    if terminal.take_resized() {
        signals.push(libc::SIGWINCH);
    }
    if let Some(group) = terminal.group() {
        signals.into_iter().for_each(|signal| signal_group(group as i32, signal));
    }
}

/// Sends a signal to a group. One that is gone needs none.
pub fn signal_group(group: i32, signal: i32) {
    // SAFETY: `kill` touches no memory.
    unsafe { libc::kill(-group, signal) };
}
