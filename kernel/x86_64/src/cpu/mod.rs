//! One block per CPU: what its entry code, its stacks and its interrupts need.
//!
//! Blocks and stacks of CPU `n` lie in one aligned slot of the kernel's half:
//!
//! ```text
//! page  0      the block            page 23      guard
//! page  1      guard                pages 24..26 non-maskable interrupts
//! pages 2..18  the kernel stack     page 26      guard
//! page 18      guard                pages 27..31 machine checks
//! pages 19..23 double faults        page 31      guard
//!                                   pages 32..34 debug exceptions
//! ```
//!
//! In kernel mode `gs` points to the block of the CPU. Code that an exception may have caught
//! between user and kernel `gs` finds the block from its own stack pointer instead: round down to
//! the slot.

pub(crate) mod debug;
pub(crate) mod features;
pub(crate) mod float;
pub(crate) mod segments;

use crate::boot::memory::BootMemory;
use crate::paging::kernel::{KernelTables, STACKS};
use core::arch::asm;
use core::cell::Cell;
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use segments::{Gdt, Tss};
use x86::controlregs::Cr4;

unsafe extern "C" {
    static early_stack: u8;
    static early_stack_end: u8;
}

/// Most CPUs that are started.
pub(crate) const CPUS_MAX: usize = kernel_core::kernel::CPUS_MAX;
/// Bytes of a slot.
pub(crate) const SLOT: usize = 64 * 4096;

/// The kernel stack: first page of the slot and number of pages.
const KERNEL_STACK: (usize, usize) = (2, 16);
/// The stacks of the interrupt stack table, in the order of [`segments::Stack`].
const SPECIAL_STACKS: [(usize, usize); 4] = [(19, 4), (24, 2), (27, 4), (32, 2)];

/// What belongs to one CPU. Only that CPU touches the cells; others use the atomics.
#[repr(C)]
pub(crate) struct Cpu {
    /// Its own address, for `gs:[0]`.
    this: usize,
    /// Where the kernel's stack stands while user code runs.
    kernel_stack: Cell<usize>,
    /// Holds a user register for an instruction or two on entry.
    scratch: Cell<usize>,
    /// Puts `rsp0` inside the next field on an 8-byte boundary.
    padding: u32,
    /// Its `rsp0` is the end of the running context's registers: a trap pushes right into them.
    tss: Tss,
    gdt: Gdt,
    /// Its number, from 0.
    pub(crate) id: u32,
    /// How its local APIC is addressed.
    apic_id: AtomicU32,
    /// The top-level table in use, as CR3 holds it.
    pub(crate) space: AtomicU64,
    /// Whose floating-point and base registers this CPU last held; see [`crate::context`].
    pub(crate) stamp: Cell<u64>,
    /// Counts the stamps given out here.
    pub(crate) stamps: Cell<u64>,
    /// Its debug registers watch something.
    pub(crate) has_breakpoints: Cell<bool>,
    /// Kinds of interrupt that came and were not taken yet; see [`crate::interrupt`].
    pub(crate) events: Cell<u32>,
    /// Device lines that fired and were not taken yet, one bit each.
    pub(crate) lines: [Cell<u64>; 2],
    /// Somebody waits for this CPU to forget translations.
    pub(crate) flush_wanted: AtomicBool,
    /// How far it has come up; see [`crate::smp`].
    pub(crate) standing: AtomicU32,
}

// The offsets the entry code uses.
pub(crate) const KERNEL_STACK_OFFSET: usize = 8;
pub(crate) const SCRATCH_OFFSET: usize = 16;
pub(crate) const RSP0_OFFSET: usize = 32;
const _: () = assert!(offset_of!(Cpu, kernel_stack) == KERNEL_STACK_OFFSET);
const _: () = assert!(offset_of!(Cpu, scratch) == SCRATCH_OFFSET);
const _: () = assert!(offset_of!(Cpu, tss) + Tss::RSP0_OFFSET == RSP0_OFFSET);
const _: () = assert!(size_of::<Cpu>() <= 4096);

