//! What portable logic asks of the hardware: memory, page tables, CPUs, lines, a console.
//!
//! `kernel-x86_64` answers with instructions, `kernel-sim` with threads and vectors. A machine
//! saves, restores, maps, copies and reports; it decides nothing.
//!
//! Two halves. [`Machine`] is reached only under the kernel lock, as `kernel.machine`. [`Port`]
//! is what one CPU's own loop needs outside the lock.

use crate::acpi::PciWindow;
use crate::boot::{LoaderTicks, Past, Stage};
use crate::kernel::Kernel;
use crate::memory::{Frame, Frames, NoMemory, Page, Pages, PhysicalAddress};
use abi::redox::IntRegisters;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Debug;
use core::ops::DerefMut;

/// The number of a CPU, from 0 in the order they came up. 0 is the one that booted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CpuId(pub u32);

bitflags::bitflags! {
    /// What a mapping lets user code do, or what an access wants to do.
    #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
    pub struct Access: u8 {
        /// Load.
        const READ = 1;
        /// Store.
        const WRITE = 2;
        /// Fetch instructions. Never together with `WRITE`.
        const EXECUTE = 4;
        /// Device memory: not cached, not reordered.
        const DEVICE = 8;
    }
}

/// Why user code stopped running.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trap {
    /// It asked the kernel for something; [`Context::call`] tells what.
    Call,
    /// It touched memory that its page tables do not allow.
    Fault {
        /// Where.
        address: usize,
        /// What it wanted: exactly one of `READ`, `WRITE`, `EXECUTE`.
        access: Access,
    },
    /// It did what the processor refuses.
    Exception(Exception),
    /// Nothing of its own doing: some interrupt is waiting in [`Machine::next_interrupt`].
    Interrupt,
}

/// A processor exception other than a page fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exception {
    /// Division by zero, or a quotient too large.
    Divide,
    /// One instruction done under single-stepping.
    Step,
    /// A hardware breakpoint or watchpoint: those of the mask's low four bits.
    Watch(u8),
    /// `int3`.
    Breakpoint,
    /// An instruction that does not exist.
    InvalidInstruction,
    /// A privileged instruction, a non-canonical address, a bad segment.
    Protection,
    /// A floating-point or vector operation with an unmasked exception.
    Float,
    /// A misaligned access under alignment checking.
    Alignment,
    /// Any other, by its vector.
    Other(u8),
}

/// An interrupt, taken off a CPU's list by [`Machine::next_interrupt`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Interrupt {
    /// This CPU's one-shot timer fired.
    Timer,
    /// Another CPU asked this one to look at the kernel again.
    Kick,
    /// A device line. It stays masked until [`Machine::unmask_line`].
    Line(u8),
}

/// What a device writes to memory to make a line fire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    /// Where.
    pub address: u64,
    /// What.
    pub data: u32,
}

/// A call as the registers hold it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call {
    /// Which call.
    pub number: usize,
    /// `rdi rsi rdx r10 r8 r9` on x86-64.
    pub arguments: [usize; 6],
}

/// What a thread's hardware breakpoints watch: DR0 to DR3, DR6 and DR7 on x86-64.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DebugRegisters {
    /// Where.
    pub addresses: [usize; 4],
    /// What was hit.
    pub status: usize,
    /// Which are on, and for what.
    pub control: usize,
}

