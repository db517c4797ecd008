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

/// The calibration line.
pub(crate) fn line(overhead: u64) -> String {
    let mut from = vec![1u8; SIZE];
    let mut to = vec![2u8; SIZE];
    let (from, to) = (from.as_mut_ptr(), to.as_mut_ptr());
    let least = |operation: &mut dyn FnMut() -> u64| {
        (0..50).map(|_| operation()).min().unwrap_or(0).saturating_sub(overhead)
    };
    let nops = least(&mut nops);
    // SAFETY: both buffers have `SIZE` bytes.
    let move_bytes = least(&mut || unsafe { string::<{ MOVE_BYTES }>(from, to, SIZE) });
    // SAFETY: as above.
    let move_words = least(&mut || unsafe { string::<{ MOVE_WORDS }>(from, to, SIZE / 8) });
    // SAFETY: as above.
    let store_words = least(&mut || unsafe { string::<{ STORE_WORDS }>(from, to, SIZE / 8) });
    format!(
        "CAL rdtsc_pair={overhead} ticks_per_ns={:.4} nop1000={nops} rep_movsb_4096={move_bytes} \
         rep_movsq_512={move_words} rep_stosq_512={store_words}",
        rate(),
    )
}

fn nops() -> u64 {
    let start = ticks();
    // SAFETY: does nothing.
    unsafe { asm!(".rept 1000", "nop", ".endr", options(nostack, preserves_flags)) };
    ticks() - start
}

const MOVE_BYTES: u8 = 0;
const MOVE_WORDS: u8 = 1;
const STORE_WORDS: u8 = 2;

/// # Safety
///
/// Both pointers are good for `count` items of the kind.
unsafe fn string<const KIND: u8>(from: *const u8, to: *mut u8, count: usize) -> u64 {
    macro_rules! timed {
        ($instruction:literal) => {{
            let start = ticks();
            // SAFETY: the caller's; the direction flag is clear between Rust statements.
            unsafe {
                asm!($instruction, inout("rdi") to => _, inout("rsi") from => _,
                    inout("rcx") count => _, in("rax") 0usize, options(nostack, preserves_flags))
            };
            ticks() - start
        }};
    }
    match KIND {
        MOVE_BYTES => timed!("rep movsb"),
        MOVE_WORDS => timed!("rep movsq"),
        _ => timed!("rep stosq"),
    }
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
