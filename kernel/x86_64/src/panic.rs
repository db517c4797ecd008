//! The end.

use abi::redox::IntRegisters;
use core::fmt::Write;

/// Another CPU panicked.
pub(crate) fn non_maskable() {}

/// A trap the kernel caused.
pub(crate) fn trap(registers: &IntRegisters, message: core::fmt::Arguments<'_>) -> ! {
    let _ = writeln!(crate::serial::Now, "=== KERNEL PANIC ===\n{message}\n{registers:x?}");
    halt()
}

/// Stops.
pub(crate) fn halt() -> ! {
    // SAFETY: x
    unsafe { x86::io::outb(0xf4, 0x11) };
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let _ = writeln!(crate::serial::Now, "=== KERNEL PANIC ===\n{info}");
    halt()
}
