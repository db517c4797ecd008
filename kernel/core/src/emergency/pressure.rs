//! `emergency:pressure`, `sys:pressure` — how short memory is, in four steps.
//!
//! A step up is taken at once, a step down only when clearly more is free again, so that the
//! level does not flap. The last step is not a share of free memory: it is taken when somebody was
//! refused a page that had been promised.

use core::fmt;

/// How short memory is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum MemoryPressureLevel {
    /// Enough.
    #[default]
    Normal,
    /// A quarter is left: caches may shrink.
    Low,
    /// A twelfth is left: save what matters.
    Critical,
    /// None is left: the world stops until some is found.
    OutOfMemory,
}

use MemoryPressureLevel::*;

/// Percent of all frames: a level is entered below the first and left above the second.
const LOW: (usize, usize) = (25, 30);
const CRITICAL: (usize, usize) = (8, 12);

impl MemoryPressureLevel {
    /// The level with `free` of `total` frames, coming from this one.
    pub fn next(self, free: usize, total: usize) -> Self {
        let below = |percent| free * 100 < total * percent;
        let limit = |level, (enter, leave)| if self >= level { leave } else { enter };
        if below(limit(Critical, CRITICAL)) {
            Critical
        } else if below(limit(Low, LOW)) {
            Low
        } else {
            Normal
        }
    }

    /// How many frames must be left for this level to last: with fewer, it must be looked at.
    pub fn alarm(self, total: usize) -> usize {
        match self {
            Normal => total * LOW.0 / 100,
            Low => total * CRITICAL.0 / 100,
            Critical | OutOfMemory => 0,
        }
    }
}

impl fmt::Display for MemoryPressureLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Normal => "normal",
            Low => "low",
            Critical => "critical",
            OutOfMemory => "out-of-memory",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_rises_at_once_and_falls_late() {
        let mut level = Normal;
        let mut seen = alloc::vec::Vec::new();
        for free in [100, 26, 24, 29, 31, 24, 7, 11, 13, 31, 5] {
            level = level.next(free, 100);
            seen.push(level);
        }
        let expected =
            [Normal, Normal, Low, Low, Normal, Low, Critical, Critical, Low, Normal, Critical];
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_alarm_rings_where_the_next_level_begins() {
        for level in [Normal, Low] {
            let alarm = level.alarm(1000);
            assert_eq!(level.next(alarm, 1000), level);
            assert!(level.next(alarm - 1, 1000) > level);
        }
    }
}
