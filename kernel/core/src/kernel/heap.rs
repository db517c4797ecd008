//! The kernel's own heap is filled up between operations, so that allocations inside one find room.
//!
//! While it cannot be ([`Phase::Short`]), no call begins that might need more of it. Frees nothing: that
//! is an emergency's business.

use super::Kernel;
use super::cpus::Cpu;
use crate::emergency::Phase;
use crate::machine::Machine;
use crate::memory::Zone;
use crate::syscall;

/// What is set aside for the kernel's heap between operations, in bytes: more than any operation
/// allocates that does not ask first.
const HEAP_RESERVE: usize = 1 << 20;
/// Where memory is in pieces, so little will do.
const HEAP_LEAST: usize = 64 << 10;

impl<M: Machine> Kernel<M> {
    /// Keeps a reserve for the kernel's own heap between operations, so that allocations inside an
    /// operation find room.
    pub(crate) fn top_up_heap(&mut self) {
        if self.machine.heap_reserve() == 0 {
            self.refill_heap();
        }
    }

    #[cold]
    #[inline(never)]
    fn refill_heap(&mut self) {
        let order = |bytes: usize| (bytes / abi::PAGE_SIZE).ilog2() as usize;
        if !self.machine.may_grow_heap() {
            return self.heap_is_short();
        }
        for order in (order(HEAP_LEAST)..=order(HEAP_RESERVE)).rev() {
            let run = self.frames.allocate_run(order, Zone::Normal);
            if let Some(first) = run.or_else(|| self.frames.allocate_run(order, Zone::Dma)) {
                self.machine.grow_heap(first, 1 << order);
                if self.emergency.phase == Phase::Short {
                    self.emergency.phase = Phase::Calm;
                }
                return;
            }
        }
        self.heap_is_short();
    }

    /// There is no memory for the kernel's heap. While it has some left, only calls are answered
    /// that need none or give some back; an emergency is to find more.
    fn heap_is_short(&mut self) {
        let has_enough = self.machine.heap_free() >= HEAP_RESERVE / 2;
        let next = if has_enough { Phase::Calm } else { Phase::Short };
        if self.emergency.is_active() || self.emergency.phase == next {
            return;
        }
        self.emergency.phase = next;
        if next == Phase::Short {
            self.cpus.iter_mut().for_each(Cpu::take_detour);
            self.want_emergency();
        }
    }

    /// Whether a call must not begin, because the kernel's heap is short and it might need some.
    pub(crate) fn lacks_heap_for(&self, number: usize) -> bool {
        self.emergency.phase == Phase::Short && !syscall::gives_back(number)
    }
}
