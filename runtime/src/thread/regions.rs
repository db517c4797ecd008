//! Where threads live: one mapping each, and a few kept for the next ones.
//!
//! A region is a stack for signal handlers, a guard page, the stack, the thread-local variables, the
//! [`Control`](super::control::Control). Those of threads that were joined are kept, up to [`KEPT`], as
//! long as nobody had asked for another size of stack: the next thread saves the mapping, and its
//! pages are there.

use super::control::{self, SIGNAL_STACK};
use crate::sys::{Result, error, map};
use abi::PAGE_SIZE;
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// Bytes below the stack: what handlers run on, and the guard page.
pub(super) const BELOW: usize = SIGNAL_STACK + PAGE_SIZE;

/// How many regions are kept.
const KEPT: usize = 4;

/// Where kept regions begin; 0 is none. Each is taken out in one step, so that nothing has to be held
/// across `fork`.
static STARTS: [AtomicUsize; KEPT] = [const { AtomicUsize::new(0) }; KEPT];
/// How long every kept region is: as the first one was.
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// A region, and whether it has been used before.
#[derive(Clone, Copy)]
pub(super) struct Region {
    pub(super) start: usize,
    pub(super) length: usize,
    pub(super) is_used: bool,
}

/// A region with room for a stack, and `more` bytes above it.
pub(super) fn take(stack: usize, more: usize) -> Result<Region> {
    let wanted = stack.checked_add(control::footprint() + BELOW + more);
    let length = wanted.and_then(|size| size.checked_next_multiple_of(PAGE_SIZE));
    let length = length.map_or_else(|| error(libc::EAGAIN), Ok)?;
    if length == LENGTH.load(Acquire)
        && let Some(start) = take_kept()
    {
        return Ok(Region { start, length, is_used: true });
    }
    let start = map::guarded_zeroes(length, SIGNAL_STACK).or_else(|_| error(libc::EAGAIN))?;
    Ok(Region { start, length, is_used: false })
}

fn take_kept() -> Option<usize> {
    STARTS.iter().map(|place| place.swap(0, AcqRel)).find(|start| *start != 0)
}

/// Gives a region back: to the next thread, or to the kernel.
///
/// # Safety
///
/// Nothing in the region is used any more.
pub(super) unsafe fn give_back((start, length): (usize, usize)) {
    let kept = match LENGTH.compare_exchange(0, length, AcqRel, Acquire) {
        Ok(_) => length,
        Err(kept) => kept,
    };
    let is_free = |place: &&AtomicUsize| place.load(Relaxed) == 0;
    let put = |place: &AtomicUsize| place.compare_exchange(0, start, Release, Relaxed).is_ok();
    if length == kept && STARTS.iter().filter(is_free).any(put) {
        return;
    }
    // SAFETY: as promised by the caller.
    let unmapped = unsafe { map::unmap(start, length) };
    debug_assert!(unmapped.is_ok());
}
