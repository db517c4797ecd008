//! FAT's dates: local time, taken as UTC, from 1980 on.

use std::time::{SystemTime, UNIX_EPOCH};

use fatfs::TimeProvider;

/// FAT's local time as seconds since 1970, taken as UTC.
pub(crate) fn seconds(time: fatfs::DateTime) -> u64 {
    let (date, clock) = (time.date, time.time);
    let days = days_before(i64::from(date.year), i64::from(date.month)) + i64::from(date.day) - 1;
    let (hour, minute) = (i64::from(clock.hour), i64::from(clock.min));
    u64::try_from(((days * 24 + hour) * 60 + minute) * 60 + i64::from(clock.sec)).unwrap_or(0)
}

/// Days from 1970 to the first of a month.
fn days_before(year: i64, month: i64) -> i64 {
    // Years that begin in March end with the day that not all of them have.
    let shifted = if month <= 2 { year - 1 } else { year };
    let in_year = (153 * ((month + 9) % 12) + 2) / 5;
    let leap = shifted.div_euclid(4) - shifted.div_euclid(100) + shifted.div_euclid(400);
    shifted * 365 + leap + in_year - 719_468
}

/// The time for files that are made or changed.
#[derive(Debug)]
pub(crate) struct Clock;

impl Clock {
    fn now() -> fatfs::DateTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (days, clock) = ((since / 86_400) as i64, since % 86_400);
        // FAT counts from 1980.
        let (mut year, mut month) = (1970.max(1970 + days / 366), 1);
        while days_before(year + 1, 1) <= days {
            year += 1;
        }
        while month < 12 && days_before(year, month + 1) <= days {
            month += 1;
        }
        let day = days - days_before(year, month) + 1;
        let date =
            fatfs::Date { year: year.max(1980) as u16, month: month as u16, day: day as u16 };
        let time = fatfs::Time {
            hour: (clock / 3600) as u16,
            min: (clock / 60 % 60) as u16,
            sec: (clock % 60) as u16,
            millis: 0,
        };
        fatfs::DateTime { date, time }
    }
}

impl TimeProvider for Clock {
    fn get_current_date(&self) -> fatfs::Date {
        Self::now().date
    }

    fn get_current_date_time(&self) -> fatfs::DateTime {
        Self::now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_counted_from_1970() {
        let at = |year, month, day, hour| fatfs::DateTime {
            date: fatfs::Date { year, month, day },
            time: fatfs::Time { hour, min: 1, sec: 2, millis: 0 },
        };
        assert_eq!(seconds(at(1980, 1, 1, 0)), 315_532_862);
        assert_eq!(seconds(at(2024, 2, 29, 12)), 1_709_208_062);
        assert_eq!(seconds(at(2024, 3, 1, 0)), 1_709_251_262);
    }

    #[test]
    fn the_clock_and_the_calendar_agree() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        assert!(seconds(Clock::now()).abs_diff(now) <= 2);
    }
}
