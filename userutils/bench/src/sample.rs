//! Taking samples, and the lines that come of them.

use std::arch::asm;
use std::fmt::Write as _;

/// Most samples of a row.
const MOST: usize = 20_000;

/// The CPU's clock.
#[inline(always)]
pub(crate) fn ticks() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: `rdtsc` writes these two registers and nothing else. Without `nomem` the compiler
    // moves no memory access across it.
    unsafe { asm!("rdtsc", out("eax") low, out("edx") high, options(nostack, preserves_flags)) };
    u64::from(high) << 32 | u64::from(low)
}

/// The measurements of one run.
pub(crate) struct Bench {
    overhead: u64,
    samples: Vec<u64>,
    text: String,
}

impl Bench {
    /// Finds out what an empty pair of clock readings costs.
    pub(crate) fn new() -> Self {
        let pair = |_| {
            let start = ticks();
            ticks() - start
        };
        let overhead = (0..1000).map(pair).min().unwrap_or(0);
        // The room is touched now, so that no page of it is missing while something is measured.
        let mut samples = vec![1; MOST];
        samples.clear();
        Self { overhead, samples, text: String::new() }
    }

    /// What an empty pair costs.
    pub(crate) fn overhead(&self) -> u64 {
        self.overhead
    }

    /// The lines since the last time.
    pub(crate) fn take_text(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// Measures `operation` `count` times, after doing it `warm` times unmeasured. Returns the
    /// median.
    /// What the operation returns is not looked at.
    #[inline(always)]
    pub(crate) fn row<T>(
        &mut self,
        name: &str,
        warm: usize,
        count: usize,
        mut operation: impl FnMut() -> T,
    ) -> f64 {
        for _ in 0..warm {
            operation();
        }
        for _ in 0..count {
            self.sample(&mut operation);
        }
        self.report(name, 1)
    }

    /// One sample, for rows whose operations differ.
    #[inline(always)]
    pub(crate) fn sample<T>(&mut self, operation: &mut impl FnMut() -> T) {
        let start = ticks();
        operation();
        let end = ticks();
        self.add(end - start);
    }

    /// A sample taken elsewhere.
    #[inline(always)]
    pub(crate) fn add(&mut self, spent: u64) {
        if self.samples.len() < MOST {
            self.samples.push(spent.saturating_sub(self.overhead));
        }
    }

    /// Ends a row. One sample held `share` operations. Returns the median.
    pub(crate) fn report(&mut self, name: &str, share: usize) -> f64 {
        self.samples.sort_unstable();
        let (count, share) = (self.samples.len(), share as f64);
        let at = |index: usize| self.samples.get(index).map_or(0.0, |ticks| *ticks as f64 / share);
        let sum: u64 = self.samples.iter().sum();
        let mean = sum as f64 / count.max(1) as f64 / share;
        let median = at(count / 2);
        writeln!(
            self.text,
            "BENCH {name:<26} n={count:<5} min={:.1} med={median:.1} mean={mean:.1} p99={:.1}",
            at(0),
            at(count * 99 / 100),
        )
        .expect("a string takes all text");
        self.samples.clear();
        median
    }

    /// A point of a curve.
    pub(crate) fn curve(&mut self, name: &str, at: usize, value: f64) {
        writeln!(self.text, "CURVE {name} N={at} value={value:.1}").expect("a string takes text");
    }

    /// A remark for people.
    pub(crate) fn remark(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }
}
