//! How fast the time-stamp counter and the local timer run: counted while a clock of known speed
//! moves on a little.
//!
//! Short, since it is a large part of the boot: half a millisecond of a clock that is read in one
//! access gives about 100 parts per million. The reading of the reference may be slow or be
//! interrupted by firmware, so of several readings the one with the least time around it counts.

use super::ticks;
use crate::interrupt::local;
use x86::io::{inb, outb};

/// Length of the measurement, in nanoseconds.
const WINDOW: u64 = 500_000;
/// Longer for the old timer, which is three slow accesses away.
const OLD_WINDOW: u64 = 5_000_000;
/// How often each end is read.
const TRIES: usize = 4;
/// Ticks of the old timer per second.
const OLD_RATE: u64 = 1_193_182;

/// A clock of known speed.
pub(crate) enum Reference {
    /// The high-precision event timer: registers, femtoseconds per count (IA-PC HPET
    /// specification 1.0a, 2.3).
    Hpet(usize, u64),
    /// Channel 2 of the 8254 (82C54 data sheet, Intel 231244).
    Old,
}

/// Offsets of the high-precision timer's registers.
const HPET_PERIOD: usize = 0x04;
const HPET_CONFIGURATION: usize = 0x10;
const HPET_COUNTER: usize = 0xF0;
/// The longest period the specification allows, in femtoseconds.
const HPET_PERIOD_MAX: u64 = 0x05F5_E100;

/// The 8254's ports.
const COUNTER: u16 = 0x42;
const CONTROL: u16 = 0x43;
/// Its gate, with the speaker.
const GATE: u16 = 0x61;

impl Reference {
    /// The high-precision timer whose registers are mapped at `registers`, started; `None` when it
    /// makes no sense.
    ///
    /// # Safety
    /// The registers are there.
    pub(crate) unsafe fn hpet(registers: usize) -> Option<Self> {
        // SAFETY: the caller's promise; starting the counter disturbs nobody.
        let period = unsafe {
            let configuration = (registers + HPET_CONFIGURATION) as *mut u32;
            configuration.write_volatile(configuration.read_volatile() | 1);
            ((registers + HPET_PERIOD) as *const u32).read_volatile()
        };
        let is_sane = (1..=HPET_PERIOD_MAX).contains(&period.into());
        is_sane.then_some(Reference::Hpet(registers, period.into()))
    }

    /// Makes the counter run from its top.
    fn start(&self) {
        if let Reference::Old = self {
            // SAFETY: channel 2 drives only the speaker, whose output stays off.
            unsafe {
                outb(GATE, inb(GATE) & !2 | 1);
                outb(CONTROL, 0b1011_0100);
                outb(COUNTER, 0xFF);
                outb(COUNTER, 0xFF);
            }
        }
    }

    fn window(&self) -> u64 {
        match self {
            Reference::Hpet(..) => WINDOW,
            Reference::Old => OLD_WINDOW,
        }
    }

    /// The counter, as one that counts up.
    fn count(&self) -> u32 {
        match self {
            // SAFETY: as promised to `hpet`.
            Reference::Hpet(registers, _) => unsafe {
                ((registers + HPET_COUNTER) as *const u32).read_volatile()
            },
            // SAFETY: latching and reading channel 2.
            Reference::Old => unsafe {
                outb(CONTROL, 0b1000_0000);
                let low = u32::from(inb(COUNTER));
                0xFFFF - (low | u32::from(inb(COUNTER)) << 8)
            },
        }
    }

    /// Converts counts to nanoseconds.
    fn nanoseconds(&self, count: u32) -> u64 {
        match self {
            Reference::Hpet(_, period) => u64::from(count) * period / 1_000_000,
            Reference::Old => u64::from(count) * 1_000_000_000 / OLD_RATE,
        }
    }
}

/// What was measured.
pub(crate) struct Measured {
    /// Ticks of the time-stamp counter.
    pub(crate) ticks_per_second: u64,
    /// Counts of the local timer.
    pub(crate) counts_per_second: u64,
}

/// One reading of all three clocks.
struct Reading {
    reference: u32,
    ticks: u64,
    local: u32,
}

fn read(reference: &Reference) -> Reading {
    let mut best = (u64::MAX, Reading { reference: 0, ticks: 0, local: 0 });
    for _ in 0..TRIES {
        let before = ticks();
        let count = reference.count();
        let local = local::count();
        let after = ticks();
        let around = after - before;
        if around < best.0 {
            best = (around, Reading { reference: count, ticks: before + around / 2, local });
        }
    }
    best.1
}

/// Measures. Takes the window's time, and uses this CPU's local timer without interrupts.
pub(crate) fn measure(reference: &Reference) -> Measured {
    reference.start();
    local::start_count(u32::MAX);
    let start = read(reference);
    let passed = |count: u32| reference.nanoseconds(count.wrapping_sub(start.reference));
    while passed(reference.count()) < reference.window() {
        core::hint::spin_loop();
    }
    let end = read(reference);
    local::start_count(0);
    let time = passed(end.reference).max(1);
    let per_second = |count: u64| (u128::from(count) * 1_000_000_000 / u128::from(time)) as u64;
    Measured {
        ticks_per_second: per_second(end.ticks - start.ticks),
        counts_per_second: per_second(start.local.wrapping_sub(end.local).into()),
    }
}
