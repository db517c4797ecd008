//! The kernel's heap: `talc` over frames seen through the window.

use core::alloc::Layout;
use spin::mutex::SpinMutex;
use talc::TalcLock;
use talc::base::Talc;
use talc::base::binning::Binning;
use talc::source::Source;

/// The heap before any frame is handed out, and for what boot needs.
const FIRST_SIZE: usize = 512 << 10;

static mut FIRST: [u8; FIRST_SIZE] = [0; FIRST_SIZE];

/// Gives the heap its first memory when the first allocation asks for it. All later memory comes
/// by [`grow`]: the kernel looks ahead, the heap never asks.
#[derive(Debug)]
struct FirstMemory {
    is_given: bool,
}

// SAFETY: never uses the global allocator.
unsafe impl Source for FirstMemory {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, _layout: Layout) -> Result<(), ()> {
        if core::mem::replace(&mut talc.source.is_given, true) {
            return Err(());
        }
        // SAFETY: the static is used for nothing else, and this happens once.
        unsafe { talc.claim((&raw mut FIRST).cast(), FIRST_SIZE) };
        Ok(())
    }
}

#[global_allocator]
static HEAP: TalcLock<SpinMutex<()>, FirstMemory> = TalcLock::new(FirstMemory { is_given: false });

/// Adds memory.
///
/// # Safety
/// The memory belongs to the heap from now on.
pub(crate) unsafe fn grow(start: *mut u8, size: usize) {
    // SAFETY: the caller gives it away.
    unsafe { HEAP.lock().claim(start, size) };
}

/// Bytes free.
pub(crate) fn free() -> usize {
    HEAP.lock().counters().available_bytes
}

/// Bytes in use.
pub(crate) fn used() -> usize {
    HEAP.lock().counters().allocated_bytes
}
