//! The window: all of physical memory, mapped at one place, never executable.
//!
//! The kernel reaches user memory, page tables and firmware tables only here, so an address that
//! a program made up can never fault the kernel.

use core::arch::asm;
use kernel_core::memory::{Frame, PhysicalAddress};

/// Where the window starts: the first address of the upper half.
pub(crate) const WINDOW: usize = 0xFFFF_8000_0000_0000;

/// The kernel's view of a physical address.
#[inline]
pub(crate) fn pointer<T>(at: PhysicalAddress) -> *mut T {
    (WINDOW + at.0 as usize) as *mut T
}

/// The kernel's view of a frame.
#[inline]
pub(crate) fn frame<T>(frame: Frame) -> *mut T {
    pointer(frame.start())
}

/// Copies `length` bytes, 8 at a time while it can.
///
/// Unlike the compiler's own `memcpy` it is a handful of instructions for short copies, which is
/// what most are.
///
/// # Safety
/// As for [`core::ptr::copy_nonoverlapping`].
#[inline]
pub(crate) unsafe fn copy(from: *const u8, to: *mut u8, length: usize) {
    // SAFETY: the caller promises both ranges; the direction flag is clear in kernel code.
    unsafe {
        asm!(
            "rep movsq",
            "mov ecx, {rest:e}",
            "rep movsb",
            rest = in(reg) length & 7,
            inout("rcx") length >> 3 => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags)
        );
    }
}

/// Fills a frame with zeroes.
///
/// # Safety
/// The frame belongs to the caller.
#[inline]
pub(crate) unsafe fn zero(at: Frame) {
    // SAFETY: the window maps every frame of memory; the caller owns this one.
    unsafe {
        asm!(
            "rep stosq",
            inout("rcx") 512usize => _,
            inout("rdi") frame::<u8>(at) => _,
            in("rax") 0usize,
            options(nostack, preserves_flags)
        );
    }
}