/// The saved registers of one thread: integer, segment bases, floating point. It is handed around
/// by value, so it is small: what it holds is elsewhere.
///
/// `Clone` copies everything, so the floating-point part must have been saved first
/// ([`Machine::suspend`]).
pub trait Context: Clone + Send + 'static {
    /// A thread about to start at `entry` with its stack pointer at `stack`, all other registers
    /// zero and the floating-point state as after reset.
    fn start(entry: usize, stack: usize) -> Self;
    /// The call it stopped at.
    fn call(&self) -> Call;
    /// Puts the answer where the caller reads it.
    fn set_answer(&mut self, answer: usize);
    /// Moves back over the call instruction and puts `number` back, so that running again calls
    /// again.
    fn rewind_call(&mut self, number: usize);
    /// Sets argument register `index`, counted as in [`Call::arguments`].
    fn set_argument(&mut self, index: usize, value: usize);
    /// The integer registers.
    fn registers(&self) -> IntRegisters;
    /// Replaces the integer registers. Privileged bits are refused by keeping the old ones;
    /// returns false, changing nothing, when the instruction or stack pointer is not a user
    /// address.
    fn set_registers(&mut self, registers: &IntRegisters) -> bool;
    /// Where it will go on.
    fn instruction_pointer(&self) -> usize;
    /// Its stack pointer.
    fn stack_pointer(&self) -> usize;
    /// Redirects it: next instruction and stack pointer.
    fn set_pointers(&mut self, instruction: usize, stack: usize);
    /// Sets the thread pointer (fs base on x86-64).
    fn set_thread_pointer(&mut self, value: usize);
    /// The thread pointer.
    fn thread_pointer(&self) -> usize;

    // For tracers. The context has been suspended.

    /// Makes it trap with [`Exception::Step`] after one instruction of user code, or no longer.
    /// [`Context::registers`] does not show it.
    fn set_step(&mut self, is_on: bool);
    /// Whether it is to trap so.
    fn is_stepping(&self) -> bool;
    /// The second segment base (gs on x86-64); the thread pointer is the first.
    fn second_base(&self) -> usize;
    /// Sets it. The address is canonical.
    fn set_second_base(&mut self, value: usize);
    /// The floating-point and vector registers, as the machine saves them.
    fn float(&self) -> &[u8];
    /// Replaces as many of their bytes as are given. Returns false, changing nothing, when the
    /// machine could not load that.
    fn set_float(&mut self, bytes: &[u8]) -> bool;
    /// Its hardware breakpoints.
    fn debug(&self) -> DebugRegisters;
    /// Sets them. Returns false, changing nothing, when they ask for anything but watching user
    /// addresses.
    fn set_debug(&mut self, debug: DebugRegisters) -> bool;
}

/// A screen whose pixels are in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScreenMemory {
    /// Its size, and what its pixels are made of.
    pub mode: terminal::Mode,
    /// The first pixel.
    pub start: PhysicalAddress,
    /// Bytes from one row to the next.
    pub stride: usize,
}

impl ScreenMemory {
    /// Bytes of all rows.
    pub fn size(&self) -> u64 {
        (self.stride * self.mode.height) as u64
    }
}

/// How the machine is to stop for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PowerOff {
    /// Off. The code is for machines that can hand one to whoever started them (QEMU's exit
    /// device); others ignore it.
    Shutdown(u8),
    /// Start again.
    Reset,
}

/// Static facts, for `sys:cpu`.
#[derive(Clone, Debug, Default)]
pub struct CpuFacts {
    /// `GenuineIntel` and the like.
    pub vendor: alloc::string::String,
    /// The model's marketing name.
    pub model: alloc::string::String,
    /// Feature names, separated by spaces.
    pub features: alloc::string::String,
    /// Ticks of [`Machine::ticks`] per second.
    pub ticks_per_second: u64,
}

