//! `trace-check` — what a tracer sees and does, on the real processor.

use guest::abi::number::GETPPID;
use guest::abi::redox::error::{EINVAL, ESRCH};
use guest::abi::redox::flag::O_EXCL;
use guest::abi::signal::{SIGKILL, SIGSEGV, SIGTERM};
use guest::abi::trace::{STOP_HARDWARE, STOP_NOW};
use guest::errno;
use guest::file::read_path;
use guest::memory::Mapping;
use guest::process::{Child, Ended, exit_thread, pid, thread};
use guest::report::{Case, Check, equal, holds, run};
use guest::time::sleep_ms;
use guest::trace::*;
use std::arch::{asm, naked_asm};
use std::process::ExitCode;

const HELP: &str = "\
trace-check - see that tracing works on this processor

Usage: trace-check [--list | CASE...]
";

const CASES: &[Case] = &[
    ("calls", calls),
    ("busy", busy),
    ("step", step),
    ("step-over-call", step_over_call),
    ("step-over-fault", step_over_fault),
    ("step-over-breakpoint", step_over_breakpoint),
    ("breakpoint-in-text", breakpoint_in_text),
    ("borrowed-breakpoint", borrowed_breakpoint),
    ("hardware-breakpoint", hardware_breakpoint),
    ("watchpoint", watchpoint),
    ("registers", registers),
    ("float", float),
    ("stack", stack),
    ("privileges", privileges),
    ("signal", signal),
    ("killed", killed),
    ("threads", threads),
];

fn main() -> ExitCode {
    run("trace-check", HELP, CASES)
}

/// Five instructions, of which the third is a call, the fourth touches memory and the last two
/// lead back to the start. `rdi` is what is touched.
#[unsafe(naked)]
unsafe extern "C" fn round(touched: *mut u8) -> ! {
    naked_asm!(
        "2: mov eax, {number}",
        "xor ebx, ebx",
        "syscall",
        "mov byte ptr [rdi], 1",
        "int3",
        "jmp 2b",
        number = const GETPPID,
    )
}

/// Offsets of its instructions.
const MOVE: usize = 0;
const CLEAR: usize = 5;
const CALL: usize = 7;
const TOUCH: usize = 9;
const TRAP: usize = 12;
const JUMP: usize = 13;

fn start() -> usize {
    round as *const () as usize
}

/// A stopped child whose next instruction is the first of [`round`], with a page that is not there
/// yet to touch.
fn rounder() -> Result<(Child, Tracer), guest::report::Failure> {
    let mut page = Mapping::pages(1)?;
    let at = page.bytes().as_mut_ptr() as usize;
    let gate = Gate::new()?;
    let child = Child::start(|| {
        gate.wait();
        // SAFETY: the page is ours.
        unsafe { round(at as *mut u8) }
    })?;
    let tracer = Tracer::attach(child.pid)?;
    let mut registers = tracer.registers()?;
    registers.rip = start();
    registers.rdi = at;
    tracer.set_registers(&registers)?;
    Ok((child, tracer))
}

fn is_at(what: &str, tracer: &Tracer, offset: usize) -> Check {
    equal(what, tracer.registers()?.rip.wrapping_sub(start()), offset)
}

fn calls() -> Check {
    let child = chatterer()?;
    let tracer = Tracer::attach(child.pid)?;
    for _ in 0..100 {
        let before = tracer.until(PRE | POST, PRE)?;
        equal("the call", before.a, GETPPID)?;
        let after = tracer.until(PRE | POST, POST)?;
        equal("its answer", (after.a, after.b), (GETPPID, pid()))?;
    }
    Ok(())
}

/// A thread that runs on another CPU, or has just lost this one, stops when it is told to.
fn busy() -> Check {
    let child = computer()?;
    for _ in 0..50 {
        let tracer = Tracer::attach(child.pid)?;
        let stopped = tracer.registers()?.rip;
        equal("a stopped thread", tracer.registers()?.rip, stopped)?;
        tracer.go(0)?;
        tracer.go(STOP_NOW)?;
        equal("the stop", tracer.next()?.cause.bits(), STOP_NOW)?;
        tracer.until(STEP, STEP)?;
    }
    child.signal(SIGTERM)?;
    equal("the end", child.wait()?, Ended::Signalled(SIGTERM as u8))
}

