//! All CPUs: started one after the other, held until the kernel is there, then running its loop.

pub(crate) mod flush;
mod trampoline;

use crate::boot::memory::BootMemory;
use crate::cpu::{CPUS_MAX, Cpu, features, float};
use crate::interrupt::{local, vector};
use crate::paging::kernel::KernelTables;
use crate::{serial, time};
use core::arch::asm;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use kernel_core::acpi::madt::{Entry, Madt};
use kernel_core::memory::PhysicalAddress;
use trampoline::Trampoline;
use x86::controlregs::cr3_write;

/// In a CPU's flags in the firmware's table: it is there. (Another bit says that it may be plugged
/// in some time.)
const ENABLED: u32 = 1;

/// How many CPUs run. They are numbered without gaps.
static COUNT: AtomicU32 = AtomicU32::new(1);
/// The loop may begin.
static IS_OPEN: AtomicBool = AtomicBool::new(false);
/// The kernel's top-level table, for CPUs that come up.
static ROOT: AtomicU64 = AtomicU64::new(0);

/// How long after the reset a CPU is told to start, in nanoseconds. Since the P6 they are ready
/// at once; the manual's 10 ms are for older ones.
const RESET_TIME: u64 = 10_000;
/// How long to wait before telling it again, as the manual wants (SDM 3A, 8.4.4.1).
const PATIENCE: u64 = 200_000;
/// How long to wait before giving up: long, because an emulated CPU may have to wait for its host.
const LAST_PATIENCE: u64 = 5_000_000_000;

/// How many CPUs run.
pub(crate) fn count() -> u32 {
    COUNT.load(Ordering::Relaxed)
}

/// The CPUs that run.
pub(crate) fn online() -> impl Iterator<Item = &'static Cpu> {
    (0..count()).map(Cpu::of)
}

/// Starts every CPU that the firmware lists, through code in `page`. Those that do not come up
/// are left out.
pub(crate) fn start(
    tables: &mut KernelTables,
    memory: &mut BootMemory,
    madt: &Madt<'_>,
    page: PhysicalAddress,
) {
    ROOT.store(tables.root().start().0, Ordering::Relaxed);
    let own = Cpu::this().apic_id();
    let listed = madt.entries().filter_map(|entry| match entry {
        Entry::LocalApic(apic) => Some((u32::from(apic.apic_id), apic.flags)),
        Entry::LocalX2Apic(apic) => Some((apic.apic_id, apic.flags)),
        _ => None,
    });
    let is_other = |(id, flags): &(u32, u32)| *id != own && flags & ENABLED != 0;
    let mut others = listed.filter(is_other).map(|(id, _)| id).peekable();
    if others.peek().is_none() {
        return;
    }
    let mut trampoline = Trampoline::new(tables, memory, page, first_steps);
    let mut made = count();
    for apic_id in others {
        let id = count();
        if id as usize == CPUS_MAX {
            break;
        }
        if id == made {
            Cpu::make(tables, memory, id);
            made += 1;
        }
        Cpu::of(id).set_apic_id(apic_id);
        trampoline.prepare(id, Cpu::stack_end(id));
        if wake(Cpu::of(id), trampoline.start_page()) {
            COUNT.store(id + 1, Ordering::Relaxed);
        } else {
            // Back to waiting, so that it cannot come up late on a stack that another CPU has.
            local::send(apic_id, local::command::INIT);
            serial::report(format_args!("CPU with APIC number {apic_id} does not start"));
        }
    }
}

fn wake(cpu: &Cpu, page: u32) -> bool {
    local::send(cpu.apic_id(), local::command::INIT);
    wait(RESET_TIME, || false);
    for patience in [PATIENCE, LAST_PATIENCE] {
        local::send(cpu.apic_id(), local::command::START | page);
        if wait(patience, || cpu.is_online.load(Ordering::Acquire)) {
            return true;
        }
    }
    false
}

/// Waits until `is_over`, at most `nanoseconds`; returns whether it was.
fn wait(nanoseconds: u64, is_over: impl Fn() -> bool) -> bool {
    let start = time::ticks();
    time::set_timer(Some(time::nanoseconds(start) + nanoseconds));
    while time::nanoseconds(time::ticks().wrapping_sub(start)) < nanoseconds {
        if is_over() {
            return true;
        }
        core::hint::spin_loop();
    }
    is_over()
}

/// The first Rust code of another CPU, on its own stack.
extern "C" fn first_steps(id: u32) -> ! {
    let cpu = Cpu::of(id);
    // SAFETY: this CPU is like the first one, which had every feature; each step is done once on
    // it, in the order the first one did them.
    unsafe {
        features::enable();
        float::enable();
        cr3_write(ROOT.load(Ordering::Relaxed));
        cpu.load();
        local::enable();
    }
    time::enable();
    cpu.is_online.store(true, Ordering::Release);
    while !IS_OPEN.load(Ordering::Acquire) {
        halt();
    }
    crate::port::run_loop(cpu)
}

/// Lets the other CPUs begin.
pub(crate) fn open() {
    IS_OPEN.store(true, Ordering::Release);
    for cpu in online().skip(1) {
        local::send(cpu.apic_id(), local::command::FIXED | u32::from(vector::KICK));
    }
}

/// Halts until an interrupt. One that is pending already ends it at once: `sti` takes effect only
/// after the next instruction.
pub(crate) fn halt() {
    // SAFETY: interrupts in kernel mode are noted and nothing else; the CPU's stack is its own.
    unsafe { asm!("sti", "hlt", "cli", options(nostack)) };
}
