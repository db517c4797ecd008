//! `WAIT` — how a status word tells why a child ended.
//!
//! The encoding is the one the `WIFEXITED` family of the libc crate reads: exit code in bits
//! 8..16 with zero below, or the signal's number in bits 0..7. A child that has only stopped has 0x7F
//! there and the signal's number above; one that goes on has 0xFFFF.

/// What stands for a signal in the end of a process that an emergency ended: somebody chose it, or
/// its pages could not be brought back. No signal has this number, and nobody can send it.
pub const ENDED_BY_EMERGENCY: u8 = 99;

/// Why a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It called `EXIT` with this status.
    Exited(u8),
    /// This signal ended it.
    Signalled(u8),
}

impl Ended {
    /// The status word.
    pub const fn status(self) -> i32 {
        match self {
            Ended::Exited(code) => (code as i32) << 8,
            Ended::Signalled(signal) => (signal & 0x7F) as i32,
        }
    }

    /// Reads a status word.
    pub const fn from_status(status: i32) -> Self {
        match status & 0x7F {
            0 => Ended::Exited((status >> 8) as u8),
            signal => Ended::Signalled(signal as u8),
        }
    }
}

/// What a process that lives on has done: reported once, to a parent that asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// This signal stopped it.
    Stopped(u8),
    /// `SIGCONT` made it go on.
    Continued,
}

impl Change {
    /// The status word.
    pub const fn status(self) -> i32 {
        match self {
            Change::Stopped(signal) => (signal as i32) << 8 | 0x7F,
            Change::Continued => 0xFFFF,
        }
    }

    /// Reads a status word; `None` for the word of an end.
    pub const fn from_status(status: i32) -> Option<Self> {
        match status {
            0xFFFF => Some(Change::Continued),
            _ if status & 0xFF == 0x7F => Some(Change::Stopped((status >> 8) as u8)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_no_end() {
        for change in [Change::Stopped(19), Change::Continued] {
            assert_eq!(Change::from_status(change.status()), Some(change));
        }
        for ended in [Ended::Exited(127), Ended::Signalled(9), Ended::Exited(255)] {
            assert_eq!(Change::from_status(ended.status()), None);
        }
    }

    #[test]
    fn a_status_word_reads_back() {
        for ended in [Ended::Exited(0), Ended::Exited(255), Ended::Signalled(9)] {
            assert_eq!(Ended::from_status(ended.status()), ended);
        }
    }
}
