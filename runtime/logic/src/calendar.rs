//! Dates in the Gregorian calendar, without time zones and leap seconds.

/// Seconds in a day.
const DAY: i64 = 86_400;

/// Days in 400 years, after which the calendar repeats.
const ERA: i64 = 146_097;

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i64 = 719_468;

/// A moment as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The year.
    pub year: i64,
    /// 1 to 12.
    pub month: i32,
    /// 1 to 31.
    pub day: i32,
    /// 0 to 23.
    pub hour: i32,
    /// 0 to 59.
    pub minute: i32,
    /// 0 to 59.
    pub second: i32,
    /// 0 is Sunday.
    pub weekday: i32,
    /// 0 is the first of January.
    pub day_of_year: i32,
}

/// Days since 1970-01-01 of a date; the month in 1 to 12, the day anything.
///
/// Years are counted from March, so that the odd day of a leap year comes last and months repeat
/// in groups of five that are 153 days long.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year.rem_euclid(400);
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    year.div_euclid(400) * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH
}

/// The date of a moment given in seconds since 1970.
pub fn from_seconds(seconds: i64) -> Moment {
    let day_number = seconds.div_euclid(DAY);
    let second = seconds.rem_euclid(DAY) as i32;
    let shifted = day_number + EPOCH;
    let of_era = shifted.rem_euclid(ERA);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12 + 1;
    let year = year_of_era + shifted.div_euclid(ERA) * 400 + i64::from(month <= 2);
    Moment {
        year,
        month: month as i32,
        day: day as i32,
        hour: second / 3600,
        minute: second / 60 % 60,
        second: second % 60,
        weekday: (day_number + 4).rem_euclid(7) as i32,
        day_of_year: (day_number - days(year, 1, 1)) as i32,
    }
}

/// Seconds since 1970 of a date, whose parts may be out of range: the 32nd of a month is the first
/// or second of the next. The weekday and the day of the year are not looked at.
pub fn to_seconds(moment: &Moment) -> i64 {
    let month = i64::from(moment.month) - 1;
    let year = moment.year.saturating_add(month.div_euclid(12));
    let days = days(year, month.rem_euclid(12) + 1, i64::from(moment.day));
    let seconds =
        i64::from(moment.hour) * 3600 + i64::from(moment.minute) * 60 + i64::from(moment.second);
    days.saturating_mul(DAY).saturating_add(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_days() {
        for (seconds, year, month, day, weekday, day_of_year) in [
            (0, 1970, 1, 1, 4, 0),
            (951_782_400, 2000, 2, 29, 2, 59),
            (1_709_251_199, 2024, 2, 29, 4, 59),
            (4_102_444_800, 2100, 1, 1, 5, 0),
            (-1, 1969, 12, 31, 3, 364),
        ] {
            let found = from_seconds(seconds);
            assert_eq!((found.year, found.month, found.day), (year, month, day));
            assert_eq!((found.weekday, found.day_of_year), (weekday, day_of_year));
        }
    }

    #[test]
    fn parts_out_of_range_carry() {
        let date = |year, month, day| Moment {
            year,
            month,
            day,
            hour: 0,
            minute: 0,
            second: 0,
            weekday: 0,
            day_of_year: 0,
        };
        assert_eq!(to_seconds(&date(2023, 14, 1)), to_seconds(&date(2024, 2, 1)));
        assert_eq!(to_seconds(&date(2024, 2, 30)), to_seconds(&date(2024, 3, 1)));
        assert_eq!(to_seconds(&date(2024, 0, 31)), to_seconds(&date(2023, 12, 31)));
    }

    proptest! {
        #[test]
        fn a_date_reads_back(seconds in -10_000_000_000_000_i64..10_000_000_000_000) {
            prop_assert_eq!(to_seconds(&from_seconds(seconds)), seconds);
        }
    }
}
