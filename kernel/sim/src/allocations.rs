//! Counting what the kernel allocates, for stories that say it must not.
//!
//! The host's allocator is shared with the tests themselves, so only what a CPU asks for counts,
//! and not while it plays the hardware. A test program that wants the count calls
//! [`note_allocation`] from its own global allocator.

use crate::hardware::is_cpu;
use std::cell::Cell;

thread_local! {
    static BYTES: Cell<isize> = const { Cell::new(0) };
    static LIMIT: Cell<isize> = const { Cell::new(isize::MAX) };
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static IS_HARDWARE: Cell<bool> = const { Cell::new(false) };
}

/// Somebody allocates. Counts when it is a CPU in the kernel.
pub fn note_allocation() {
    // A thread that is being taken apart is no CPU any more.
    let is_hardware = IS_HARDWARE.try_with(Cell::get).unwrap_or(true);
    if is_cpu() && !is_hardware {
        COUNT.set(COUNT.get() + 1);
    }
}

/// Whether an allocation of so many bytes (or giving so many back) is within what the kernel's heap
/// has. For a global allocator that fails where the kernel's own would; on machines with one CPU,
/// whose heap is limited.
pub fn note_bytes(bytes: isize) -> bool {
    let is_hardware = IS_HARDWARE.try_with(Cell::get).unwrap_or(true);
    if !is_cpu() || is_hardware {
        return true;
    }
    let used = BYTES.get() + bytes;
    if bytes > 0 && used > LIMIT.get() {
        return false;
    }
    BYTES.set(used);
    true
}

/// Bytes that this CPU's kernel has in use of its heap.
pub(crate) fn bytes() -> isize {
    BYTES.get()
}

/// From now on the heap has so many bytes.
pub(crate) fn set_limit(bytes: isize) {
    LIMIT.set(bytes);
}

/// How many there were on this CPU.
pub(crate) fn count() -> u64 {
    COUNT.get()
}

/// What `act` allocates is the simulated hardware's.
pub(crate) fn as_hardware<T>(act: impl FnOnce() -> T) -> T {
    IS_HARDWARE.set(true);
    let result = act();
    IS_HARDWARE.set(false);
    result
}
