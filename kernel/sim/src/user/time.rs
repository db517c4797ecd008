//! Time, and waiting for a word of memory.

use super::{Answer, User};
use abi::redox::flag::*;
use abi::redox::number::*;

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// A `TimeSpec` as it lies in memory.
pub(crate) fn time_bytes(nanoseconds: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(nanoseconds / SECOND).to_ne_bytes());
    bytes[8..].copy_from_slice(&(nanoseconds % SECOND).to_ne_bytes());
    bytes
}

impl User {
    /// Nanoseconds since boot.
    pub fn now(&mut self) -> u64 {
        self.with_room(16, |user, at| {
            user.call(SYS_CLOCK_GETTIME, [CLOCK_MONOTONIC, at]).expect("there is this clock");
            user.load_word(at) as u64 * SECOND + u64::from(user.load_u32(at + 8))
        })
    }

    /// Sleeps. Returns how much is left in nanoseconds, as the kernel wrote it, with the answer.
    pub fn sleep_for(&mut self, nanoseconds: u64) -> (Answer, u64) {
        self.with(&time_bytes(nanoseconds), |user, request| {
            user.with(&[0; 16], |user, rest| {
                let answer = user.call(SYS_NANOSLEEP, [request, rest]);
                let seconds = user.load_word(rest) as u64;
                (answer, seconds * SECOND + u64::from(user.load_u32(rest + 8)))
            })
        })
    }

    /// Sleeps for so many milliseconds.
    pub fn sleep(&mut self, milliseconds: u64) {
        self.sleep_for(milliseconds * 1_000_000).0.expect("nobody disturbs it");
    }

    /// Lets others go first.
    pub fn give_way(&mut self) {
        self.call(SYS_YIELD, []).expect("this call always works");
    }

    /// Waits while the word at `address` is `value`, at most so many nanoseconds.
    ///
    /// # Errors
    /// As the call.
    pub fn futex_wait(&mut self, address: usize, value: u32, timeout: Option<u64>) -> Answer {
        let value = value as usize;
        match timeout {
            None => self.call(SYS_FUTEX, [address, FUTEX_WAIT, value, 0]),
            Some(timeout) => self.with(&time_bytes(timeout), |user, at| {
                user.call(SYS_FUTEX, [address, FUTEX_WAIT, value, at])
            }),
        }
    }

    /// Wakes at most `count` threads that wait for the word at `address`.
    ///
    /// # Errors
    /// As the call.
    pub fn futex_wake(&mut self, address: usize, count: usize) -> Answer {
        self.call(SYS_FUTEX, [address, FUTEX_WAKE, count])
    }

    /// Takes the lock at `address`: 0 free, 1 taken, 2 taken and waited for (Drepper, "Futexes Are
    /// Tricky").
    pub fn lock(&mut self, address: usize) {
        if self.exchange(address, 0, 1) == 0 {
            return;
        }
        loop {
            let have = self.load_u32(address);
            if have == 2 || have == 1 && self.exchange(address, 1, 2) == 1 {
                // Whatever the answer, the word tells.
                self.futex_wait(address, 2, None).ok();
            }
            if self.exchange(address, 0, 2) == 0 {
                return;
            }
        }
    }

    /// Gives the lock at `address` back.
    pub fn unlock(&mut self, address: usize) {
        if self.exchange(address, 1, 0) == 1 {
            return;
        }
        assert_eq!(self.exchange(address, 2, 0), 2, "a lock is given back that nobody has");
        self.futex_wake(address, 1).expect("a good address");
    }
}
