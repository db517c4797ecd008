//! The clock of the mainboard, in the CMOS memory (MC146818A data sheet, Motorola).

use super::date::{Fields, seconds};
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

/// How often the clock is looked at until two readings agree.
const TRIES: usize = 1000;

fn register(number: u8) -> u8 {
    // SAFETY: reading the CMOS memory; bit 7 clear keeps NMIs on.
    unsafe {
        outb(0x70, number);
        inb(0x71)
    }
}

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
