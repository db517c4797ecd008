//! Each CPU's own interrupt controller, the local APIC (SDM 3A, chapter 11).
//!
//! Reached through model-specific registers where the processor offers that (x2APIC), else
//! through memory. Both know the same registers by the same numbers.

use super::vector;
use crate::boot::memory::BootMemory;
use crate::paging::kernel::KernelTables;
use core::sync::atomic::{AtomicUsize, Ordering};
use kernel_core::memory::PhysicalAddress;
use raw_cpuid::CpuId;
use x86::msr::{IA32_APIC_BASE, rdmsr, wrmsr};

/// Registers, by their offset in memory divided by 16.
mod register {
    pub(super) const ID: u32 = 0x02;
    pub(super) const END: u32 = 0x0B;
    pub(super) const SPURIOUS: u32 = 0x0F;
    pub(super) const ERROR_STATUS: u32 = 0x28;
    pub(super) const COMMAND: u32 = 0x30;
    pub(super) const COMMAND_HIGH: u32 = 0x31;
    pub(super) const TIMER: u32 = 0x32;
    pub(super) const LINT0: u32 = 0x35;
    pub(super) const LINT1: u32 = 0x36;
    pub(super) const ERROR: u32 = 0x37;
    pub(super) const TIMER_START: u32 = 0x38;
    pub(super) const TIMER_NOW: u32 = 0x39;
    pub(super) const TIMER_DIVIDE: u32 = 0x3E;
}

/// In the base register: switched on, and in x2APIC mode.
const BASE_ENABLED: u64 = 1 << 11;
const BASE_X2: u64 = 1 << 10;
/// Register 0 as a model-specific register.
const X2_FIRST: u32 = 0x800;

/// In a local vector: delivers nothing.
const MASKED: u32 = 1 << 16;
/// In a local vector: a non-maskable interrupt.
const NON_MASKABLE: u32 = 4 << 8;
/// In the timer's vector: fires when the time-stamp counter passes a deadline.
pub(crate) const TIMER_DEADLINE: u32 = 2 << 17;
/// In the spurious vector: the controller works.
const WORKS: u32 = 1 << 8;
/// The timer counts once per bus clock.
const DIVIDE_BY_1: u32 = 0b1011;

/// In the command: still being sent.
const COMMAND_PENDING: u32 = 1 << 12;
/// In the command: signals, not its end. Wanted for every kind but one.
const COMMAND_ASSERT: u32 = 1 << 14;

/// Kinds of command.
pub(crate) mod command {
    /// An interrupt with the vector in the low byte.
    pub(crate) const FIXED: u32 = 0;
    /// A non-maskable interrupt.
    pub(crate) const NON_MASKABLE: u32 = 4 << 8;
    /// Reset, then wait for a start.
    pub(crate) const INIT: u32 = 5 << 8;
    /// Start in real mode at the page in the low byte.
    pub(crate) const START: u32 = 6 << 8;
}

/// Where the registers are in memory; 0 in x2APIC mode.
static BASE: AtomicUsize = AtomicUsize::new(0);

fn read(register: u32) -> u32 {
    match BASE.load(Ordering::Relaxed) {
        // SAFETY: the register exists in x2APIC mode.
        0 => unsafe { rdmsr(X2_FIRST + register) as u32 },
        // SAFETY: the page is mapped as device memory.
        base => unsafe { ((base + register as usize * 16) as *const u32).read_volatile() },
    }
}

fn write(register: u32, value: u32) {
    match BASE.load(Ordering::Relaxed) {
        // SAFETY: the register exists in x2APIC mode, and callers write what the manual allows.
        0 => unsafe { wrmsr(X2_FIRST + register, value.into()) },
        // SAFETY: the page is mapped as device memory; as above.
        base => unsafe { ((base + register as usize * 16) as *mut u32).write_volatile(value) },
    }
}

fn has_x2() -> bool {
    CpuId::new().get_feature_info().is_some_and(|info| info.has_x2apic())
}

/// Finds the controllers; `address` is where the firmware says they are in memory.
pub(crate) fn find(tables: &mut KernelTables, memory: &mut BootMemory, address: u64) {
    if !has_x2() {
        BASE.store(tables.map_device(memory, PhysicalAddress(address)), Ordering::Relaxed);
    }
}

/// Switches this CPU's controller on.
///
/// # Safety
/// [`find`] ran; gates for the vectors are there.
pub(crate) unsafe fn enable() {
    let mode = if BASE.load(Ordering::Relaxed) == 0 { BASE_X2 } else { 0 };
    // SAFETY: enabling, and x2APIC mode where the processor has it; the address is kept.
    unsafe { wrmsr(IA32_APIC_BASE, rdmsr(IA32_APIC_BASE) | BASE_ENABLED | mode) };
    write(register::SPURIOUS, WORKS | u32::from(vector::SPURIOUS));
    write(register::LINT0, MASKED);
    write(register::LINT1, NON_MASKABLE);
    write(register::ERROR, MASKED);
    write(register::ERROR_STATUS, 0);
    write(register::TIMER_DIVIDE, DIVIDE_BY_1);
    write(register::TIMER, MASKED);
    end();
}

/// This CPU's address.
pub(crate) fn id() -> u32 {
    let id = read(register::ID);
    if BASE.load(Ordering::Relaxed) == 0 { id } else { id >> 24 }
}

/// The interrupt being handled is done with.
pub(crate) fn end() {
    write(register::END, 0);
}

/// Sends a command to the CPU addressed by `to`.
pub(crate) fn send(to: u32, command: u32) {
    let command = command | COMMAND_ASSERT;
    if BASE.load(Ordering::Relaxed) == 0 {
        let both = u64::from(to) << 32 | u64::from(command);
        // SAFETY: one of the commands above; earlier stores are made visible first, which this
        // register, unlike memory, does not see to (SDM 3A, 11.12.3).
        unsafe {
            core::arch::asm!("mfence", "lfence", options(nostack, preserves_flags));
            wrmsr(X2_FIRST + register::COMMAND, both);
        }
        return;
    }
    write(register::COMMAND_HIGH, to << 24);
    write(register::COMMAND, command);
    while read(register::COMMAND) & COMMAND_PENDING != 0 {
        core::hint::spin_loop();
    }
}

/// Sets up the timer's vector, with [`TIMER_DEADLINE`] or without.
pub(crate) fn set_timer_mode(mode: u32) {
    write(register::TIMER, mode | u32::from(vector::TIMER));
}

/// Starts the count-down; 0 stops it.
pub(crate) fn start_count(count: u32) {
    write(register::TIMER_START, count);
}

/// Where the count-down stands.
pub(crate) fn count() -> u32 {
    read(register::TIMER_NOW)
}
