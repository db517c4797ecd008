//! All CPUs: started one after the other, held until the kernel is there, then running its loop.

pub(crate) mod flush;
mod trampoline;

use crate::boot::memory::BootMemory;
use crate::cpu::{CPUS_MAX, Cpu, features, float};
use crate::interrupt::{local, vector};
use crate::paging::kernel::KernelTables;
use crate::{power, serial, time};
use abi::redox::IntRegisters;
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

/// CPUs that have stopped for good because another one said so.
static STOPPED: AtomicU32 = AtomicU32::new(0);
/// The others are to stop at the next non-maskable interrupt.
static MUST_STOP: AtomicBool = AtomicBool::new(false);
/// How long to wait for them, in turns of a loop.
const STOP_PATIENCE: u32 = 10_000_000;

/// In [`Cpu::standing`]: not come up yet.
const COMING: u32 = 0;
/// In [`Cpu::standing`]: runs the loop, or will.
const ONLINE: u32 = 1;
/// In [`Cpu::standing`]: came so late that it may only halt.
const REFUSED: u32 = 2;

/// How long after the reset a CPU is told to start, in nanoseconds. Since the P6 they are ready
/// at once; the manual's 10 ms are for older ones.
const RESET_TIME: u64 = 10_000;

/// How long to wait for a CPU, in nanoseconds.
pub(crate) struct Patience {
    /// Before telling it again.
    first: u64,
    /// Before giving up.
    last: u64,
}

impl Patience {
    /// The boot option `cpu-wait=`, in microseconds. Without it: 200 us before the second telling,
    /// as the manual wants (SDM 3A, 8.4.4.1), and then 5 s, because an emulated CPU may have to
    /// wait for its host.
    pub(crate) fn read(command_line: &str) -> Self {
        let words = command_line.split_ascii_whitespace();
        let mut values = words.filter_map(|word| word.strip_prefix("cpu-wait=")?.parse().ok());
        match values.next() {
            Some(wait) => {
                let wait = u64::from(u32::min(wait, 60_000_000)) * 1000;
                Self { first: wait, last: wait }
            }
            None => Self { first: 200_000, last: 5_000_000_000 },
        }
    }
}

/// How many CPUs run.
pub(crate) fn count() -> u32 {
    COUNT.load(Ordering::Relaxed)
}

/// The CPUs that run.
pub(crate) fn online() -> impl Iterator<Item = &'static Cpu> {
    (0..count()).map(Cpu::of)
}

/// Starts every CPU that the firmware lists, through code in `page`. Those that do not come up
/// are left out; should they come later, they halt.
pub(crate) fn start(
    tables: &mut KernelTables,
    memory: &mut BootMemory,
    madt: &Madt<'_>,
    page: PhysicalAddress,
    patience: &Patience,
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
        trampoline.prepare(id, Cpu::stack_end(id));
        match wake(apic_id, Cpu::of(id), &mut trampoline, patience) {
            Woken::Online => COUNT.store(id + 1, Ordering::Relaxed),
            Woken::Absent => {
                local::send(apic_id, local::command::INIT);
                serial::report(format_args!("CPU with APIC number {apic_id} does not start"));
            }
            // It has this number and stack, and numbers have no gaps.
            Woken::Stuck => {
                serial::report(format_args!("CPU with APIC number {apic_id} stops on its way"));
                break;
            }
        }
    }
}

/// What came of telling a CPU to start.
enum Woken {
    /// It is there.
    Online,
    /// It has not even begun, and will find nothing to do.
    Absent,
    /// It has begun and goes no further.
    Stuck,
}

/// Tells the CPU addressed by `apic_id` to start as `cpu`. One that was given up before may come in
/// its place: then that one is `cpu`, and this one finds nothing to do.
fn wake(apic_id: u32, cpu: &Cpu, trampoline: &mut Trampoline, patience: &Patience) -> Woken {
    let is_online = || cpu.standing.load(Ordering::Acquire) == ONLINE;
    local::send(apic_id, local::command::INIT);
    wait(RESET_TIME, || false);
    for patience in [patience.first, patience.last] {
        local::send(apic_id, local::command::START | trampoline.start_page());
        if wait(patience, is_online) {
            return Woken::Online;
        }
    }
    if trampoline.take_back() {
        return Woken::Absent;
    }
    wait(patience.last, is_online);
    let refused =
        cpu.standing.compare_exchange(COMING, REFUSED, Ordering::Acquire, Ordering::Acquire);
    if refused.is_ok() { Woken::Stuck } else { Woken::Online }
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
    cpu.set_apic_id(local::id());
    time::enable();
    let admitted =
        cpu.standing.compare_exchange(COMING, ONLINE, Ordering::Release, Ordering::Relaxed);
    if admitted.is_err() {
        power::stop();
    }
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

/// Stops all other CPUs for good, wherever they are. Those that are not numbered are left alone:
/// they have no kernel to take the interrupt in.
pub(crate) fn stop_others() {
    if count() == 1 {
        return;
    }
    let own = Cpu::this().id;
    MUST_STOP.store(true, Ordering::Release);
    for cpu in online().filter(|cpu| cpu.id != own) {
        local::send(cpu.apic_id(), local::command::NON_MASKABLE);
    }
    for _ in 0..STOP_PATIENCE {
        if STOPPED.load(Ordering::Relaxed) == count() - 1 {
            return;
        }
        core::hint::spin_loop();
    }
}

/// A non-maskable interrupt: some other CPU ends everything, or the hardware has a complaint that
/// is not for the kernel.
pub(crate) fn non_maskable(registers: &IntRegisters) {
    if MUST_STOP.load(Ordering::Acquire) {
        STOPPED.fetch_add(1, Ordering::Relaxed);
        power::stop();
    }
    crate::panic::trap(
        registers,
        format_args!("non-maskable interrupt: failing hardware, or somebody asked for a report"),
    )
}

/// Halts until an interrupt. One that is pending already ends it at once: `sti` takes effect only
/// after the next instruction.
pub(crate) fn halt() {
    // SAFETY: interrupts in kernel mode are noted and nothing else; the CPU's stack is its own.
    unsafe { asm!("sti", "hlt", "cli", options(nostack)) };
}
