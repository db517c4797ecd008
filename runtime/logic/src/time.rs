//! Sums over times.

/// Nanoseconds in a second.
pub const SECOND: i64 = 1_000_000_000;

/// A moment or a duration: seconds and nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Whole seconds.
    pub seconds: i64,
    /// The rest, below [`SECOND`].
    pub nanoseconds: i64,
}

impl Time {
    /// Checks a time that came from a program: the rest must be below a second.
    pub fn checked(seconds: i64, nanoseconds: i64) -> Option<Self> {
        (0..SECOND).contains(&nanoseconds).then_some(Self { seconds, nanoseconds })
    }

    /// How long from `now` until `self`: `None` when it is over.
    pub fn since(self, now: Self) -> Option<Self> {
        let mut seconds = self.seconds.saturating_sub(now.seconds);
        let mut nanoseconds = self.nanoseconds - now.nanoseconds;
        if nanoseconds < 0 {
            nanoseconds += SECOND;
            seconds = seconds.saturating_sub(1);
        }
        let left = Self { seconds, nanoseconds };
        (seconds >= 0 && (seconds, nanoseconds) != (0, 0)).then_some(left)
    }

    /// The moment `self` after `now`.
    pub fn after(self, now: Self) -> Self {
        let mut seconds = now.seconds.saturating_add(self.seconds);
        let mut nanoseconds = now.nanoseconds + self.nanoseconds;
        if nanoseconds >= SECOND {
            nanoseconds -= SECOND;
            seconds = seconds.saturating_add(1);
        }
        Self { seconds, nanoseconds }
    }

    /// Milliseconds, rounded up so that nobody wakes early.
    pub fn milliseconds(self) -> usize {
        let part = (self.nanoseconds + 999_999) / 1_000_000;
        let whole = self.seconds.max(0).saturating_mul(1000).saturating_add(part);
        usize::try_from(whole).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(seconds: i64, nanoseconds: i64) -> Time {
        Time::checked(seconds, nanoseconds).unwrap()
    }

    #[test]
    fn what_is_left_is_never_negative() {
        assert_eq!(time(5, 0).since(time(3, 1)), Some(time(1, SECOND - 1)));
        assert_eq!(time(5, 0).since(time(5, 0)), None);
        assert_eq!(time(5, 0).since(time(5, 1)), None);
        assert_eq!(time(i64::MIN, 0).since(time(i64::MAX, 0)), None);
        assert_eq!(time(i64::MAX, 0).since(time(-1, 0)), Some(time(i64::MAX, 0)));
    }

    #[test]
    fn sums_carry() {
        assert_eq!(time(1, SECOND - 1).after(time(2, 1)), time(4, 0));
        assert_eq!(time(i64::MAX, 0).after(time(1, 0)), time(i64::MAX, 0));
    }

    #[test]
    fn milliseconds_round_up() {
        assert_eq!(time(0, 1).milliseconds(), 1);
        assert_eq!(time(2, 5_000_000).milliseconds(), 2005);
        assert_eq!(Time::checked(0, SECOND), None);
        assert_eq!(Time::checked(0, -1), None);
    }
}
