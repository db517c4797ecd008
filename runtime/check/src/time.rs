//! Clocks and sleeping.

use crate::{Check, Outcome, holds};
use std::time::{Duration, Instant, SystemTime};

pub(crate) const CHECKS: &[Check] = &[
    ("time/the-monotonic-clock-never-goes-back", monotonic),
    ("time/the-real-clock-is-of-this-century", real),
    ("time/sleep-is-long-enough", sleep),
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
