//! Small blocks that a thread freed, kept for its next `malloc`: no lock, no search.
//!
//! To the heap they are still in use. A thread gives them back when it ends. In the child of a
//! `fork` those of other threads are lost, as all that those threads held.

use super::heap::HEAP;
use crate::thread::control;
use core::cell::Cell;
use core::ptr::null_mut;

/// Blocks come in sizes of so many bytes.
const STEP: usize = 16;
/// What the heap keeps before each block: its own word, with the block's size.
const HEAD: usize = size_of::<usize>();
/// The heap's smallest block, its head included.
const LEAST: usize = 32;
/// The largest block that is kept, its head included.
const MOST: usize = 1024;
/// How many blocks of each size a thread keeps.
const KEPT: u8 = 16;

/// The bits of a head that are no size. Doug Lea's allocator, and the crate with its fixed version,
/// use the lowest three: the block before is in use, this block is in use, and one that is free.
const FLAGS: usize = 7;
const IN_USE: usize = 2;

/// A thread's kept blocks, by size. All zeroes is an empty one.
pub(crate) struct Cache {
    /// The first block of each size; each begins with the address of the next.
    first: [Cell<*mut u8>; MOST / STEP + 1],
    count: [Cell<u8>; MOST / STEP + 1],
    /// No larger size was ever kept.
    highest: Cell<usize>,
}

impl Cache {
    #[inline]
    fn pop(&self, class: usize) -> *mut u8 {
        let block = self.first[class].get();
        if !block.is_null() {
            // SAFETY: a kept block begins with the address of the next, and is aligned for one.
            self.first[class].set(unsafe { block.cast::<*mut u8>().read() });
            self.count[class].set(self.count[class].get() - 1);
        }
        block
    }
}

/// A kept block that holds `size` bytes; null when there is none.
#[inline]
pub(crate) fn take(size: usize) -> *mut u8 {
    if size > MOST - HEAD {
        return null_mut();
    }
    let block = (size + HEAD).next_multiple_of(STEP).max(LEAST);
    control::current().cache.pop(block / STEP)
}

/// Keeps a block that a program frees. Says no when it is too large, or when enough are kept.
///
/// # Safety
///
/// The block is the heap's, in use, and nobody's any more.
#[inline]
pub(crate) unsafe fn keep(block: *mut u8) -> bool {
    // SAFETY: the heap's own word lies before each of its blocks.
    let head = unsafe { block.sub(HEAD).cast::<usize>().read() };
    let size = head & !FLAGS;
    // A block that was mapped by itself does not say that it is in use.
    if size > MOST || head & IN_USE == 0 {
        return false;
    }
    let cache = &control::current().cache;
    let class = size / STEP;
    let count = cache.count[class].get();
    if count >= KEPT {
        return false;
    }
    // SAFETY: the block is at least as large as a pointer, aligned, and ours.
    unsafe { block.cast::<*mut u8>().write(cache.first[class].get()) };
    cache.first[class].set(block);
    cache.count[class].set(count + 1);
    if class > cache.highest.get() {
        cache.highest.set(class);
    }
    true
}

/// Gives everything back to the heap: the calling thread ends, and frees nothing after this.
pub(crate) fn give_back() {
    let cache = &control::current().cache;
    let mut heap = HEAP.lock();
    for class in LEAST / STEP..=cache.highest.get().min(MOST / STEP) {
        loop {
            let block = cache.pop(class);
            if block.is_null() {
                break;
            }
            // SAFETY: the block is the heap's, and nobody's.
            unsafe { heap.c_free(block) };
        }
    }
}