fn step() -> Check {
    let (_child, tracer) = rounder()?;
    let order = [CLEAR, CALL, TOUCH, TRAP];
    for offset in order {
        let event = tracer.until(STEP, STEP)?;
        equal("where it is told", event.a - start(), offset)?;
        is_at("where it is", &tracer, offset)?;
        let registers = tracer.registers()?;
        equal("the trap flag", registers.rflags & 0x100, 0)?;
        equal("the trap flag in r11", registers.r11 & 0x100, 0)?;
    }
    Ok(())
}

fn step_over_call() -> Check {
    let (_child, tracer) = rounder()?;
    tracer.until(STEP, STEP)?;
    tracer.until(STEP, STEP)?;
    tracer.until(STEP | PRE, PRE)?;
    is_at("before the call", &tracer, TOUCH)?;
    tracer.until(STEP, STEP)?;
    is_at("behind the call", &tracer, TOUCH)?;
    equal("its answer", tracer.registers()?.rax, pid())
}

fn step_over_fault() -> Check {
    let (_child, tracer) = rounder()?;
    let mut registers = tracer.registers()?;
    registers.rip = start() + TOUCH;
    tracer.set_registers(&registers)?;
    let mut byte = [7];
    tracer.memory(0)?.read(registers.rdi, &mut byte)?;
    equal("before", byte[0], 0)?;
    tracer.until(STEP, STEP)?;
    is_at("behind the touch", &tracer, TRAP)?;
    tracer.memory(0)?.read(registers.rdi, &mut byte)?;
    equal("after", byte[0], 1)
}

fn step_over_breakpoint() -> Check {
    let (_child, tracer) = rounder()?;
    let event = tracer.until(BREAKPOINT, BREAKPOINT)?;
    equal("where it is told", event.a, start() + TRAP)?;
    is_at("on the breakpoint", &tracer, TRAP)?;
    tracer.until(STEP | BREAKPOINT, BREAKPOINT)?;
    let mut registers = tracer.registers()?;
    registers.rip = start() + JUMP;
    tracer.set_registers(&registers)?;
    tracer.until(STEP, STEP)?;
    is_at("round again", &tracer, MOVE)
}

fn breakpoint_in_text() -> Check {
    let (_child, tracer) = rounder()?;
    let memory = tracer.memory(0)?;
    let mut old = [0];
    memory.read(start() + CLEAR, &mut old)?;
    memory.write(start() + CLEAR, &[0xCC])?;
    // SAFETY: reading this program's own text.
    let own = unsafe { *((start() + CLEAR) as *const u8) };
    equal("this program's text", own, old[0])?;
    tracer.until(BREAKPOINT, BREAKPOINT)?;
    is_at("on the breakpoint", &tracer, CLEAR)?;
    memory.write(start() + CLEAR, &old)?;
    tracer.until(STEP, STEP)?;
    is_at("over it", &tracer, CALL)
}

fn borrowed_breakpoint() -> Check {
    let (child, tracer) = rounder()?;
    let memory = tracer.memory(O_EXCL)?;
    memory.write(start() + CLEAR, &[0xCC])?;
    tracer.until(BREAKPOINT, BREAKPOINT)?;
    drop(memory);
    tracer.until(STEP, STEP)?;
    is_at("over it", &tracer, CALL)?;
    drop(tracer);
    drop(child);
    Ok(())
}

fn hardware_breakpoint() -> Check {
    let (_child, tracer) = rounder()?;
    tracer.set_debug([start() + TOUCH, 0, 0, 0], 1)?;
    for _ in 0..3 {
        let event = tracer.until(STOP_HARDWARE | BREAKPOINT, STOP_HARDWARE)?;
        equal("which", event.a, 1)?;
        is_at("before the instruction", &tracer, TOUCH)?;
        tracer.until(STOP_HARDWARE | BREAKPOINT, BREAKPOINT)?;
        let mut registers = tracer.registers()?;
        registers.rip = start() + JUMP;
        tracer.set_registers(&registers)?;
    }
    tracer.set_debug([0; 4], 0)?;
    tracer.until(STOP_HARDWARE | BREAKPOINT, BREAKPOINT)?;
    Ok(())
}

fn watchpoint() -> Check {
    let (_child, tracer) = rounder()?;
    let at = tracer.registers()?.rdi;
    // One byte, written.
    tracer.set_debug([0, at, 0, 0], 1 << 2 | 1 << 20)?;
    let event = tracer.until(STOP_HARDWARE | BREAKPOINT, STOP_HARDWARE)?;
    equal("which", event.a, 2)?;
    is_at("behind the touch", &tracer, TRAP)
}