impl Cpu {
    /// The CPU this runs on.
    #[inline]
    pub(crate) fn this() -> &'static Cpu {
        let block: *const Cpu;
        // SAFETY: `gs` points to this CPU's block in kernel mode, and blocks are never freed.
        unsafe {
            asm!("mov {}, gs:[0]", out(reg) block, options(pure, readonly, nostack, preserves_flags));
            &*block
        }
    }

    /// The CPU this runs on, if it has come far enough to have a block.
    pub(crate) fn try_this() -> Option<&'static Cpu> {
        let block: usize;
        // SAFETY: with FSGSBASE on, reading the base changes nothing.
        unsafe {
            if !x86::controlregs::cr4().contains(Cr4::CR4_ENABLE_FSGSBASE) {
                return None;
            }
            asm!("rdgsbase {}", out(reg) block, options(nomem, nostack, preserves_flags));
        }
        (block >= STACKS).then(Cpu::this)
    }

    /// The CPU numbered `id`, which must have been made.
    pub(crate) fn of(id: u32) -> &'static Cpu {
        // SAFETY: the block was made before `id` was given out, and is never freed.
        unsafe { &*((STACKS + id as usize * SLOT) as *const Cpu) }
    }

    /// Makes the block and stacks of CPU `id`.
    pub(crate) fn make(tables: &mut KernelTables, memory: &mut BootMemory, id: u32) {
        let slot = STACKS + id as usize * SLOT;
        let stacks = [(0, 1), KERNEL_STACK].into_iter().chain(SPECIAL_STACKS);
        for (page, pages) in stacks {
            tables.map_fresh(memory, slot + page * 4096, pages);
        }
        let ends = SPECIAL_STACKS.map(|(page, pages)| slot + (page + pages) * 4096);
        let block = slot as *mut Cpu;
        // SAFETY: the page was just mapped, for this block alone.
        unsafe {
            block.write(Cpu {
                this: slot,
                kernel_stack: Cell::new(0),
                scratch: Cell::new(0),
                padding: 0,
                tss: Tss::new(ends),
                gdt: Gdt::new(slot + offset_of!(Cpu, tss)),
                id,
                apic_id: AtomicU32::new(0),
                space: AtomicU64::new(tables.root().start().0),
                stamp: Cell::new(0),
                stamps: Cell::new(0),
                has_breakpoints: Cell::new(false),
                events: Cell::new(0),
                lines: Default::default(),
                flush_wanted: AtomicBool::new(false),
                standing: AtomicU32::new(0),
            });
        }
    }

    /// Makes traps from user mode and `syscall` push their registers below `end`.
    ///
    /// # Safety
    /// This is the CPU it is called on, and there is room for a frame of registers.
    #[inline]
    pub(crate) unsafe fn set_trap_stack(&self, end: usize) {
        // SAFETY: `gs` points to this block; only the processor and the entry code read the field.
        unsafe {
            asm!("mov gs:[{offset}], {end}", offset = const RSP0_OFFSET, end = in(reg) end,
                options(nostack, preserves_flags));
        }
    }

    /// How its local APIC is addressed.
    pub(crate) fn apic_id(&self) -> u32 {
        self.apic_id.load(Ordering::Relaxed)
    }

    /// Settles how its local APIC is addressed.
    pub(crate) fn set_apic_id(&self, id: u32) {
        self.apic_id.store(id, Ordering::Relaxed);
    }

    /// Where the kernel stack of CPU `id` ends.
    pub(crate) const fn stack_end(id: u32) -> usize {
        STACKS + id as usize * SLOT + (KERNEL_STACK.0 + KERNEL_STACK.1) * 4096
    }

    /// Whether `address` lies in the guard page below some kernel stack.
    pub(crate) fn is_stack_guard(address: usize) -> bool {
        let offset = address.wrapping_sub(STACKS);
        offset < CPUS_MAX * SLOT && offset % SLOT / 4096 == KERNEL_STACK.0 - 1
    }

    /// Whether `address` lies in a stack of the kernel.
    pub(crate) fn is_stack(address: usize) -> bool {
        let early = &raw const early_stack as usize..&raw const early_stack_end as usize;
        if early.contains(&address) {
            return true;
        }
        let offset = address.wrapping_sub(STACKS);
        if offset >= crate::smp::count() as usize * SLOT {
            return false;
        }
        let page = offset % SLOT / 4096;
        let is_in = |(first, pages): (usize, usize)| (first..first + pages).contains(&page);
        is_in(KERNEL_STACK) || SPECIAL_STACKS.into_iter().any(is_in)
    }

    /// Makes the processor use this block: segments, `gs`, and the way in from user mode.
    ///
    /// # Safety
    /// Runs once on the CPU the block was made for, with the kernel's tables loaded and the
    /// features checked.
    pub(crate) unsafe fn load(&self) {
        // SAFETY: the tables in the block live forever; the rest is the caller's promise.
        unsafe {
            self.gdt.load();
            x86::msr::wrmsr(x86::msr::IA32_GS_BASE, self.this as u64);
            x86::msr::wrmsr(x86::msr::IA32_KERNEL_GSBASE, 0);
            crate::trap::load();
        }
    }
}

/// Runs `next` on the kernel stack of CPU `id`.
///
/// # Safety
/// The stack is mapped and nobody uses it.
pub(crate) unsafe fn switch_to_stack(id: u32, next: extern "C" fn() -> !) -> ! {
    // SAFETY: the caller gives the stack away; `next` does not return. The zero return address
    // and frame pointer end backtraces.
    unsafe {
        asm!(
            "mov rsp, {stack}",
            "xor ebp, ebp",
            "push 0",
            "jmp {next}",
            stack = in(reg) Cpu::stack_end(id),
            next = in(reg) next,
            options(noreturn)
        );
    }
}
