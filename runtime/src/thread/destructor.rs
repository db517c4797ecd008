//! `__cxa_thread_atexit_impl`: the destructors of `thread_local!` values.

use super::control;
use alloc::alloc::{Layout, alloc};
use alloc::boxed::Box;
use core::ffi::c_void;
use libc::c_int;

type Destructor = unsafe extern "C" fn(*mut c_void);

/// One destructor that has to run.
pub(crate) struct Node {
    function: Destructor,
    object: *mut c_void,
    next: *mut Node,
}

/// Has `function(object)` run when this thread ends. Returns −1 without memory.
#[unsafe(no_mangle)]
unsafe extern "C" fn __cxa_thread_atexit_impl(
    function: Destructor,
    object: *mut c_void,
    _image: *mut c_void,
) -> c_int {
    let control = control::current();
    // SAFETY: a node has a size.
    let node = unsafe { alloc(Layout::new::<Node>()) }.cast::<Node>();
    if node.is_null() {
        return -1;
    }
    // SAFETY: fresh, and large enough for a node.
    unsafe { node.write(Node { function, object, next: control.destructors.get() }) };
    control.destructors.set(node);
    0
}

/// Runs everything, the last one first, and what is added meanwhile too.
pub(crate) fn run() {
    let control = control::current();
    loop {
        let first = control.destructors.get();
        if first.is_null() {
            return;
        }
        // SAFETY: nodes are allocated as a box would be, and each is taken off the list once.
        let node = unsafe { Box::from_raw(first) };
        control.destructors.set(node.next);
        // SAFETY: the program gave this function for this object.
        unsafe { (node.function)(node.object) };
    }
}

/// Tells images apart where several can be loaded; ours is the only one.
#[unsafe(no_mangle)]
static __dso_handle: usize = 0;
