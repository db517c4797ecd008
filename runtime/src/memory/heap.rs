//! `malloc` and its family: Doug Lea's allocator over anonymous mappings, behind one lock, and before
//! it what each thread keeps of its own (`cache`).
//!
//! `fork` holds the lock across the call, so a child always finds the heap whole.

use super::cache;
use crate::errno;
use crate::lock::Lock;
use crate::sys::map;
use abi::PAGE_SIZE;
use core::alloc::{GlobalAlloc, Layout};
use core::ffi::c_void;
use core::ptr::null_mut;
use dlmalloc::{Allocator, Dlmalloc};
use libc::{c_int, size_t};

/// How much the heap grows by at a time. Pages that are never touched cost nothing.
const GRANULARITY: usize = 256 << 10;

/// Blocks of zeroes of so many bytes are zeroed by giving their pages back: the allocator does not say
/// which were never touched, and those stay as cheap as they are.
const LARGE: usize = 1 << 20;

/// Every block is aligned to this without asking.
const ALIGN: usize = 16;

pub(crate) static HEAP: Lock<Dlmalloc<Mappings>> = Lock::new({
    let mut heap = Dlmalloc::new_with_allocator(Mappings);
    assert!(heap.set_granularity(GRANULARITY));
    heap
});

/// Where the heap's segments come from.
pub(crate) struct Mappings;

// SAFETY: fresh mappings belong to nobody else, and are given back only when told to.
unsafe impl Allocator for Mappings {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        match map::zeroes(size) {
            Ok(address) => (address as *mut u8, size, 0),
            Err(_) => (null_mut(), 0, 0),
        }
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        null_mut()
    }

    fn free_part(&self, start: *mut u8, old_size: usize, new_size: usize) -> bool {
        // SAFETY: the heap says that nothing lives there any more.
        unsafe { map::unmap(start as usize + new_size, old_size - new_size) }.is_ok()
    }

    fn free(&self, start: *mut u8, size: usize) -> bool {
        // SAFETY: the heap says that nothing lives there any more.
        unsafe { map::unmap(start as usize, size) }.is_ok()
    }

    fn can_release_part(&self, _: u32) -> bool {
        true
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        PAGE_SIZE
    }
}

/// Allocates; null when there is no memory. Does not touch `errno`.
#[inline]
fn allocate(size: usize, align: usize) -> *mut u8 {
    let kept = if align <= ALIGN { cache::take(size) } else { null_mut() };
    if kept.is_null() { allocate_anew(size, align) } else { kept }
}

/// The same from the heap itself.
#[inline(never)]
fn allocate_anew(size: usize, align: usize) -> *mut u8 {
    let mut heap = HEAP.lock();
    // SAFETY: the alignment is a power of two, as every caller has checked.
    unsafe { if align <= ALIGN { heap.c_malloc(size) } else { heap.c_memalign(align, size) } }
}

/// Gives a block back.
///
/// # Safety
///
/// The block came from [`allocate`] or the heap, and is nobody's any more.
#[inline]
unsafe fn release(block: *mut u8) {
    // SAFETY: as promised by the caller.
    unsafe {
        if !cache::keep(block) {
            release_for_good(block);
        }
    }
}

/// The same to the heap itself.
#[inline(never)]
unsafe fn release_for_good(block: *mut u8) {
    // SAFETY: as promised by the caller.
    unsafe { HEAP.lock().c_free(block) }
}

/// Turns null into `ENOMEM`.
fn found(block: *mut u8) -> *mut c_void {
    if block.is_null() {
        errno::set(libc::ENOMEM);
    }
    block.cast()
}

/// What this library's own `Vec`s use.
struct Global;

#[global_allocator]
static GLOBAL: Global = Global;

// SAFETY: blocks come from the heap, aligned as asked, and stay put until freed.
unsafe impl GlobalAlloc for Global {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        allocate(layout.size(), layout.align())
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the block came from `alloc`.
        unsafe { release(block) }
    }
}

/// Allocates `size` bytes.
#[unsafe(no_mangle)]
extern "C" fn malloc(size: size_t) -> *mut c_void {
    found(allocate(size, ALIGN))
}

/// Allocates `count` times `size` bytes of zeroes.
#[unsafe(no_mangle)]
extern "C" fn calloc(count: size_t, size: size_t) -> *mut c_void {
    let Some(total) = count.checked_mul(size) else {
        return found(null_mut());
    };
    let block = allocate(total, ALIGN);
    if !block.is_null() {
        // SAFETY: the block holds so many bytes, and is ours.
        unsafe { zero(block, total) };
    }
    found(block)
}

/// Zeroes a block.
///
/// # Safety
///
/// The block holds so many bytes, and is the caller's alone.
unsafe fn zero(block: *mut u8, size: usize) {
    let start = block.addr().next_multiple_of(PAGE_SIZE);
    let pages = (block.addr() + size).saturating_sub(start) / PAGE_SIZE * PAGE_SIZE;
    // SAFETY: whole pages of the block, which are anonymous memory of this process alone.
    if size < LARGE || unsafe { map::discard(start, pages) }.is_err() {
        // SAFETY: as promised by the caller.
        return unsafe { block.write_bytes(0, size) };
    }
    let before = start - block.addr();
    // SAFETY: as above: what lies before and behind the pages.
    unsafe {
        block.write_bytes(0, before);
        block.add(before + pages).write_bytes(0, size - before - pages);
    }
}

/// Makes a block larger or smaller, perhaps elsewhere.
#[unsafe(no_mangle)]
unsafe extern "C" fn realloc(block: *mut c_void, size: size_t) -> *mut c_void {
    if block.is_null() {
        return malloc(size);
    }
    // SAFETY: the caller's block came from this heap.
    found(unsafe { HEAP.lock().c_realloc(block.cast(), size) })
}

/// `realloc` for an array, which refuses a size that overflows.
#[unsafe(no_mangle)]
unsafe extern "C" fn reallocarray(block: *mut c_void, count: size_t, size: size_t) -> *mut c_void {
    match count.checked_mul(size) {
        // SAFETY: the same contract.
        Some(total) => unsafe { realloc(block, total) },
        None => found(null_mut()),
    }
}

/// Gives a block back.
#[unsafe(no_mangle)]
unsafe extern "C" fn free(block: *mut c_void) {
    if !block.is_null() {
        // SAFETY: the caller's block came from this heap.
        unsafe { release(block.cast()) }
    }
}

/// Allocates at a multiple of `align`. Returns an error number.
#[unsafe(no_mangle)]
unsafe extern "C" fn posix_memalign(place: *mut *mut c_void, align: size_t, size: size_t) -> c_int {
    if !align.is_power_of_two() || align < size_of::<usize>() {
        return libc::EINVAL;
    }
    let block = allocate(size, align);
    if block.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: the caller gave a place for the answer.
    unsafe { place.write(block.cast()) };
    0
}

/// Allocates at a multiple of `align`.
#[unsafe(no_mangle)]
extern "C" fn aligned_alloc(align: size_t, size: size_t) -> *mut c_void {
    if !align.is_power_of_two() {
        errno::set(libc::EINVAL);
        return null_mut();
    }
    found(allocate(size, align))
}

/// The older name of [`aligned_alloc`].
#[unsafe(no_mangle)]
extern "C" fn memalign(align: size_t, size: size_t) -> *mut c_void {
    aligned_alloc(align, size)
}
