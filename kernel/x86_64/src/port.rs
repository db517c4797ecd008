//! What each CPU's loop needs outside the kernel lock, and the lock itself.

use crate::context::Context;
use crate::cpu::Cpu;
use crate::paging::space::Space;
use crate::pc::Pc;
use crate::smp::{self, flush};
use crate::{interrupt, run};
use kernel_core::kernel::Kernel;
use kernel_core::machine::{CpuId, Port, Trap};
use spin::Once;
use spin::mutex::{SpinMutex, SpinMutexGuard};
use spin::relax::RelaxStrategy;

/// What a CPU does while it waits for the lock: whoever holds it may be waiting for this CPU to
/// forget translations.
pub(crate) struct Answer;

impl RelaxStrategy for Answer {
    #[inline]
    fn relax() {
        flush::answer(Cpu::this());
        core::hint::spin_loop();
    }
}

/// The lock. It is not fair: in a virtual machine the CPU whose turn it were may itself be waiting
/// for a turn on the host, and a queue would make all others wait for it.
static KERNEL: Once<SpinMutex<Kernel<Pc>, Answer>> = Once::new();

/// One CPU's way to the kernel.
pub(crate) struct PcPort;

impl Port for PcPort {
    type Machine = Pc;
    type Guard<'a> = SpinMutexGuard<'a, Kernel<Pc>, Answer>;
    /// The tables are loaded when the space is chosen, under the lock: there is nothing left to
    /// copy out.
    type Loaded = ();

    #[inline]
    fn lock(&self) -> Self::Guard<'_> {
        kernel().lock()
    }

    #[inline]
    fn run(&self, context: &mut Context, _space: &()) -> Trap {
        run::run(context)
    }

    #[inline]
    fn load(_machine: &mut Pc, space: &Space) {
        flush::enter(Cpu::this(), space.root());
    }

    fn hibernate<'a>(&'a self, guard: Self::Guard<'a>) -> Self::Guard<'a> {
        // Whoever changes a space does not have to wake this CPU for it.
        if smp::count() > 1 {
            flush::enter(Cpu::this(), guard.machine.kernel_root());
        }
        drop(guard);
        if !interrupt::is_waiting(Cpu::this()) {
            smp::halt();
        }
        self.lock()
    }
}

#[inline]
fn kernel() -> &'static SpinMutex<Kernel<Pc>, Answer> {
    // SAFETY: `run` puts the kernel there before it lets any CPU into its loop.
    unsafe { KERNEL.get_unchecked() }
}

/// Lets a panic report look at the kernel, if there is one yet.
///
/// # Safety
/// All other CPUs have stopped, and this one does not go on.
pub(crate) unsafe fn inspect<T>(look: impl FnOnce(&Kernel<Pc>) -> T) -> Option<T> {
    // SAFETY: nobody else runs. Whoever held the lock does not come back to find its borrow
    // broken.
    KERNEL.get().map(|kernel| look(unsafe { &*kernel.as_mut_ptr() }))
}

/// Runs the kernel's loop on this CPU.
pub(crate) fn run_loop(cpu: &Cpu) -> ! {
    kernel_core::cpu::run_cpu(&PcPort, CpuId(cpu.id));
    unreachable!("a real machine is never over")
}

/// Builds the kernel where it stays, hands it to all CPUs and runs its loop on this one. (The value
/// is a sixth of a CPU's stack: handed on from function to function, its copies would fill it.)
pub fn start(build: impl FnOnce() -> Kernel<Pc>) -> ! {
    KERNEL.call_once(|| SpinMutex::new(build()));
    smp::open();
    run_loop(Cpu::this())
}
