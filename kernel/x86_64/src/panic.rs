//! The kernel found itself broken: all CPUs stop, and one of them says why.
//!
//! Nothing here allocates or takes a lock. A panic inside a panic says so and stops.

use crate::cpu::Cpu;
use crate::pc::Pc;
use crate::{backtrace, port, power, screen, serial, smp};
use abi::redox::IntRegisters;
use core::arch::asm;
use core::fmt;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use kernel_core::boot::KernelState;
use kernel_core::kernel::Kernel;
use kernel_core::machine::{Call, Context as _, CpuId};
use kernel_core::panic::{Location, PanicAction, Report, StackFrame, Thread};
use kernel_core::syscall::ROWS;
use x86::controlregs::{cr0, cr2, cr3, cr4};

/// Longest backtrace.
const FRAMES_MAX: usize = 32;
/// What the exit device tells the tests.
const EXIT_CODE: u8 = kernel_core::power::FAILURE;

/// The CPU that panics, plus 1; 0 while all is well.
static OWNER: AtomicU32 = AtomicU32::new(0);
/// The boot option `panic=reboot` was given.
static MUST_REBOOT: AtomicBool = AtomicBool::new(false);

/// Reads the boot option `panic=`. What this machine cannot do is taken as `halt`.
pub(crate) fn init(command_line: &str) {
    let option = command_line.split_whitespace().find_map(|word| word.strip_prefix("panic="));
    let action = option.and_then(PanicAction::parse);
    MUST_REBOOT.store(action == Some(PanicAction::Reboot), Ordering::Relaxed);
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
        Ok(_) => smp::stop_others(),
        Err(owner) if owner == own => {
            serial::report(format_args!("\n=== PANIC INSIDE THE PANIC REPORT ==="));
            end(PanicAction::Halt)
        }
        Err(_) => power::stop(),
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
    // SAFETY: the others were stopped, and this function does not return.
    let done = unsafe {
        port::inspect(|kernel| {
            let (thread, call) = work(kernel).unzip();
            let call = call.as_ref().and_then(|call| call.as_ref());
            let call = call.map(|call| call as &dyn fmt::Display);
            write(registers, message, location, thread, call, kernel.state)
        })
    };
    done.unwrap_or_else(|| {
        write(registers, message, location, None, None, KernelState::EarlyBoot)
    })
}

/// The thread this CPU works for, and the call it makes. Nothing here may panic: the kernel is
/// broken.
fn work(kernel: &Kernel<Pc>) -> Option<(Thread<'_>, Option<CallText>)> {
    let cpu = &kernel.cpus[CpuId(cpu_id())];
    let task = kernel.tasks.get(cpu.current()?.task.0)?;
    let process = kernel.processes.get(task.process.0)?;
    let context = task.context.as_ref()?;
    let call = context.is_in_call().then(|| CallText(context.call()));
    Some((Thread { name: process.name(), tid: task.tid as usize }, call))
}

/// A call as a person reads it: `read(3, 0x7ffff000, 64)`.
struct CallText(Call);

impl fmt::Display for CallText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Call { number, arguments } = self.0;
        let Some(row) = ROWS.iter().find(|row| row.number == number) else {
            return write!(f, "unknown number {number:#x}");
        };
        write!(f, "{}(", row.name)?;
        for (index, argument) in arguments.iter().take(row.count).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{argument:#x}")?;
        }
        f.write_str(")")
    }
}

fn write(
    registers: &IntRegisters,
    message: &dyn fmt::Display,
    location: Option<Location<'_>>,
    thread: Option<Thread<'_>>,
    call: Option<&dyn fmt::Display>,
    state: KernelState,
) -> ! {
    let mut frames = [StackFrame { address: 0, symbol: None }; FRAMES_MAX];
    let count = backtrace::follow(registers.rip, registers.rbp, &mut frames);
    let must_reboot = MUST_REBOOT.load(Ordering::Relaxed);
    let action = if must_reboot { PanicAction::Reboot } else { PanicAction::Halt };
    let registers = &named(registers);
    let frames = &frames[..count];
    let report = Report { message, location, thread, state, call, registers, frames, action };
    serial::report(format_args!("\n{report}"));
    screen::report(format_args!("{report}"));
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

fn end(action: PanicAction) -> ! {
    if action == PanicAction::Reboot {
        power::reset();
    }
    power::exit_device(EXIT_CODE);
    power::stop()
}
