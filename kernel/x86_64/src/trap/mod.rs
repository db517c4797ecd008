//! Traps: what stops user code, and what must not happen in the kernel.

pub(crate) mod entry;

use crate::cpu::Cpu;
use crate::cpu::segments::{KERNEL_CODE, SYSRET_BASE, Stack};
use abi::redox::IntRegisters;
use core::mem::size_of_val;
use entry::{CALL_VECTOR, STUB_SIZE};
use x86::msr::{IA32_FMASK, IA32_LSTAR, IA32_STAR, wrmsr};

/// Flags that `syscall` clears: trap, interrupt, direction, I/O privilege, nested task, alignment
/// check (which would also let the kernel touch user pages).
const CLEARED_FLAGS: u64 = 1 << 8 | 1 << 9 | 1 << 10 | 3 << 12 | 1 << 14 | 1 << 18;

/// The first vector that is an interrupt and no exception.
pub(crate) const FIRST_INTERRUPT: u8 = 0x20;

const BREAKPOINT: usize = 3;
const PAGE_FAULT: u8 = 14;

/// An entry of the interrupt descriptor table: a 64-bit interrupt gate (SDM 3A, 6.14.1).
#[repr(C)]
#[derive(Clone, Copy)]
struct Gate {
    offset_low: u16,
    selector: u16,
    stack: u8,
    kind: u8,
    offset_middle: u16,
    offset_high: u32,
    reserved: u32,
}

impl Gate {
    const EMPTY: Gate = Gate {
        offset_low: 0,
        selector: 0,
        stack: 0,
        kind: 0,
        offset_middle: 0,
        offset_high: 0,
        reserved: 0,
    };

    fn new(target: usize, privilege: u8, stack: u8) -> Self {
        Self {
            offset_low: target as u16,
            selector: KERNEL_CODE,
            stack,
            kind: 0x8E | privilege << 5,
            offset_middle: (target >> 16) as u16,
            offset_high: (target >> 32) as u32,
            reserved: 0,
        }
    }
}

/// The interrupt descriptor table, one for all CPUs: each brings its own stacks.
#[repr(align(4096))]
struct Gates([Gate; 256]);

static mut GATES: Gates = Gates([Gate::EMPTY; 256]);

/// Fills the table.
///
/// # Safety
/// Runs once, before any CPU has loaded the table.
pub(crate) unsafe fn init() {
    let pointer = &raw mut GATES;
    // SAFETY: the caller promises that nobody else uses the table yet.
    let gates = unsafe { &mut *pointer };
    let stubs = &raw const entry::trap_stubs as usize;
    for (vector, gate) in gates.0.iter_mut().enumerate() {
        let privilege = if vector == BREAKPOINT || vector == CALL_VECTOR as usize { 3 } else { 0 };
        *gate = Gate::new(stubs + vector * STUB_SIZE, privilege, 0);
    }
    let special: [(usize, unsafe extern "C" fn(), Stack); 4] = [
        (1, entry::debug_stub, Stack::Debug),
        (2, entry::non_maskable_stub, Stack::NonMaskable),
        (8, entry::double_fault_stub, Stack::DoubleFault),
        (18, entry::machine_check_stub, Stack::MachineCheck),
    ];
    for (vector, stub, stack) in special {
        gates.0[vector] = Gate::new(stub as *const () as usize, 0, stack as u8);
    }
}

/// Makes this CPU use the table and the `syscall` entry.
///
/// # Safety
/// [`init`] ran; the CPU's segments are loaded and its `gs` points to its block.
pub(crate) unsafe fn load() {
    let gates = &raw const GATES;
    let pointer = x86::dtables::DescriptorTablePointer {
        // SAFETY: only the size is taken.
        limit: (size_of_val(unsafe { &(*gates).0 }) - 1) as u16,
        base: gates.cast::<Gate>(),
    };
    let selectors = u64::from(SYSRET_BASE) << 48 | u64::from(KERNEL_CODE) << 32;
    // SAFETY: the gates and the entry point lead to code that handles what comes.
    unsafe {
        x86::dtables::lidt(&pointer);
        wrmsr(IA32_STAR, selectors);
        wrmsr(IA32_LSTAR, entry::syscall_entry as *const () as u64);
        wrmsr(IA32_FMASK, CLEARED_FLAGS);
    }
}

/// A trap in kernel mode: an interrupt while the CPU hibernates, or a bug.
extern "C" fn kernel_trap(registers: &mut IntRegisters, vector: u8, error: u32) {
    if vector >= FIRST_INTERRUPT {
        crate::interrupt::arrived(Cpu::this(), vector);
        return;
    }
    report(registers, vector, error);
}

/// A trap with a stack of its own.
extern "C" fn special_trap(registers: &mut IntRegisters, vector: u8, error: u32) {
    match vector {
        // User code cannot cause these in the kernel: no debug register is ever set for it.
        1 => {}
        2 => crate::smp::non_maskable(registers),
        _ => report(registers, vector, error),
    }
}

/// Ends in the panic report for a trap that the kernel caused.
fn report(registers: &IntRegisters, vector: u8, error: u32) -> ! {
    // SAFETY: reading CR2 changes nothing.
    let address = unsafe { x86::controlregs::cr2() };
    let name = name(vector);
    let at = registers.rip;
    match vector {
        8 if Cpu::is_stack_guard(address) => {
            crate::panic::trap(registers, format_args!("kernel stack overflow at {at:#x}"))
        }
        PAGE_FAULT => crate::panic::trap(
            registers,
            format_args!("{name} in the kernel at {at:#x}, address {address:#x}, code {error:#x}"),
        ),
        _ => crate::panic::trap(
            registers,
            format_args!("{name} in the kernel at {at:#x}, code {error:#x}"),
        ),
    }
}

/// What the manual calls an exception.
fn name(vector: u8) -> &'static str {
    const NAMES: [&str; 22] = [
        "divide error",
        "debug exception",
        "non-maskable interrupt",
        "breakpoint",
        "overflow",
        "bound range exceeded",
        "invalid opcode",
        "device not available",
        "double fault",
        "coprocessor segment overrun",
        "invalid TSS",
        "segment not present",
        "stack-segment fault",
        "general protection fault",
        "page fault",
        "reserved exception",
        "floating-point error",
        "alignment check",
        "machine check",
        "SIMD floating-point exception",
        "virtualization exception",
        "control protection exception",
    ];
    NAMES.get(vector as usize).copied().unwrap_or("unknown exception")
}
