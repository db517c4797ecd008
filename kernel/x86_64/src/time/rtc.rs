//! The clock of the mainboard, in the CMOS memory (MC146818A data sheet, Motorola).

use x86::io::{inb, outb};

/// Register numbers.
const SECONDS: u8 = 0x00;
const MINUTES: u8 = 0x02;
const HOURS: u8 = 0x04;
const DAY: u8 = 0x07;
const MONTH: u8 = 0x08;
const YEAR: u8 = 0x09;
const STATUS_A: u8 = 0x0A;
const STATUS_B: u8 = 0x0B;

/// In status A: the clock is about to change.
const IS_CHANGING: u8 = 1 << 7;
/// In status B: hours count to 24.
const HAS_24_HOURS: u8 = 1 << 1;
/// In status B: numbers are binary.
const IS_BINARY: u8 = 1 << 2;
/// In the hours: afternoon, when they count to 12.
const AFTERNOON: u8 = 1 << 7;

/// How often the clock is looked at until two readings agree.
const TRIES: usize = 1000;

fn register(number: u8) -> u8 {
    // SAFETY: reading the CMOS memory; bit 7 clear keeps NMIs on.
    unsafe {
        outb(0x70, number);
        inb(0x71)
    }
}

type Fields = [u8; 6];

fn fields() -> Fields {
    [SECONDS, MINUTES, HOURS, DAY, MONTH, YEAR].map(register)
}

/// Seconds since 1970. A clock that never stands still is taken as it is.
pub(crate) fn read() -> u64 {
    let mut last = fields();
    for _ in 0..TRIES {
        if register(STATUS_A) & IS_CHANGING != 0 {
            continue;
        }
        let now = fields();
        if now == last {
            break;
        }
        last = now;
    }
    seconds(last, register(STATUS_B))
}

/// Makes sense of the fields. Two-digit years are this century's.
fn seconds(fields: Fields, status: u8) -> u64 {
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