fn registers() -> Check {
    let (_child, tracer) = rounder()?;
    let mut registers = tracer.registers()?;
    registers.r12 = 0x1234_5678_9ABC_DEF0;
    registers.rbp = 42;
    registers.r11 = 7;
    registers.rcx = 8;
    tracer.set_registers(&registers)?;
    tracer.until(STEP, STEP)?;
    let found = tracer.registers()?;
    let pick = |r: &guest::abi::redox::IntRegisters| [r.r12, r.rbp, r.r11, r.rcx, r.rdi, r.rsp];
    equal("the registers", pick(&found), pick(&registers))?;
    let bases = tracer.file("regs/env")?;
    let mut bytes = [0; 16];
    equal("the bases", bases.read(&mut bytes)?, 16)?;
    bytes[8..].copy_from_slice(&0x5000usize.to_ne_bytes());
    bases.write(&bytes)?;
    tracer.until(STEP, STEP)?;
    let mut found = [0; 16];
    tracer.file("regs/env")?.read(&mut found)?;
    equal("the bases set", found, bytes)
}

/// Calls itself `depth` times, then waits for its end.
#[inline(never)]
fn descend(depth: usize) -> usize {
    if depth == 0 {
        loop {
            sleep_ms(1000);
        }
    }
    // Adding keeps this from being a jump.
    std::hint::black_box(descend(depth - 1)) + depth
}

/// A program's own backtrace: the compiler's frame pointers lead from the call it is in to where it
/// began.
fn stack() -> Check {
    const DEPTH: usize = 20;
    let child = Child::start(|| descend(DEPTH) as u8)?;
    sleep_ms(20);
    let tracer = Tracer::attach(child.pid)?;
    let mut text = [0; 4096];
    let text = read_path(&format!("proc:{}/stack", child.pid), &mut text)?;
    let lines = text.lines().filter_map(|line| line.split_once(' ')?.0.strip_prefix("0x"));
    let places: Vec<usize> =
        lines.filter_map(|place| usize::from_str_radix(place, 16).ok()).collect();
    holds("every line is a place", places.len() == text.lines().count())?;
    equal("the innermost", places[0], tracer.registers()?.rip)?;
    let function = descend as *const () as usize;
    let inside = places.iter().filter(|place| (function..function + 512).contains(place)).count();
    holds("every call is there", inside >= DEPTH)
}

/// The child's vector registers are read and changed, and are its own.
fn float() -> Check {
    let child = Child::start(|| {
        let mut value: u64 = 0x1111;
        // SAFETY: an endless loop that touches only registers; the value moves through one.
        unsafe {
            asm!(
                "movq xmm5, {0}",
                "2: movq {0}, xmm5",
                "cmp {0}, 0x2222",
                "jne 2b",
                inout(reg) value,
                out("xmm5") _,
            );
        }
        (value >> 8) as u8
    })?;
    sleep_ms(5);
    let tracer = Tracer::attach(child.pid)?;
    let mut float = tracer.float()?;
    let registers = float.xmm_space;
    equal("xmm5", registers[5], 0x1111)?;
    float.xmm_space[5] = 0x2222;
    let file = tracer.file("regs/float")?;
    equal("the write", file.write(&float)?, float.len())?;
    let mut whole = vec![0; 16 << 10];
    let size = tracer.file("regs/xsave")?.read(&mut whole)?;
    equal("the same in the whole", &whole[240..248], &0x2222u64.to_ne_bytes()[..])?;
    equal("the whole again", tracer.file("regs/xsave")?.write(&whole[..size])?, size)?;
    drop(tracer);
    equal("the end", child.wait()?, Ended::Exited(0x22))
}

