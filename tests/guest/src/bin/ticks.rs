//! `ticks` — clocks never go back.

use guest::abi::redox::flag::{CLOCK_MONOTONIC, CLOCK_REALTIME};
use guest::report::{Case, Check, equal, holds, refused, run};
use guest::time::{now, read, sleep_ms};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const HELP: &str = "\
ticks - see that clocks never go back

Usage: ticks [--list | CASE...]

Reads clocks many times, in one thread and in several at once.
";

const CASES: &[Case] = &[
    ("monotonic", || never_back(CLOCK_MONOTONIC)),
    ("realtime", || never_back(CLOCK_REALTIME)),
    ("across-threads", across_threads),
    ("sleep-is-long-enough", sleep_is_long_enough),
    ("unknown-clock", unknown_clock),
];

const READINGS: usize = 10_000;

fn main() -> ExitCode {
    run("ticks", HELP, CASES)
}

fn never_back(clock: usize) -> Check {
    let mut last = read(clock)?;
    for _ in 0..READINGS {
        let this = read(clock)?;
        holds(&format!("{this} after {last}"), this >= last)?;
        last = this;
    }
    Ok(())
}

/// A reading is never below one that another CPU published before.
fn across_threads() -> Check {
    static HIGHEST: AtomicU64 = AtomicU64::new(0);
    let read_many = || {
        let mut backwards = 0;
        for _ in 0..READINGS {
            let published = HIGHEST.load(Ordering::SeqCst);
            let this = now();
            backwards += usize::from(this < published);
            HIGHEST.fetch_max(this, Ordering::SeqCst);
        }
        backwards
    };
    let threads: Vec<_> = (0..4).map(|_| thread::spawn(read_many)).collect();
    for thread in threads {
        let backwards = thread.join().map_err(|_| String::from("a thread panicked"))?;
        equal("readings below an earlier one", backwards, 0)?;
    }
    Ok(())
}

fn sleep_is_long_enough() -> Check {
    for millis in [1, 5, 20] {
        let start = now();
        sleep_ms(millis);
        let slept = now() - start;
        holds(&format!("{millis} ms of sleep took {slept} ns"), slept >= millis * 1_000_000)?;
    }
    Ok(())
}

fn unknown_clock() -> Check {
    for clock in [0, 2, 99, usize::MAX] {
        refused(
            &format!("clock {clock}"),
            read(clock).map(|_| 0),
            guest::abi::redox::error::EINVAL,
        )?;
    }
    Ok(())
}
