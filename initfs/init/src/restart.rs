//! What to do with a service that ended.

use std::fmt;
use std::time::Duration;

use nix::libc;
use serde::Deserialize;

/// `restart = "..."` of the manifest.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Rule {
    /// Leave it.
    Never,
    /// Start it again, however it ended.
    Always,
    /// Start it again unless it ended with status 0.
    #[default]
    OnFailure,
}

/// Why a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// With this exit status.
    Exited(i32),
    /// By this signal.
    Signalled(i32),
}

impl Ended {
    /// `None` for news that is not an end (stopped, continued).
    pub(crate) fn from_status(status: libc::c_int) -> Option<Self> {
        match () {
            () if libc::WIFEXITED(status) => Some(Ended::Exited(libc::WEXITSTATUS(status))),
            () if libc::WIFSIGNALED(status) => Some(Ended::Signalled(libc::WTERMSIG(status))),
            () => None,
        }
    }

    /// The status as a shell shows it: the exit status, or 128 + signal.
    pub(crate) fn shell_status(self) -> i32 {
        match self {
            Ended::Exited(code) => code,
            Ended::Signalled(signal) => 128 + signal,
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Ended::Exited(code) => write!(f, "exited with status {code}"),
            Ended::Signalled(number) => match nix::sys::signal::Signal::try_from(number) {
                Ok(signal) => write!(f, "was killed by {signal}"),
                Err(_) => write!(f, "was killed by signal {number}"),
            },
        }
    }
}

/// An answer to "it ended, now what?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Start it again.
    Restart,
    /// Its rule says to leave it.
    Leave,
    /// It would be restarted, but ends too quickly too often.
    GiveUp,
}

/// A start this short before the end counts as quick.
const QUICK: Duration = Duration::from_secs(10);
/// This many quick restarts in a row are the last.
pub(crate) const QUICK_MAX: u32 = 3;

/// Counts the quick ends of one service.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct History {
    quick: u32,
}

impl History {
    /// Decides, given how long the service had been up.
    pub(crate) fn decide(&mut self, rule: Rule, ended: Ended, up: Duration) -> Decision {
        let wanted = match rule {
            Rule::Never => false,
            Rule::Always => true,
            Rule::OnFailure => ended != Ended::Exited(0),
        };
        if !wanted {
            return Decision::Leave;
        }
        self.quick = if up < QUICK { self.quick + 1 } else { 1 };
        if self.quick > QUICK_MAX { Decision::GiveUp } else { Decision::Restart }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(5);

    #[test]
    fn rules_read_the_way_it_ended() {
        let decide = |rule, ended| History::default().decide(rule, ended, SOON);
        assert_eq!(decide(Rule::Never, Ended::Signalled(11)), Decision::Leave);
        assert_eq!(decide(Rule::Always, Ended::Exited(0)), Decision::Restart);
        assert_eq!(decide(Rule::OnFailure, Ended::Exited(0)), Decision::Leave);
        assert_eq!(decide(Rule::OnFailure, Ended::Exited(1)), Decision::Restart);
        assert_eq!(decide(Rule::OnFailure, Ended::Signalled(9)), Decision::Restart);
    }

    #[test]
    fn the_fourth_quick_end_is_the_last() {
        let mut history = History::default();
        for _ in 0..QUICK_MAX {
            assert_eq!(history.decide(Rule::Always, Ended::Exited(1), SOON), Decision::Restart);
        }
        assert_eq!(history.decide(Rule::Always, Ended::Exited(1), SOON), Decision::GiveUp);
    }

    #[test]
    fn a_long_life_forgives_quick_ends() {
        let mut history = History::default();
        for up in [SOON, SOON, SOON, Duration::from_secs(60), SOON, SOON] {
            assert_eq!(history.decide(Rule::Always, Ended::Exited(1), up), Decision::Restart);
        }
    }

    #[test]
    fn ends_are_told_in_words_and_numbers() {
        assert_eq!(Ended::Exited(3).to_string(), "exited with status 3");
        assert_eq!(Ended::Signalled(9).to_string(), "was killed by SIGKILL");
        assert_eq!(Ended::Signalled(9).shell_status(), 137);
        assert_eq!(Ended::from_status(7 << 8), Some(Ended::Exited(7)));
        // By an emergency.
        assert_eq!(Ended::from_status(99), Some(Ended::Signalled(99)));
        assert_eq!(Ended::from_status(19 << 8 | 0x7F), None);
    }
}
