//! The kernel's heap: `talc` over frames seen through the window.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{NonNull, copy_nonoverlapping, null_mut};
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use spin::mutex::SpinMutex;
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::{DefaultBinning, TalcLock};
use talc::source::Source;

/// The heap before any frame is handed out, and for what boot needs.
const FIRST_SIZE: usize = 512 << 10;

static mut FIRST: [u8; FIRST_SIZE] = [0; FIRST_SIZE];

/// Where the heap's memory comes from when an allocation finds no room: first from the kernel's
/// image, later from what [`set_aside`] got. The kernel looks ahead, the heap never asks.
#[derive(Debug)]
struct Supply {
    is_first_given: bool,
    aside: Option<Piece>,
}

/// Memory that nobody uses yet.
#[derive(Debug)]
struct Piece {
    start: *mut u8,
    size: usize,
}

// SAFETY: the memory is the supply's alone.
unsafe impl Send for Piece {}

// SAFETY: never uses the global allocator.
unsafe impl Source for Supply {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, _layout: Layout) -> Result<(), ()> {
        let piece = if core::mem::replace(&mut talc.source.is_first_given, true) {
            HEAP.reserve.store(0, Ordering::Relaxed);
            talc.source.aside.take().ok_or(())?
        } else {
            Piece { start: (&raw mut FIRST).cast(), size: FIRST_SIZE }
        };
        // SAFETY: the static is used for nothing else and given once; what was set aside was given
        // away by its owner, and is taken once.
        unsafe { talc.claim(piece.start, piece.size) };
        Ok(())
    }
}

/// The heap, and how much of it is free and in use, as it was after the last change: the kernel
/// asks often.
struct Heap {
    talc: TalcLock<SpinMutex<()>, Supply>,
    free: AtomicUsize,
    used: AtomicUsize,
    reserve: AtomicUsize,
    allocations: AtomicU64,
}

#[global_allocator]
static HEAP: Heap = Heap {
    talc: TalcLock::new(Supply { is_first_given: false, aside: None }),
    free: AtomicUsize::new(0),
    used: AtomicUsize::new(0),
    reserve: AtomicUsize::new(0),
    allocations: AtomicU64::new(0),
};

impl Heap {
    /// Does something with the heap and notes how much is free.
    #[inline]
    fn with<T>(&self, act: impl FnOnce(&mut Talc<Supply, DefaultBinning>) -> T) -> T {
        let mut talc = self.talc.lock();
        let result = act(&mut talc);
        let counters = talc.counters();
        self.free.store(counters.available_bytes, Ordering::Relaxed);
        self.used.store(counters.allocated_bytes, Ordering::Relaxed);
        self.allocations.store(counters.total_allocation_count, Ordering::Relaxed);
        result
    }
}

// SAFETY: every answer is talc's own, given under its lock.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises a size that is not 0.
        let memory = self.with(|talc| unsafe { talc.allocate(layout) });
        memory.map_or(null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller got the memory here, with the same layout.
        self.with(|talc| unsafe { talc.deallocate(memory, layout) });
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as for `dealloc`; the caller promises a new size that is not 0.
        if self.with(|talc| unsafe { talc.try_realloc_in_place(memory, layout, size) }) {
            return memory;
        }
        // SAFETY: the caller promises that the new size fits the alignment. Both blocks hold what
        // is copied, and the old one is given back as it was got.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                copy_nonoverlapping(memory, new, layout.size().min(size));
                self.dealloc(memory, layout);
            }
            new
        }
    }
}

/// Sets memory aside for the allocation that finds no room. What was set aside before and not
/// needed is given to the heap.
///
/// # Safety
/// The memory belongs to the heap from now on.
pub(crate) unsafe fn set_aside(start: *mut u8, size: usize) {
    HEAP.with(|talc| {
        HEAP.reserve.store(size, Ordering::Relaxed);
        if let Some(old) = talc.source.aside.replace(Piece { start, size }) {
            // SAFETY: it was given away, and is in the heap from here on only.
            unsafe { talc.claim(old.start, old.size) };
        }
    });
}

/// Bytes set aside.
#[inline]
pub(crate) fn reserve() -> usize {
    HEAP.reserve.load(Ordering::Relaxed)
}

/// Allocations since boot.
pub(crate) fn allocations() -> u64 {
    HEAP.allocations.load(Ordering::Relaxed)
}

/// Bytes free.
#[inline]
pub(crate) fn free() -> usize {
    HEAP.free.load(Ordering::Relaxed)
}

/// Bytes in use.
pub(crate) fn used() -> usize {
    HEAP.used.load(Ordering::Relaxed)
}
