//! `WAIT` — how a status word tells why a child ended.
//!
//! The encoding is the one the `WIFEXITED` family of the libc crate reads: exit code in bits
//! 8..16 with zero below, or the signal's number in bits 0..7.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_word_reads_back() {
        for ended in [Ended::Exited(0), Ended::Exited(255), Ended::Signalled(9)] {
            assert_eq!(Ended::from_status(ended.status()), ended);
        }
    }
}
