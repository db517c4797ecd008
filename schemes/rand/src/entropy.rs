//! Entropy: the processor's random-number instructions, the clocks, and the jitter between them.
//!
//! Nothing here is trusted alone. All of it is mixed, so a broken source costs nothing but its
//! own contribution.

use std::arch::x86_64::{_rdrand64_step, _rdseed64_step, _rdtsc};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Words asked of each instruction.
const WORDS: usize = 8;

/// How often to ask again when an instruction has nothing to give: RDRAND by Intel's advice (SDM
/// volume 1, 7.3.17.1), RDSEED more often, as it runs dry sooner.
const RDRAND_TRIES: usize = 10;
const RDSEED_TRIES: usize = 100;

/// Samples of the cycle counter around work of unpredictable length.
const SAMPLES: usize = 64;

/// Gives every piece of entropy to `take`.
pub fn gather(take: &mut dyn FnMut(&[u8])) {
    for word in seed_words().into_iter().chain(random_words()) {
        take(&word.to_le_bytes());
    }
    clocks(take);
    jitter(take);
}

fn seed_words() -> Vec<u64> {
    if !is_x86_feature_detected!("rdseed") {
        return Vec::new();
    }
    // SAFETY: the processor has the instruction, as just checked.
    words(RDSEED_TRIES, |word| unsafe { _rdseed64_step(word) } == 1)
}

fn random_words() -> Vec<u64> {
    if !is_x86_feature_detected!("rdrand") {
        return Vec::new();
    }
    // SAFETY: the processor has the instruction, as just checked.
    words(RDRAND_TRIES, |word| unsafe { _rdrand64_step(word) } == 1)
}

/// Asks an instruction for [`WORDS`] words. A stuck one (some processors answer all ones for ever
/// after sleep) contributes nothing.
fn words(tries: usize, mut step: impl FnMut(&mut u64) -> bool) -> Vec<u64> {
    let mut words = Vec::with_capacity(WORDS);
    for _ in 0..WORDS {
        let mut word = 0;
        if (0..tries).any(|_| step(&mut word)) {
            words.push(word);
        }
    }
    if words.windows(2).all(|pair| pair[0] == pair[1]) {
        words.clear();
    }
    words
}

fn clocks(take: &mut dyn FnMut(&[u8])) {
    if let Ok(now) = SystemTime::now().duration_since(UNIX_EPOCH) {
        take(&now.as_nanos().to_le_bytes());
    }
    take(&std::process::id().to_le_bytes());
    take(&cycles().to_le_bytes());
}

/// How long system calls take, in cycles: caches, interrupts and other CPUs make it vary.
fn jitter(take: &mut dyn FnMut(&[u8])) {
    let mut samples = [0; SAMPLES];
    for sample in &mut samples {
        let before = cycles();
        std::hint::black_box(Instant::now());
        *sample = cycles().wrapping_sub(before) as u8;
    }
    take(&samples);
}

fn cycles() -> u64 {
    // SAFETY: every x86-64 processor has RDTSC, and the kernel lets programs use it.
    unsafe { _rdtsc() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered() -> Vec<u8> {
        let mut all = Vec::new();
        gather(&mut |bytes| all.extend_from_slice(bytes));
        all
    }

    #[test]
    fn there_is_always_something_new() {
        let (first, second) = (gathered(), gathered());
        assert!(first.len() > SAMPLES);
        assert_ne!(first, second);
    }

    #[test]
    fn an_instruction_that_fails_for_ever_gives_nothing() {
        assert!(words(3, |_| false).is_empty());
    }

    #[test]
    fn a_stuck_instruction_gives_nothing() {
        let stuck = |word: &mut u64| {
            *word = u64::MAX;
            true
        };
        assert!(words(3, stuck).is_empty());
    }

    #[test]
    fn an_instruction_that_sometimes_fails_gives_everything() {
        let mut count = 0;
        let every_third = |word: &mut u64| {
            count += 1;
            *word = count;
            count % 3 == 0
        };
        assert_eq!(words(3, every_third), (1..=8).map(|n| n * 3).collect::<Vec<u64>>());
    }
}
