//! What each thread keeps for itself, found by the thread pointer.
//!
//! The thread pointer (fs base) points at a [`Control`]; the program's own thread-local variables
//! end just below it. Both lie in one region, which for all threads but the first also holds the
//! stack.

use super::keys::Values;
use super::record::Thread;
use super::regions::Region;
use crate::memory::cache::Cache;
use crate::signal;
use crate::start::Once;
use crate::sys::{Result, map};
use abi::PAGE_SIZE;
use core::arch::asm;
use core::cell::Cell;
use core::ptr::null;
use libc::c_int;
use logic::tls::Segment;

/// Bytes for the text that `strerror` gives out.
pub(crate) const ERROR_TEXT: usize = 64;

/// Bytes of the stack that signal handlers get when they ask for another one. Pages that are never
/// touched cost nothing.
pub(crate) const SIGNAL_STACK: usize = 8 * PAGE_SIZE;

/// A thread's own data.
#[repr(C)]
pub(crate) struct Control {
    /// Its own address. Must come first: the processor cannot read the fs base quickly, so x86-64
    /// programs load this word instead.
    this: *const Control,
    /// `errno`.
    pub(crate) errno: Cell<c_int>,
    /// The record that joiners share.
    pub(crate) thread: Cell<*const Thread>,
    /// What to run when the thread ends, last first.
    pub(crate) destructors: Cell<*mut super::destructor::Node>,
    /// Values under `pthread` keys.
    pub(crate) values: Values,
    /// Where `strerror` writes.
    pub(crate) error_text: Cell<[u8; ERROR_TEXT]>,
    /// Blocks this thread freed, for its next `malloc`.
    pub(crate) cache: Cache,
}

/// The program's thread-local variables: where their first values are, and how they lie.
pub(crate) static TEMPLATE: Once<Template> = Once::new(Template::NONE);

/// See [`TEMPLATE`].
#[derive(Clone, Copy)]
pub(crate) struct Template {
    /// Where the first values are.
    pub(crate) image: *const u8,
    /// How the block lies.
    pub(crate) segment: Segment,
}

impl Template {
    const NONE: Self = Self {
        image: null(),
        segment: Segment { address: 0, file_size: 0, memory_size: 0, align: 1 },
    };
}

/// This thread's data.
#[inline]
pub(crate) fn current() -> &'static Control {
    let control: *const Control;
    // SAFETY: the start code points fs at a `Control` whose first word is its own address before
    // anything else runs. It lives as long as the thread, and is never sent to another.
    unsafe {
        asm!("mov {}, fs:[0]", out(reg) control, options(nostack, readonly, preserves_flags));
        &*control
    }
}

/// Bytes that a region needs beside the stack.
pub(crate) fn footprint() -> usize {
    let segment = TEMPLATE.get().segment;
    segment.offset() + segment.pointer_align() + size_of::<Control>()
}

/// Lays a thread's variables and its [`Control`] at the end of a region. Returns the thread pointer;
/// the block below it begins at the second value.
///
/// # Safety
///
/// The region is writable, used by nobody, at least [`footprint`] bytes long, and zeroed unless it was
/// used before.
pub(super) unsafe fn lay(region: Region, thread: *const Thread) -> (usize, usize) {
    let Template { image, segment } = TEMPLATE.get();
    let end = region.start + region.length;
    let pointer = (end - size_of::<Control>()) & !(segment.pointer_align() - 1);
    let block = pointer - segment.offset();
    let control = pointer as *mut Control;
    // SAFETY: both places lie in the region, as `footprint` counted them. Zero is a valid first
    // value for everything in `Control` that is not set here.
    unsafe {
        if region.is_used {
            (block as *mut u8).write_bytes(0, pointer + size_of::<Control>() - block);
        }
        image.copy_to_nonoverlapping(block as *mut u8, segment.file_size);
        (&raw mut (*control).this).write(control);
        (&raw mut (*control).thread).write(Cell::new(thread));
    }
    (pointer, block)
}

/// Gives the first thread its data, and a stack for handlers below it.
pub(crate) fn install_first(thread: *const Thread) -> Result<()> {
    let length = SIGNAL_STACK + footprint();
    let start = map::zeroes(length)?;
    // SAFETY: the region is fresh and long enough. The kernel lets programs set the fs base
    // (CR4.FSGSBASE), and nothing was reached through it before.
    unsafe {
        let (pointer, _) = lay(Region { start, length, is_used: false }, thread);
        asm!("wrfsbase {}", in(reg) pointer, options(nostack, preserves_flags));
    }
    signal::set_alternate_stack(start, SIGNAL_STACK).map(drop)
}
