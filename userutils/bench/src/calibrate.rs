//! `CAL` — whether the machine counts as it should.
//!
//! Counting instructions, 1,000 of them are 1,000 ticks and a string instruction is one tick a
//! repetition. Anything else means that the figures are of another kind.

use crate::sample::ticks;
use guest::time::now;
use std::arch::asm;

/// Bytes that the string instructions move.
const SIZE: usize = 4096;
/// How long the clock is compared with the kernel's, in nanoseconds.
const COMPARED: u64 = 20_000_000;

/// Ticks that the instructions take, less what nothing takes. All between the two readings is
/// written down here, so that the compiler adds nothing.
macro_rules! timed {
    ($($instruction:literal),*; $from:expr, $to:expr) => {{
        let run = || {
            let spent: u32;
            // SAFETY: string instructions stay inside both buffers; the direction flag is clear
            // between Rust statements; all registers are named.
            unsafe {
                asm!(
                    "rdtsc", "mov r8d, eax", $($instruction,)* "rdtsc", "sub eax, r8d",
                    out("eax") spent, out("rdx") _, out("r8") _, out("rcx") _,
                    out("rdi") _, out("rsi") _, in("r9") $to, in("r10") $from,
                    options(nostack),
                );
            }
            spent
        };
        (0..50).map(|_| run()).min().unwrap_or(0)
    }};
}

/// The calibration line.
pub(crate) fn line(overhead: u64) -> String {
    let (from, mut to) = (vec![1u8; SIZE], vec![2u8; SIZE]);
    let (from, to) = (from.as_ptr(), to.as_mut_ptr());
    let nothing = timed!(; from, to);
    let nops = timed!(".rept 1000", "nop", ".endr"; from, to) - nothing;
    let move_bytes = timed!("mov rdi, r9", "mov rsi, r10", "mov ecx, 4096", "rep movsb"; from, to);
    let move_words = timed!("mov rdi, r9", "mov rsi, r10", "mov ecx, 512", "rep movsq"; from, to);
    let store_words = timed!("mov rdi, r9", "mov ecx, 512", "rep stosq"; from, to);
    format!(
        "CAL rdtsc_pair={overhead} ticks_per_ns={:.4} nop1000={nops} rep_movsb_4096={} \
         rep_movsq_512={} rep_stosq_512={}",
        rate(),
        move_bytes - nothing,
        move_words - nothing,
        store_words - nothing,
    )
}

/// Ticks in a nanosecond.
fn rate() -> f64 {
    let (start, start_ticks) = (now(), ticks());
    loop {
        let (end, end_ticks) = (now(), ticks());
        if end - start >= COMPARED {
            return (end_ticks - start_ticks) as f64 / (end - start) as f64;
        }
    }
}