/// What is reached under the kernel lock.
pub trait Machine: Sized + 'static {
    /// One thread's registers.
    type Context: Context;
    /// One tree of page tables.
    type Space: Debug;

    /// The machine's own boot stages, which run before the kernel's.
    fn stages() -> Vec<Stage<Kernel<Self>>> {
        Vec::new()
    }
    /// Those of them that had to run before there was a kernel, in the order they did.
    fn past_stages() -> Vec<Past> {
        Vec::new()
    }

    // Physical memory. Every address handed in lies in memory that `Frames` owns, or in the boot
    // archive, or in firmware tables; anything else is a bug of the kernel.

    /// Copies out of physical memory. May cross frames.
    fn read(&self, at: PhysicalAddress, into: &mut [u8]);
    /// Copies into physical memory. May cross frames.
    fn write(&mut self, at: PhysicalAddress, from: &[u8]);
    /// Copies inside physical memory; the ranges do not overlap.
    fn copy(&mut self, from: PhysicalAddress, to: PhysicalAddress, length: usize);
    /// Lets `look` see a frame as words.
    fn words<T>(&self, frame: Frame, look: impl FnOnce(&[u64; 512]) -> T) -> T;
    /// Fills a frame with zeroes.
    fn zero(&mut self, frame: Frame);
    /// If the 4-byte aligned word at `at` is `old`, makes it `new`; returns what was there.
    /// Atomic against user code on other CPUs.
    fn compare_exchange(&mut self, at: PhysicalAddress, old: u32, new: u32) -> u32;

    // Page tables. `Frames` supplies the frames that tables are made of.

    /// An empty space.
    fn new_space(&mut self, frames: &mut Frames) -> Result<Self::Space, NoMemory>;
    /// Frees the tables. The mapped frames have been unmapped before; no CPU runs the space, and
    /// none keeps it loaded when this returns.
    fn drop_space(&mut self, frames: &mut Frames, space: Self::Space);
    /// Maps `page`, replacing what was mapped there. Never needs memory when the page already
    /// was mapped.
    fn map(
        &mut self,
        frames: &mut Frames,
        space: &mut Self::Space,
        page: Page,
        frame: Frame,
        access: Access,
    ) -> Result<(), NoMemory>;
    /// What `page` maps to.
    fn lookup(&self, space: &Self::Space, page: Page) -> Option<(Frame, Access)>;
    /// The first mapped page in `pages`. Skips missing tables without visiting their pages.
    fn next_mapped(&self, space: &Self::Space, pages: Pages) -> Option<(Page, Frame, Access)>;
    /// Unmaps at most `removed.len()` pages of `pages`, lowest first, writing what they mapped.
    /// Returns how many were written, and where to go on (`pages.end` when all is done).
    /// The translations may live on in CPUs until [`Machine::flush`].
    fn unmap(
        &mut self,
        space: &mut Self::Space,
        pages: Pages,
        removed: &mut [Frame],
    ) -> (usize, Page);
    /// Changes what mapped pages allow; pages that are not mapped stay so. Empty access keeps the
    /// frame mapped but out of user code's reach ([`Machine::lookup`] still shows it).
    fn protect(&mut self, space: &mut Self::Space, pages: Pages, access: Access);
    /// Maps every page of `pages` that `from` maps into `to` too, at the same place, and adds a
    /// reference to each frame. With `copy_on_write` both lose `WRITE`. The caller flushes
    /// `from`. Returns how many pages were shared; on failure some may have been.
    fn share(
        &mut self,
        frames: &mut Frames,
        from: &mut Self::Space,
        to: &mut Self::Space,
        pages: Pages,
        copy_on_write: bool,
    ) -> Result<usize, NoMemory>;
    /// Makes every CPU that runs or keeps `space` forget its translations of `pages`, and returns
    /// only when they have. CPUs that do not are left alone.
    fn flush(&mut self, space: &Self::Space, pages: Pages);
    /// Makes only this CPU forget them: for a change that allows more than before on the same
    /// frames. Others that remember less fault, and find that it is allowed.
    fn flush_here(&mut self, space: &Self::Space, pages: Pages);

    // Contexts.

    /// Saves the floating-point registers of `context` into it, if this CPU still holds them.
    /// Called before a context leaves its CPU, is cloned or is looked at.
    fn suspend(&mut self, context: &mut Self::Context);

    // CPUs and time.

    /// The CPU this is called on.
    fn this_cpu(&self) -> CpuId;
    /// How many CPUs run.
    fn cpu_count(&self) -> u32;
    /// The cheapest monotonic counter, the same on all CPUs.
    fn ticks(&self) -> u64;
    /// Converts a difference or a moment of [`Machine::ticks`] to nanoseconds.
    fn nanoseconds(&self, ticks: u64) -> u64;
    /// When the kernel's first instruction ran, in ticks.
    fn entered(&self) -> u64;
    /// What the loader took, if there was one that says so.
    fn loader(&self) -> Option<LoaderTicks> {
        None
    }
    /// Seconds since 1970 at tick 0, from the hardware clock.
    fn boot_time(&self) -> u64;
    /// Makes [`Interrupt::Timer`] happen on this CPU at `deadline`, nanoseconds of
    /// [`Machine::nanoseconds`]; `None` cancels. The past means at once.
    fn set_timer(&mut self, deadline: Option<u64>);
    /// Makes [`Interrupt::Kick`] happen on another CPU, soon.
    fn kick(&mut self, cpu: CpuId);
    /// Takes the next interrupt this CPU has seen.
    fn next_interrupt(&mut self) -> Option<Interrupt>;
    /// Lets a line interrupt again.
    fn unmask_line(&mut self, line: u8);
    /// Leads a line that is a wire to a CPU, or to all of them.
    fn route_line(&mut self, line: u8, to: Option<CpuId>);
    /// How a device makes `line` fire on a CPU by writing to memory; `None` for lines that are
    /// wires, or that the machine does not have.
    fn message(&self, line: u8, to: CpuId) -> Option<Message>;
    /// Where drivers find PCI configuration space.
    fn pci_windows(&self) -> Vec<PciWindow> {
        Vec::new()
    }
    /// The name of a PCI device that the kernel drives itself, and no driver may have.
    fn kept_device(&self) -> Option<String> {
        None
    }
    /// Facts about a CPU.
    fn cpu_facts(&self, cpu: CpuId) -> CpuFacts;
    /// 64 bits from the hardware's random source, if it has one.
    fn random(&mut self) -> Option<u64>;

    // Console and power.

    /// Queues bytes for the console; returns how many were taken (fewer when its queue is full;
    /// [`Interrupt::Line`] of [`Machine::console_line`] tells when to try again).
    fn console_write(&mut self, bytes: &[u8]) -> usize;
    /// Takes received bytes; returns how many.
    fn console_read(&mut self, into: &mut [u8]) -> usize;
    /// The interrupt line of the console.
    fn console_line(&self) -> u8;
    /// The interrupt line of a second port like the console's, which nothing is written to by
    /// itself, if the machine has one.
    fn second_line(&self) -> Option<u8> {
        None
    }
    /// As [`Machine::console_write`], for the second port.
    fn second_write(&mut self, _bytes: &[u8]) -> usize {
        0
    }
    /// As [`Machine::console_read`], for the second port.
    fn second_read(&mut self, _into: &mut [u8]) -> usize {
        0
    }
    /// The screen, if the machine has one whose pixels are in memory.
    fn screen(&self) -> Option<ScreenMemory> {
        None
    }
    /// Writes a piece of row `y` of the screen from column `x` on. It lies inside the screen.
    fn draw(&mut self, _x: usize, _y: usize, _pixels: &[u32]) {}
    /// The interrupt line of a PS/2 keyboard, if there is one.
    fn keyboard_line(&self) -> Option<u8> {
        None
    }
    /// Takes bytes that the keyboard sent (scan code set 1); returns how many.
    fn keyboard_read(&mut self, _into: &mut [u8]) -> usize {
        0
    }
    /// Ends everything. Does not return on real machines; the simulated one returns and stops
    /// giving out CPUs.
    fn power_off(&mut self, how: PowerOff);

    // The kernel's own heap.

    /// Allocations from the kernel heap since boot.
    fn heap_allocations(&self) -> u64;
    /// Bytes free in the kernel heap.
    fn heap_free(&self) -> usize;
    /// Bytes in use in the kernel heap.
    fn heap_used(&self) -> usize;
    /// Bytes set aside for the kernel heap, in one piece: it takes them when an allocation finds no
    /// room, however scattered what is free may be.
    fn heap_reserve(&self) -> usize;
    /// Whether the kernel heap can take more at all.
    fn may_grow_heap(&self) -> bool {
        true
    }
    /// Sets `count` contiguous frames aside for the kernel heap, for good.
    fn grow_heap(&mut self, first: Frame, count: usize);
}

