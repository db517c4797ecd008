//! `emergency:daemon` — what a program may say that decides in a person's stead.
//!
//! Its answer is lines of words: `kill PID`, `save PID`, `park PID`, each for a job by its lowest
//! number; or one word alone: `continue`, or `pass`, which leaves it to the picker.

use super::picker::PickerAction;
use crate::kernel::TimerKey;
use crate::task::{Pid, ProcessId};

/// Jobs that one answer can name.
const JOBS: usize = 16;
/// How long a lease lasts unless the boot command line says otherwise.
pub const LEASE_NS: u64 = 2_000_000_000;

/// What came of asking.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply {
    /// The jobs that are named get what is said.
    Act(Jobs),
    /// Nothing ends.
    Continue,
    /// It leaves it to the picker.
    Pass,
    /// Its lease is over, and it has said nothing.
    Late,
    /// Memory ran out again.
    Greedy,
    /// It has ended, or closed its file.
    Gone,
}

/// Jobs, and what is to become of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Jobs {
    named: [(PickerAction, Pid); JOBS],
    count: usize,
}

impl Jobs {
    /// What is said of each.
    pub fn iter(&self) -> impl Iterator<Item = (PickerAction, Pid)> {
        self.named.into_iter().take(self.count)
    }
}

impl Reply {
    /// Reads an answer.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "continue" => return Some(Self::Continue),
            "pass" => return Some(Self::Pass),
            _ => {}
        }
        let mut jobs = Jobs { named: [(PickerAction::Kill, 0); JOBS], count: 0 };
        for line in text.lines() {
            let (verb, pid) = line.trim().split_once(' ')?;
            let action = match verb {
                "kill" => PickerAction::Kill,
                "save" => PickerAction::Save,
                "park" => PickerAction::Park,
                _ => return None,
            };
            *jobs.named.get_mut(jobs.count)? = (action, pid.trim().parse().ok()?);
            jobs.count += 1;
        }
        (jobs.count > 0).then_some(Self::Act(jobs))
    }
}

/// A program that is asked.
#[derive(Clone, Copy, Debug)]
pub struct Registered {
    /// Which.
    pub process: ProcessId,
    /// Its number.
    pub pid: Pid,
    /// The open file that says so.
    pub file: usize,
    /// How long a person has to press a key before it is asked.
    pub after_ns: u64,
}

/// All about the daemon.
#[derive(Debug)]
pub struct Daemon {
    /// Who is asked.
    pub registered: Option<Registered>,
    /// How long it may take.
    pub lease_ns: u64,
    /// It has been asked in this emergency.
    pub was_asked: bool,
    /// The world is about to go on for it.
    pub is_asking: bool,
    /// It runs; the timer ends that.
    pub lease: Option<TimerKey>,
    /// What it said, until the world stands still again.
    pub reply: Option<Reply>,
}

impl Default for Daemon {
    fn default() -> Self {
        Self {
            registered: None,
            lease_ns: LEASE_NS,
            was_asked: false,
            is_asking: false,
            lease: None,
            reply: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn answers_are_read_and_nonsense_is_refused() {
        assert_eq!(Reply::parse("continue\n"), Some(Reply::Continue));
        assert_eq!(Reply::parse("pass"), Some(Reply::Pass));
        let Some(Reply::Act(jobs)) = Reply::parse("kill 12\nsave 7\npark 9\n") else {
            panic!("three jobs are named");
        };
        let named: Vec<_> = jobs.iter().collect();
        let wanted = [(PickerAction::Kill, 12), (PickerAction::Save, 7), (PickerAction::Park, 9)];
        assert_eq!(named, wanted);
        for text in ["", "kill", "kill x", "eat 3", "continue 3", "kill 3\ncontinue"] {
            assert_eq!(Reply::parse(text), None, "{text}");
        }
        assert_eq!(Reply::parse(&"kill 3\n".repeat(JOBS + 1)), None);
    }
}
