//! Clocks and sleeping.

use crate::{Check, Outcome, holds, same};
use std::time::{Duration, Instant, SystemTime};

pub(crate) const CHECKS: &[Check] = &[
    ("time/the-monotonic-clock-never-goes-back", monotonic),
    ("time/the-real-clock-is-of-this-century", real),
    ("time/sleep-is-long-enough", sleep),
    ("time/work-is-counted", usage),
];

fn monotonic() -> Outcome {
    let mut last = Instant::now();
    for _ in 0..1000 {
        let now = Instant::now();
        holds!(now >= last);
        last = now;
    }
    Ok(())
}

fn real() -> Outcome {
    let years = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs() / 31_557_600;
    holds!((50..130).contains(&years), "{years} years since 1970");
    Ok(())
}

fn sleep() -> Outcome {
    for millis in [0, 1, 20] {
        let wanted = Duration::from_millis(millis);
        let start = Instant::now();
        std::thread::sleep(wanted);
        let slept = start.elapsed();
        holds!(slept >= wanted && slept < wanted + Duration::from_secs(2), "{slept:?}");
    }
    Ok(())
}

fn usage() -> Outcome {
    let asked = || {
        // SAFETY: all zero is a valid structure, and ours to fill.
        unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            let answer = libc::getrusage(libc::RUSAGE_SELF, &mut usage);
            (
                answer,
                usage.ru_utime.tv_sec * 1_000_000 + i64::from(usage.ru_utime.tv_usec),
                usage.ru_maxrss,
            )
        }
    };
    let (answer, before, resident) = asked();
    same!((answer, resident > 0), (0, true));
    let start = std::time::Instant::now();
    let mut sum = 0_u64;
    while start.elapsed() < std::time::Duration::from_millis(30) {
        sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(7));
    }
    same!(asked().1 > before, true);
    // SAFETY: as above.
    unsafe {
        let mut times: libc::tms = std::mem::zeroed();
        same!(libc::times(&mut times) > 0, true);
    }
    Ok(())
}
