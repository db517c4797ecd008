//! `fpu-soak` — nobody's registers get into anybody else's.
//!
//! Several processes and threads, more than there are CPUs, fill their vector registers, x87
//! control word, MXCSR and general registers with values of their own, compute for a while, yield,
//! and look again.

use guest::process::{Child, Ended, yield_turn};
use guest::time::Deadline;
use std::arch::asm;
use std::process::ExitCode;
use std::thread;

const HELP: &str = "\
fpu-soak - see that registers stay their owner's

Usage: fpu-soak [SECONDS]

Runs for 2 seconds unless told otherwise. Prints the number of rounds and of mistakes.
";

const CHILDREN: u64 = 3;
const THREADS: u64 = 3;
/// How many turns of an empty loop a round holds its registers.
const SPIN: u64 = 30_000;

/// The sixteen vector registers.
#[repr(C, align(32))]
#[derive(Clone, Copy, PartialEq)]
struct Vectors([[u64; 4]; 16]);

/// What one worker puts into its registers.
struct Pattern {
    vectors: Vectors,
    /// SSE control and status: the rounding mode differs.
    mxcsr: u32,
    /// x87 control word: the rounding mode differs.
    control: u16,
    general: [u64; 6],
}

impl Pattern {
    fn new(worker: u64, round: u64) -> Self {
        let word =
            |index: u64| (worker << 48 | round << 16 | index).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let row = |row: usize| std::array::from_fn(|column| word((row * 4 + column) as u64));
        let rounding = (worker + round) as u32 & 3;
        Self {
            vectors: Vectors(std::array::from_fn(row)),
            // Bits 13 and 14 of MXCSR, 10 and 11 of the control word (SDM 1, 10.2.3 and 8.1.5).
            mxcsr: 0x1F80 | rounding << 13,
            control: 0x037F | (rounding as u16) << 10,
            general: std::array::from_fn(|index| word(100 + index as u64)),
        }
    }
}

fn main() -> ExitCode {
    let word = std::env::args().nth(1);
    if matches!(word.as_deref(), Some("-h" | "--help")) {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    let Some(seconds) = word.map_or(Some(2), |word| word.parse::<u64>().ok()) else {
        eprintln!("fpu-soak: not a number of seconds\nTry 'fpu-soak --help'.");
        return ExitCode::from(2);
    };
    match soak(seconds) {
        Ok((rounds, 0)) => {
            println!("fpu-soak: {rounds} rounds here, no mistakes in any process");
            ExitCode::SUCCESS
        }
        Ok((_, mistakes)) => {
            println!("fpu-soak: {mistakes} mistakes");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("fpu-soak: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns this process's rounds, and everybody's mistakes.
fn soak(seconds: u64) -> guest::Result<(u64, u64)> {
    let deadline = Deadline::in_ms(seconds * 1000);
    let body = |worker| {
        let (rounds, mistakes) = work(worker, deadline);
        if rounds == 0 { 255 } else { mistakes.min(254) as u8 }
    };
    let children: Vec<Child> =
        (0..CHILDREN).map(|n| Child::start(|| body(n + 1))).collect::<guest::Result<_>>()?;
    let spawn = |n| thread::spawn(move || work(10 + n, deadline));
    let threads: Vec<_> = (0..THREADS).map(spawn).collect();
    let (mut rounds, mut mistakes) = (0, 0);
    for thread in threads {
        let (more, wrong) = thread.join().unwrap_or((0, 1));
        rounds += more;
        mistakes += wrong;
    }
    for child in children {
        if child.wait()? != Ended::Exited(0) {
            mistakes += 1;
        }
    }
    Ok((rounds, mistakes))
}

/// Rounds and mistakes of one worker.
fn work(worker: u64, deadline: Deadline) -> (u64, u64) {
    let wide = std::is_x86_feature_detected!("avx");
    let (mut rounds, mut mistakes) = (0, 0);
    while !deadline.has_passed() {
        let pattern = Pattern::new(worker, rounds);
        let is_right = if wide { hold_wide(&pattern) } else { hold_narrow(&pattern) }
            && hold_general(&pattern)
            && hold_control(&pattern);
        mistakes += u64::from(!is_right);
        rounds += 1;
    }
    (rounds, mistakes)
}

/// Declares a function that keeps a pattern in the vector registers for a while.
macro_rules! hold {
    ($name:ident, $move:literal, $register:literal, $width:literal) => {
        fn $name(pattern: &Pattern) -> bool {
            let mut found = pattern.vectors;
            for row in &mut found.0 {
                row[..$width].fill(0);
            }
            // SAFETY: both pointers are good for 16 rows of 32 bytes; all registers are named.
            unsafe {
                asm!(
                    concat!(".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n",
                        $move, " ", $register, "\\n, [{from} + 32 * \\n]\n.endr"),
                    "2:",
                    "dec {spin}",
                    "jnz 2b",
                    "syscall",
                    concat!(".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n",
                        $move, " [{to} + 32 * \\n], ", $register, "\\n\n.endr"),
                    from = in(reg) &pattern.vectors,
                    to = in(reg) &mut found,
                    spin = inout(reg) SPIN => _,
                    inout("rax") guest::abi::redox::number::SYS_YIELD => _,
                    out("rcx") _, out("r11") _,
                    out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
                    out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
                    out("xmm8") _, out("xmm9") _, out("xmm10") _, out("xmm11") _,
                    out("xmm12") _, out("xmm13") _, out("xmm14") _, out("xmm15") _,
                    options(nostack),
                );
            }
            found == pattern.vectors
        }
    };
}

hold!(hold_wide, "vmovups", "ymm", 4);
hold!(hold_narrow, "movups", "xmm", 2);

/// Keeps a pattern in general registers while being interrupted.
fn hold_general(pattern: &Pattern) -> bool {
    let [a, b, c, d, e, f] = pattern.general;
    let (mut r8, mut r9, mut r10, mut r12, mut r13, mut r14) = (a, b, c, d, e, f);
    // SAFETY: only registers.
    unsafe {
        asm!(
            "2:",
            "dec {spin}",
            "jnz 2b",
            spin = inout(reg) SPIN => _,
            inout("r8") r8, inout("r9") r9, inout("r10") r10,
            inout("r12") r12, inout("r13") r13, inout("r14") r14,
            options(nomem, nostack),
        );
    }
    [r8, r9, r10, r12, r13, r14] == pattern.general
}

/// Sets both control words, lets others run, and looks.
fn hold_control(pattern: &Pattern) -> bool {
    let (mut mxcsr, mut control) = (0u32, 0u16);
    let (mut old_mxcsr, mut old_control) = (0u32, 0u16);
    // SAFETY: rounding modes and masked exceptions only; nothing is computed before they are back.
    unsafe {
        asm!("stmxcsr [{0}]", "fnstcw [{1}]", in(reg) &mut old_mxcsr, in(reg) &mut old_control);
        asm!("ldmxcsr [{0}]", "fldcw [{1}]", in(reg) &pattern.mxcsr, in(reg) &pattern.control);
    }
    yield_turn();
    // SAFETY: as above.
    unsafe {
        asm!("stmxcsr [{0}]", "fnstcw [{1}]", in(reg) &mut mxcsr, in(reg) &mut control);
        asm!("ldmxcsr [{0}]", "fldcw [{1}]", in(reg) &old_mxcsr, in(reg) &old_control);
    }
    mxcsr == pattern.mxcsr && control == pattern.control
}
