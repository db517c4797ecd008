//! `both-gates` — `syscall` and `int 0x80` lead to the same kernel.

use guest::abi::number::{FORK, GETPID, GETPPID, GETTID, OPEN};
use guest::abi::redox::data::TimeSpec;
use guest::abi::redox::flag::{CLOCK_MONOTONIC, O_RDONLY};
use guest::abi::redox::number::*;
use guest::abi::{ANONYMOUS, LOWEST_FREE};
use guest::call::*;
use guest::file::{close, open};
use guest::process::{Ended, exit, wait};
use guest::report::{Case, Check, equal, run};
use std::arch::naked_asm;
use std::process::ExitCode;

const HELP: &str = "\
both-gates - see that syscall and int 0x80 do the same

Usage: both-gates [--list | CASE...]
";

const CASES: &[Case] = &[
    ("same-answers", same_answers),
    ("six-arguments", six_arguments),
    ("fork", fork),
    ("registers-syscall", || registers(probe_syscall, &[RAX, RCX, R11])),
    ("registers-int", || registers(probe_int, &[RAX])),
];

fn main() -> ExitCode {
    run("both-gates", HELP, CASES)
}

fn same_answers() -> Check {
    let mut time = TimeSpec::default();
    let time = &raw mut time as usize;
    let path = "no-such-scheme:x";
    for (what, number, a, b, c) in [
        ("getpid", GETPID, 0, 0, 0),
        ("getppid", GETPPID, 0, 0, 0),
        ("gettid", GETTID, 0, 0, 0),
        ("no such call", 5000, 1, 2, 3),
        ("no such call, all bits", usize::MAX, 1, 2, 3),
        ("close of nothing", SYS_CLOSE, 9_999, 0, 0),
        ("clock", SYS_CLOCK_GETTIME, CLOCK_MONOTONIC, time, 0),
        ("clock to a bad address", SYS_CLOCK_GETTIME, CLOCK_MONOTONIC, 16, 0),
        ("open of nothing", OPEN, path.as_ptr() as usize, path.len(), O_RDONLY),
        ("yield", SYS_YIELD, 0, 0, 0),
        ("map of nothing", SYS_FMAP, ANONYMOUS, 0, 0),
    ] {
        // SAFETY: the buffers are ours; the rest are numbers.
        let (fast, slow) = unsafe { (call3(number, a, b, c), int3(number, a, b, c)) };
        equal(what, answer(slow), answer(fast))?;
    }
    Ok(())
}

/// All argument registers arrive: a read at an offset, and an `openat` with flags in `r10`.
fn six_arguments() -> Check {
    let text = open("sys:uname", O_RDONLY)?;
    let (mut fast, mut slow) = ([0u8; 8], [0u8; 8]);
    // SAFETY: both buffers have 8 bytes.
    let counts = unsafe {
        let fast = fast.as_mut_ptr() as usize;
        let slow = slow.as_mut_ptr() as usize;
        (
            call6(SYS_READ2, text.0, fast, 8, 1, 0, usize::MAX),
            int6(SYS_READ2, text.0, slow, 8, 1, 0, usize::MAX),
        )
    };
    equal("bytes read", counts, (8, 8))?;
    equal("what was read", slow, fast)?;
    let directory = open("sys:", O_RDONLY)?;
    let name = "uname";
    // SAFETY: the kernel only reads the name.
    let fd = unsafe {
        int5(
            SYS_OPENAT_INTO2,
            directory.0,
            name.as_ptr() as usize,
            name.len(),
            O_RDONLY,
            LOWEST_FREE,
        )
    };
    close(answer(fd)?)?;
    Ok(())
}

/// A child made through the slow gate comes back through it.
fn fork() -> Check {
    // SAFETY: the child only ends.
    let pid = answer(unsafe { int0(FORK) })?;
    if pid == 0 {
        exit(7);
    }
    equal("the child", wait(pid as isize, 0)?, Some((pid, Ended::Exited(7))))
}

/// Places of registers in a [`Registers`].
const RAX: usize = 0;
const RCX: usize = 2;
const R11: usize = 10;
const NAMES: [&str; 15] = [
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
];

/// All general registers but `rsp`, in the order of [`NAMES`].
type Registers = [usize; 15];
type Probe = unsafe extern "C" fn(&mut Registers);

/// Declares a function that loads all registers, goes through a gate, and stores them all.
macro_rules! probe {
    ($name:ident, $gate:literal) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(registers: &mut Registers) {
            naked_asm!(
                "push rbx",
                "push rbp",
                "push r12",
                "push r13",
                "push r14",
                "push r15",
                "push rdi",
                "mov rax, [rdi]",
                "mov rbx, [rdi + 8]",
                "mov rcx, [rdi + 16]",
                "mov rdx, [rdi + 24]",
                "mov rsi, [rdi + 32]",
                "mov rbp, [rdi + 48]",
                "mov r8, [rdi + 56]",
                "mov r9, [rdi + 64]",
                "mov r10, [rdi + 72]",
                "mov r11, [rdi + 80]",
                "mov r12, [rdi + 88]",
                "mov r13, [rdi + 96]",
                "mov r14, [rdi + 104]",
                "mov r15, [rdi + 112]",
                "mov rdi, [rdi + 40]",
                $gate,
                "xchg rdi, [rsp]",
                "mov [rdi], rax",
                "mov [rdi + 8], rbx",
                "mov [rdi + 16], rcx",
                "mov [rdi + 24], rdx",
                "mov [rdi + 32], rsi",
                "mov [rdi + 48], rbp",
                "mov [rdi + 56], r8",
                "mov [rdi + 64], r9",
                "mov [rdi + 72], r10",
                "mov [rdi + 80], r11",
                "mov [rdi + 88], r12",
                "mov [rdi + 96], r13",
                "mov [rdi + 104], r14",
                "mov [rdi + 112], r15",
                "pop rax",
                "mov [rdi + 40], rax",
                "pop r15",
                "pop r14",
                "pop r13",
                "pop r12",
                "pop rbp",
                "pop rbx",
                "ret",
            )
        }
    };
}

probe!(probe_syscall, "syscall");
probe!(probe_int, "int 0x80");

/// A call changes no register but those it may.
fn registers(probe: Probe, may_change: &[usize]) -> Check {
    for number in [GETPID, SYS_YIELD, SYS_CLOSE, 5000] {
        let mut before: Registers =
            std::array::from_fn(|index| 0x0101_0101_0101_0101 * (index + 3));
        before[RAX] = number;
        let mut after = before;
        // SAFETY: the calls take numbers only, and the probe keeps what a function must keep.
        unsafe { probe(&mut after) };
        for index in (0..before.len()).filter(|index| !may_change.contains(index)) {
            let what = format!("call {number:#x}: {}", NAMES[index]);
            equal(&what, after[index], before[index])?;
        }
    }
    Ok(())
}
