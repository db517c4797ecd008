//! `rayon-check` — a pool of threads shares out work: sorting, summing, splitting.

use rayon::prelude::*;

/// Numbers without order, the same every time.
fn numbers(count: u64) -> Vec<u64> {
    (0..count).map(|index| index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16).collect()
}

fn fibonacci(n: u32) -> u64 {
    if n < 2 {
        return n.into();
    }
    let (left, right) = rayon::join(|| fibonacci(n - 1), || fibonacci(n - 2));
    left + right
}

fn main() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().expect("four threads");
    pool.install(|| {
        let mut sorted = numbers(100_000);
        sorted.par_sort_unstable();
        assert!(sorted.is_sorted());
        let sum: u64 = (1..=1_000_000_u64).into_par_iter().sum();
        assert_eq!(sum, 500_000_500_000);
        let threads = rayon::broadcast(|context| context.index());
        println!("{} threads, sum {sum}, fibonacci {}", threads.len(), fibonacci(18));
    });
}