/// Registers cannot be set to what a program may not have.
fn privileges() -> Check {
    let (_child, tracer) = rounder()?;
    let good = tracer.registers()?;
    let mut bad = good;
    // Interrupts off, I/O privilege, nested task, virtual 8086 mode.
    bad.rflags = 3 << 12 | 1 << 14 | 1 << 17;
    (bad.cs, bad.ss) = (0x08, 0x10);
    tracer.set_registers(&bad)?;
    tracer.until(STEP, STEP)?;
    let found = tracer.registers()?;
    equal("flags", found.rflags & (1 << 9 | 3 << 12 | 1 << 14 | 1 << 17), 1 << 9)?;
    equal("segments", (found.cs & 3, found.ss & 3), (3, 3))?;
    for address in [1 << 47, 0xFFFF_8000_0000_0000, usize::MAX] {
        let mut bad = good;
        bad.rip = address;
        equal("a far instruction", errno(tracer.set_registers(&bad)), EINVAL)?;
    }
    let mut float = tracer.float()?;
    float.mxcsr = 0xFFFF_0000;
    equal("mxcsr", errno(tracer.file("regs/float")?.write(&float)), EINVAL)?;
    let mut whole = vec![0; 16 << 10];
    let size = tracer.file("regs/xsave")?.read(&mut whole)?;
    for (what, at) in [("unknown parts", 519), ("compacted form", 527), ("the rest", 560)] {
        if size > at {
            let mut bad = whole[..size].to_vec();
            bad[at] = 0x80;
            equal(what, errno(tracer.file("regs/xsave")?.write(&bad)), EINVAL)?;
        }
    }
    let kernel = 0xFFFF_8000_0000_0000;
    equal("a kernel address", errno(tracer.set_debug([kernel, 0, 0, 0], 1)), EINVAL)?;
    equal("ports", errno(tracer.set_debug([0; 4], 1 | 2 << 16)), EINVAL)?;
    tracer.until(STEP, STEP)?;
    Ok(())
}

fn signal() -> Check {
    let gate = Gate::new()?;
    let child = Child::start(|| {
        gate.wait();
        // SAFETY: nothing is mapped there, which is the point.
        unsafe { asm!("mov byte ptr [{}], 1", in(reg) 0x1000usize) };
        0
    })?;
    let tracer = Tracer::attach(child.pid)?;
    gate.open();
    let event = tracer.until(SIGNAL, SIGNAL)?;
    equal("the signal", (event.a, event.e), (SIGSEGV, 0x1000))?;
    let event = tracer.until(EXIT, EXIT)?;
    let ended = Ended::Signalled(SIGSEGV as u8);
    equal("the end told", event.a, ended.status() as usize)?;
    tracer.go(0)?;
    equal("the end", child.wait()?, ended)
}

/// Killed while it runs, and while it is stopped; the tracer never hangs.
fn killed() -> Check {
    for is_stopped in [false, true] {
        for body in [chatterer, computer] {
            let child = body()?;
            let tracer = Tracer::attach(child.pid)?;
            if !is_stopped {
                tracer.go(0)?;
            }
            child.signal(SIGKILL)?;
            equal("the end", child.wait()?, Ended::Signalled(SIGKILL as u8))?;
            equal("the session", errno(tracer.next().map(|_| 0)), ESRCH)?;
        }
    }
    Ok(())
}

/// How often each of two threads hits its breakpoint.
const HITS: usize = 20;
static mut STACK: [u8; 32 << 10] = [0; 32 << 10];

extern "C" fn hit(_: usize) -> ! {
    for _ in 0..HITS {
        // SAFETY: the tracer leads over it.
        unsafe { asm!("int3") };
    }
    exit_thread(std::ptr::null_mut())
}

/// Two threads hit breakpoints together, each with a session of its own.
fn threads() -> Check {
    let gate = Gate::new()?;
    let child = Child::start(|| {
        gate.wait();
        let stack = &raw mut STACK as usize + (32 << 10);
        // SAFETY: the stack is that thread's alone.
        match unsafe { thread(hit, stack, 0) } {
            Ok(_) => hit(0),
            Err(_) => 1,
        }
    })?;
    const FLAGS: u64 = CLONE | BREAKPOINT | EXIT;
    let first = Tracer::attach(child.pid)?;
    first.go(FLAGS)?;
    gate.open();
    let made = first.next()?;
    equal("the first news", made.cause.bits(), CLONE)?;
    let second = Tracer::attach_thread(child.pid, made.a)?;
    second.go(FLAGS)?;
    for tracer in [&first, &second] {
        for _ in 0..HITS {
            equal("a stop", tracer.next()?.cause.bits(), BREAKPOINT)?;
            let mut registers = tracer.registers()?;
            registers.rip += 1;
            tracer.set_registers(&registers)?;
            tracer.go(FLAGS)?;
        }
        equal("the last stop", tracer.next()?.cause.bits(), EXIT)?;
        tracer.go(0)?;
    }
    equal("the end", child.wait()?, Ended::Exited(0))
}