/// What one CPU's loop needs outside the kernel lock.
pub trait Port {
    /// The machine behind the lock.
    type Machine: Machine;
    /// Holding it is holding the kernel lock.
    type Guard<'a>: DerefMut<Target = Kernel<Self::Machine>>
    where
        Self: 'a;

    /// Takes the kernel lock.
    fn lock(&self) -> Self::Guard<'_>;
    /// Runs user code until it stops. The lock is not held. `space` is a number the machine gave
    /// for the space when it was chosen under the lock ([`Port::Loaded`]).
    fn run(&self, context: &mut <Self::Machine as Machine>::Context, space: &Self::Loaded) -> Trap;
    /// What `run` needs to know of a space, copied out under the lock.
    type Loaded: Clone;
    /// Makes that copy. Called under the lock when a task is chosen; from then until this CPU
    /// takes the lock again the machine counts this CPU as running the space.
    fn load(kernel: &mut Self::Machine, space: &<Self::Machine as Machine>::Space) -> Self::Loaded;
    /// Gives up the lock and halts until an interrupt; an interrupt that came before is enough.
    fn hibernate<'a>(&'a self, guard: Self::Guard<'a>) -> Self::Guard<'a>;
    /// Whether this CPU must leave the loop (the simulated machine at the end of a story).
    fn is_over(&self) -> bool {
        false
    }
}
