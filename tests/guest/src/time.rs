//! Clocks and sleeping.

use crate::call::{answer, call2};
use abi::redox::data::TimeSpec;
use abi::redox::error::Result;
use abi::redox::flag::CLOCK_MONOTONIC;
use abi::redox::number::{SYS_CLOCK_GETTIME, SYS_NANOSLEEP};

/// Nanoseconds a clock shows.
pub fn read(clock: usize) -> Result<u64> {
    let mut time = TimeSpec::default();
    // SAFETY: `time` is ours.
    answer(unsafe { call2(SYS_CLOCK_GETTIME, clock, &raw mut time as usize) })?;
    Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Nanoseconds since boot.
pub fn now() -> u64 {
    read(CLOCK_MONOTONIC).expect("the monotonic clock is always there")
}

/// Sleeps so many milliseconds, or less when a signal comes.
pub fn sleep_ms(millis: u64) {
    let request =
        TimeSpec { tv_sec: (millis / 1000) as i64, tv_nsec: (millis % 1000) as i32 * 1_000_000 };
    // SAFETY: the kernel only reads the request. An early end is allowed.
    let _ = answer(unsafe { call2(SYS_NANOSLEEP, &raw const request as usize, 0) });
}

/// A moment by which something must have happened.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(u64);

impl Deadline {
    /// So many milliseconds from now.
    pub fn in_ms(millis: u64) -> Self {
        Self(now() + millis * 1_000_000)
    }

    /// Whether it has come.
    pub fn has_passed(self) -> bool {
        now() >= self.0
    }
}
