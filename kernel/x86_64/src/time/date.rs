//! Making sense of what the mainboard's clock says (MC146818A data sheet, Motorola).

/// Second, minute, hour, day, month, year of the century, as the clock holds them.
pub(crate) type Fields = [u8; 6];

/// In status B: hours count to 24.
const HAS_24_HOURS: u8 = 1 << 1;
/// In status B: numbers are binary, not two decimal digits.
const IS_BINARY: u8 = 1 << 2;
/// In the hours: afternoon, when they count to 12.
const AFTERNOON: u8 = 1 << 7;

/// Seconds since 1970, from the fields and the clock's status B. Years are this century's.
pub(crate) fn seconds(fields: Fields, status: u8) -> u64 {
    let number = |value: u8| match status & IS_BINARY {
        0 => u64::from(value >> 4) * 10 + u64::from(value & 15),
        _ => u64::from(value),
    };
    let [second, minute, hour, day, month, year] = fields;
    let hour = match status & HAS_24_HOURS {
        0 => number(hour & !AFTERNOON) % 12 + if hour & AFTERNOON != 0 { 12 } else { 0 },
        _ => number(hour),
    };
    let days = days_since_1970(2000 + number(year), number(month), number(day));
    ((days * 24 + hour) * 60 + number(minute)) * 60 + number(second)
}

/// Days from 1 January 1970 to a date of the Gregorian calendar, counted in years that begin in
/// March, so that the leap day comes last.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let in_year = (153 * month + 2) / 5 + day.max(1) - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + in_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_coded_decimal_by_the_24_hour_clock() {
        // 2026-11-21 03:05:06 UTC.
        let fields = [0x06, 0x05, 0x03, 0x21, 0x11, 0x26];
        assert_eq!(seconds(fields, HAS_24_HOURS), 1_795_230_306);
    }

    #[test]
    fn binary_numbers_by_the_12_hour_clock() {
        // 2000-02-29 12:00:00 and 23:59:59 UTC.
        assert_eq!(seconds([0, 0, 12 | AFTERNOON, 29, 2, 0], IS_BINARY), 951_825_600);
        assert_eq!(seconds([59, 59, 11 | AFTERNOON, 29, 2, 0], IS_BINARY), 951_868_799);
    }

    #[test]
    fn midnight_is_twelve_in_the_morning() {
        assert_eq!(seconds([0, 0, 12, 1, 1, 0], IS_BINARY), 946_684_800);
    }
}
