//! Memory for drivers that are tested over a fake device, shared by all their tests: it is this
//! process's own, and the device finds it by the address that the driver tells.

use diskd::memory::{Source, Span};
use std::ptr::NonNull;

/// Memory of this process.
pub(crate) struct Heap;

#[repr(align(4096))]
#[derive(Clone)]
struct Page {
    _bytes: [u8; 4096],
}

impl Source for Heap {
    fn memory(&self, length: usize) -> syscall::Result<Span> {
        let pages =
            Box::leak(vec![Page { _bytes: [0; 4096] }; length.div_ceil(4096)].into_boxed_slice());
        let length = pages.len() * 4096;
        let start = NonNull::from(pages).cast();
        // SAFETY: the memory is never freed.
        Ok(unsafe { Span::new(start, start.addr().get() as u64, length) })
    }
}

/// Memory at an address that the driver has told.
pub(crate) fn at(address: u64, length: usize) -> Span {
    let start = NonNull::new(address as *mut u8).unwrap();
    // SAFETY: the driver tells addresses of memory that is never freed, and the tests' commands are
    // within it.
    unsafe { Span::new(start, address, length) }
}
