//! Job control: who may read from the terminal, and who is stopped for trying.
//!
//! The foreground group is kept by [`crate::Terminal`]; which group a process is in, and what it
//! does about signals, is asked of the kernel each time. Nothing is remembered.

use libredox::Fd;
use libredox::flag::{O_CLOEXEC, O_RDONLY};

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

/// Sends a signal to a group. One that is gone needs none.
pub fn signal_group(group: i32, signal: i32) {
    // SAFETY: `kill` touches no memory.
    unsafe { libc::kill(-group, signal) };
}
