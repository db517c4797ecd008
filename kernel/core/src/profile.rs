//! `proc:PID/profile` — where a process spends its time: who wants samples, how often, and those
//! that have not been read.
//!
//! This file keeps the books. Taking samples is in `kernel/profile.rs`.

use crate::kernel::TimerKey;
use crate::table::Table;
use crate::trace::ProcessKey;
use abi::watch::{SAMPLE_DEPTH, SAMPLE_HEAD};
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

/// Most profiles at once.
pub const PROFILES_MAX: usize = 4;
/// Words that wait to be read. What finds no room is counted.
const WORDS_MAX: usize = 16 << 10;
/// Most words of a sample.
pub const SAMPLE_WORDS: usize = SAMPLE_HEAD + SAMPLE_DEPTH;

/// One open `proc:PID/profile`.
pub struct Profile {
    /// Whose samples.
    pub process: ProcessKey,
    /// Between two samples of one CPU; 0 while it is off.
    pub period_ns: u64,
    /// The clock that makes CPUs come in.
    pub timer: Option<TimerKey>,
    /// When each CPU had its last one.
    last: Vec<u64>,
    /// Whole samples.
    words: VecDeque<usize>,
    lost: usize,
}

impl Profile {
    /// One that is off.
    pub fn new(process: ProcessKey, cpus: usize) -> Self {
        let words = VecDeque::with_capacity(WORDS_MAX);
        Self { process, period_ns: 0, timer: None, last: vec![0; cpus], words, lost: 0 }
    }

    /// Whether a CPU is to be looked at now; then it has been.
    pub fn is_due(&mut self, cpu: usize, now: u64) -> bool {
        let Some(last) = self.last.get_mut(cpu) else { return false };
        // A CPU that comes in for another reason shortly before does not count twice.
        let is_due = self.period_ns > 0 && now.saturating_sub(*last) >= self.period_ns / 8 * 7;
        if is_due {
            *last = now;
        }
        is_due
    }

    /// Adds a sample, or counts it as lost.
    pub fn add(&mut self, pid: usize, tid: usize, now: u64, places: &[usize]) {
        let count = SAMPLE_HEAD + places.len();
        if self.words.len() + count > WORDS_MAX {
            self.lost += 1;
            return;
        }
        let lost = core::mem::take(&mut self.lost);
        self.words.extend([count, pid, tid, now as usize, lost]);
        self.words.extend(places);
    }

    /// As many whole samples as have room in so many words.
    pub fn ready(&self, room: usize) -> Vec<usize> {
        let mut end = 0;
        while let Some(count) = self.words.get(end)
            && end + count <= room
        {
            end += count;
        }
        self.words.iter().take(end).copied().collect()
    }

    /// So many words have been read.
    pub fn forget(&mut self, count: usize) {
        self.words.drain(..count);
    }
}

/// All of them.
pub type Profiles = Table<Profile>;

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> Profile {
        let place = crate::task::ProcessId(5);
        let mut profile = Profile::new(ProcessKey { place, pid: 5, started_ns: 0 }, 2);
        profile.period_ns = 800;
        profile
    }

    #[test]
    fn each_cpu_has_its_own_clock() {
        let mut profile = profile();
        assert!(profile.is_due(0, 1000) && !profile.is_due(0, 1699) && profile.is_due(1, 1699));
        assert!(profile.is_due(0, 1700) && !profile.is_due(2, 9999));
        profile.period_ns = 0;
        assert!(!profile.is_due(0, 5000));
    }

    #[test]
    fn whole_samples_are_read_and_lost_ones_counted() {
        let mut profile = profile();
        profile.add(5, 6, 1, &[0x10, 0x20]);
        profile.add(5, 6, 2, &[0x30]);
        assert_eq!(profile.ready(6), []);
        assert_eq!(profile.ready(8), [7, 5, 6, 1, 0, 0x10, 0x20]);
        assert_eq!(profile.ready(13).len(), 13);
        profile.forget(13);
        while profile.lost < 3 {
            profile.add(5, 6, 3, &[0; SAMPLE_DEPTH]);
        }
        assert!(profile.words.len() <= WORDS_MAX);
        profile.forget(profile.words.len());
        profile.add(5, 6, 4, &[]);
        assert_eq!(profile.ready(SAMPLE_WORDS), [5, 5, 6, 4, 3]);
    }
}
