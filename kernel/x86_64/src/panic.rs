//! The kernel found itself broken: all CPUs stop, and one of them says why.
//!
//! Nothing here allocates or takes a lock. A panic inside a panic says so and stops.

use crate::cpu::Cpu;
use crate::interrupt::local;
use crate::{power, serial, smp, symbols};
use abi::redox::IntRegisters;
use core::arch::asm;
use core::fmt;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use kernel_core::boot::KernelState;
use kernel_core::panic::{Location, PanicAction, Report, StackFrame};
use x86::controlregs::{cr0, cr2, cr3, cr4};

/// Longest backtrace.
const FRAMES_MAX: usize = 32;
/// How long to wait for the other CPUs to stop, in turns of a loop.
const PATIENCE: u32 = 10_000_000;
/// What the exit device tells the tests.
const EXIT_CODE: u8 = kernel_core::power::FAILURE;

/// The CPU that panics, plus 1; 0 while all is well.
static OWNER: AtomicU32 = AtomicU32::new(0);
/// How many others have stopped.
static STOPPED: AtomicU32 = AtomicU32::new(0);
/// The boot option `panic=reboot` was given.
static MUST_REBOOT: AtomicBool = AtomicBool::new(false);

/// Reads the boot option `panic=`. What this machine cannot do is taken as `halt`.
pub(crate) fn init(command_line: &str) {
    let option = command_line.split_whitespace().find_map(|word| word.strip_prefix("panic="));
    let action = option.and_then(PanicAction::parse);
    MUST_REBOOT.store(action == Some(PanicAction::Reboot), Ordering::Relaxed);
}

/// A non-maskable interrupt: some other CPU panics, or the hardware has a complaint that is not
/// for the kernel.
pub(crate) fn non_maskable() {
    if OWNER.load(Ordering::Relaxed) != 0 {
        STOPPED.fetch_add(1, Ordering::Relaxed);
        power::stop();
    }
}

/// The kernel caused a trap.
pub(crate) fn trap(registers: &IntRegisters, message: fmt::Arguments<'_>) -> ! {
    claim();
    report(registers, &message, None)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    claim();
    let mut registers = IntRegisters::default();
    capture(&mut registers);
    let location = info.location().map(|at| Location {
        file: at.file(),
        line: at.line(),
        column: at.column(),
    });
    report(&registers, &info.message(), location)
}

/// The number of this CPU; 0 before it has one.
fn cpu_id() -> u32 {
    Cpu::try_this().map_or(0, |cpu| cpu.id)
}

/// Makes this the panicking CPU. Of two at the same time one gives up; a second panic of the same
/// one ends it.
fn claim() {
    let own = cpu_id() + 1;
    match OWNER.compare_exchange(0, own, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => stop_others(),
        Err(owner) if owner == own => {
            serial::report(format_args!("\n=== PANIC INSIDE THE PANIC REPORT ==="));
            end(PanicAction::Halt)
        }
        Err(_) => power::stop(),
    }
}

fn stop_others() {
    let others = smp::count() - 1;
    if others == 0 {
        return;
    }
    local::send(0, local::command::NON_MASKABLE | local::command::OTHERS);
    for _ in 0..PATIENCE {
        if STOPPED.load(Ordering::Relaxed) == others {
            return;
        }
        core::hint::spin_loop();
    }
}

/// Fills in the registers as they are here. Those that a call may destroy hold what the panic
/// left in them.
#[inline(always)]
fn capture(registers: &mut IntRegisters) {
    // SAFETY: stores 17 words into the structure, which has 20; changes no register but `rax`,
    // after storing it.
    unsafe {
        asm!(
            "mov [rax + 0x00], r15",
            "mov [rax + 0x08], r14",
            "mov [rax + 0x10], r13",
            "mov [rax + 0x18], r12",
            "mov [rax + 0x20], rbp",
            "mov [rax + 0x28], rbx",
            "mov [rax + 0x30], r11",
            "mov [rax + 0x38], r10",
            "mov [rax + 0x40], r9",
            "mov [rax + 0x48], r8",
            "mov [rax + 0x50], rax",
            "mov [rax + 0x58], rcx",
            "mov [rax + 0x60], rdx",
            "mov [rax + 0x68], rsi",
            "mov [rax + 0x70], rdi",
            "mov [rax + 0x90], rsp",
            "lea rcx, [rip]",
            "mov [rax + 0x78], rcx",
            "pushfq",
            "pop rcx",
            "mov [rax + 0x88], rcx",
            in("rax") registers,
            out("rcx") _,
        );
    }
}

fn report(
    registers: &IntRegisters,
    message: &dyn fmt::Display,
    location: Option<Location<'_>>,
) -> ! {
    serial::drain();
    let mut frames = [StackFrame { address: 0, symbol: None }; FRAMES_MAX];
    let count = backtrace(registers, &mut frames);
    let action =
        if MUST_REBOOT.load(Ordering::Relaxed) { PanicAction::Reboot } else { PanicAction::Halt };
    let report = Report {
        message,
        location,
        thread: None,
        state: KernelState::Panic,
        call: None,
        registers: &named(registers),
        frames: &frames[..count],
        action,
    };
    serial::report(format_args!("\n{report}"));
    end(action)
}

fn named(registers: &IntRegisters) -> [(&'static str, u64); 22] {
    let r = registers;
    // SAFETY: reading control registers changes nothing.
    let control = unsafe { [cr0().bits(), cr2(), cr3() as usize, cr4().bits()] };
    [
        ("RAX", r.rax),
        ("RBX", r.rbx),
        ("RCX", r.rcx),
        ("RDX", r.rdx),
        ("RSI", r.rsi),
        ("RDI", r.rdi),
        ("RBP", r.rbp),
        ("RSP", r.rsp),
        ("R8 ", r.r8),
        ("R9 ", r.r9),
        ("R10", r.r10),
        ("R11", r.r11),
        ("R12", r.r12),
        ("R13", r.r13),
        ("R14", r.r14),
        ("R15", r.r15),
        ("RIP", r.rip),
        ("FLG", r.rflags),
        ("CR0", control[0]),
        ("CR2", control[1]),
        ("CR3", control[2]),
        ("CR4", control[3]),
    ]
    .map(|(name, value)| (name, value as u64))
}

/// Follows the frame pointers, which the kernel is compiled with, as long as they stay inside
/// kernel stacks and go up.
fn backtrace(registers: &IntRegisters, frames: &mut [StackFrame<'static>]) -> usize {
    let mut address = registers.rip;
    let mut frame = registers.rbp;
    let mut count = 0;
    while count < frames.len() && address != 0 {
        frames[count] = StackFrame { address: address as u64, symbol: symbols::find(address) };
        count += 1;
        if !frame.is_multiple_of(8) || !Cpu::is_stack(frame) || !Cpu::is_stack(frame + 15) {
            break;
        }
        // SAFETY: both words lie in a mapped stack.
        let (next, back) =
            unsafe { ((frame as *const usize).read(), (frame as *const usize).add(1).read()) };
        if next <= frame && next != 0 {
            break;
        }
        // Back to the call itself, which may be a function's last instruction.
        address = back.saturating_sub(1);
        frame = next;
    }
    count
}

fn end(action: PanicAction) -> ! {
    if action == PanicAction::Reboot {
        power::reset();
    }
    power::exit_device(EXIT_CODE);
    power::stop()
}
