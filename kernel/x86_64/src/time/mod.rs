//! `time:` — the time-stamp counter, the one-shot timer, the clock of the mainboard.

mod calibrate;
mod date;
mod rtc;

use crate::interrupt::local;
use core::sync::atomic::{AtomicU64, Ordering};
use raw_cpuid::CpuId;
use spin::Once;
use x86::msr::{IA32_TSC_DEADLINE, wrmsr};

pub(crate) use calibrate::Reference;

/// The speeds of this machine's clocks.
struct Clocks {
    /// Ticks of the time-stamp counter per second.
    ticks_per_second: u64,
    /// Ticks per nanosecond, times 2^32.
    ticks_per_nanosecond: u64,
    /// Counts of the local timer per nanosecond, times 2^32; 0 when it compares with the
    /// time-stamp counter instead.
    counts_per_nanosecond: u64,
    /// Seconds since 1970 at tick 0.
    boot_time: u64,
}

/// Nanoseconds per tick, times 2^32. By itself, because every switch asks what time it is.
static NANOSECONDS_PER_TICK: AtomicU64 = AtomicU64::new(0);

static CLOCKS: Once<Clocks> = Once::new();

/// When the kernel's first instruction ran.
static ENTERED: AtomicU64 = AtomicU64::new(0);

/// Notes when the kernel's first instruction ran, in ticks.
pub(crate) fn set_entered(ticks: u64) {
    ENTERED.store(ticks, Ordering::Relaxed);
}

/// When the kernel's first instruction ran, in ticks.
pub(crate) fn entered() -> u64 {
    ENTERED.load(Ordering::Relaxed)
}

fn clocks() -> &'static Clocks {
    CLOCKS.get().expect("clocks are measured before anything asks for the time")
}

/// Measures the clocks against `reference`. Runs once, on the first CPU.
pub(crate) fn init(reference: &Reference) {
    let measured = calibrate::measure(reference);
    let has_deadline = CpuId::new().get_feature_info().is_some_and(|info| info.has_tsc_deadline());
    let scale = |a: u64, b: u64| ((u128::from(a) << 32) / u128::from(b.max(1))) as u64;
    const SECOND: u64 = 1_000_000_000;
    let ticks_per_second = measured.ticks_per_second;
    let counts = if has_deadline { 0 } else { measured.counts_per_second };
    let nanoseconds_per_tick = scale(SECOND, ticks_per_second);
    NANOSECONDS_PER_TICK.store(nanoseconds_per_tick, Ordering::Relaxed);
    let since_reset = multiply(ticks(), nanoseconds_per_tick) / SECOND;
    CLOCKS.call_once(|| Clocks {
        ticks_per_second,
        ticks_per_nanosecond: scale(ticks_per_second, SECOND),
        counts_per_nanosecond: scale(counts, SECOND),
        boot_time: rtc::read().saturating_sub(since_reset),
    });
}

/// Sets up this CPU's timer.
pub(crate) fn enable() {
    let mode = if clocks().counts_per_nanosecond == 0 { local::TIMER_DEADLINE } else { 0 };
    local::set_timer_mode(mode);
    // The mode must have arrived before the first deadline (SDM 3A, 11.5.4.1).
    // SAFETY: a fence changes nothing else.
    unsafe { core::arch::x86_64::_mm_mfence() };
}

/// The time-stamp counter.
#[inline]
pub(crate) fn ticks() -> u64 {
    // SAFETY: reading the counter changes nothing.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[inline]
fn multiply(value: u64, scale: u64) -> u64 {
    ((u128::from(value) * u128::from(scale)) >> 32) as u64
}

/// Converts ticks to nanoseconds.
#[inline]
pub(crate) fn nanoseconds(ticks: u64) -> u64 {
    multiply(ticks, NANOSECONDS_PER_TICK.load(Ordering::Relaxed))
}

/// Ticks per second.
pub(crate) fn ticks_per_second() -> u64 {
    clocks().ticks_per_second
}

/// Seconds since 1970 at tick 0.
pub(crate) fn boot_time() -> u64 {
    clocks().boot_time
}

/// Makes this CPU's timer fire at `deadline`, in nanoseconds; a moment that has passed means at
/// once. It may fire early when the deadline is further away than the counter can count.
pub(crate) fn set_timer(deadline: Option<u64>) {
    let clocks = clocks();
    if clocks.counts_per_nanosecond == 0 {
        // Rounded up: firing a tick early would only make the kernel ask again. 0 means none.
        let at = deadline.map_or(0, |at| multiply(at, clocks.ticks_per_nanosecond) + 1);
        // SAFETY: the processor has the register.
        unsafe { wrmsr(IA32_TSC_DEADLINE, at) };
        return;
    }
    let count = deadline.map_or(0, |at| {
        let left = at.saturating_sub(nanoseconds(ticks()));
        (multiply(left, clocks.counts_per_nanosecond) + 1).min(u32::MAX.into())
    });
    local::start_count(count as u32);
}
