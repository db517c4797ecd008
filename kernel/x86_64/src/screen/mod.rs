//! The screen: pixels in memory, which the loader describes or QEMU's graphics card offers.

mod bochs;

use crate::boot::memory::BootMemory;
use crate::paging::kernel::KernelTables;
use boot_info::Framebuffer;
use core::fmt::{self, Write as _};
use kernel_core::machine::ScreenMemory;
use kernel_core::memory::PhysicalAddress;
use spin::Once;
use terminal::{Cell, Mode, Pixels, Sheet};

/// Of a panic: white on dark red.
const ALARM: Cell =
    Cell { character: ' ', foreground: 0xFF_FFFF, background: 0x60_0000, is_underlined: false };

/// A screen that the kernel can reach.
struct Screen {
    memory: ScreenMemory,
    /// Where the first pixel is mapped.
    first: *mut u32,
}

// SAFETY: the pointer leads to pixels, which everybody may write at any time: the worst that can
// happen is a wrong picture.
unsafe impl Send for Screen {}
// SAFETY: as above.
unsafe impl Sync for Screen {}

static SCREEN: Once<Screen> = Once::new();

/// Finds the screen and maps it.
pub(crate) fn init(
    tables: &mut KernelTables,
    memory: &mut BootMemory,
    loaders: Option<Framebuffer>,
) {
    let Some(found) = loaders.or_else(bochs::find) else { return };
    let Some(size) = found.size() else { return };
    let (width, height) = (found.width as usize, found.height as usize);
    let start = PhysicalAddress(found.address);
    let Some(at) = tables.map_screen(memory, start, size) else { return };
    let mode = Mode { width, height, shifts: found.shifts };
    let memory = ScreenMemory { mode, start, stride: found.stride as usize };
    SCREEN.call_once(|| Screen { memory, first: at as *mut u32 });
}

/// The screen, if there is one.
pub(crate) fn memory() -> Option<ScreenMemory> {
    SCREEN.get().map(|screen| screen.memory)
}

/// Writes a piece of a row. What lies outside the screen is left out.
pub(crate) fn put(x: usize, y: usize, pixels: &[u32]) {
    let Some(Screen { memory, first }) = SCREEN.get() else { return };
    let count = pixels.len().min(memory.mode.width.saturating_sub(x));
    if y >= memory.mode.height {
        return;
    }
    for (index, pixel) in pixels[..count].iter().enumerate() {
        // SAFETY: inside the row, which is inside the mapped rows.
        unsafe { first.add(y * (memory.stride / 4) + x + index).write_volatile(*pixel) };
    }
}

/// The screen for text that nobody else may disturb.
struct Raw;

impl Pixels for Raw {
    fn put(&mut self, x: usize, y: usize, pixels: &[u32]) {
        put(x, y, pixels);
    }
}

/// Shows the kernel's last words, whoever had the screen.
pub(crate) fn report(text: fmt::Arguments<'_>) {
    let Some(memory) = memory() else { return };
    // Drawing cannot fail.
    let _ = Sheet::new(Raw, memory.mode, ALARM).write_fmt(text);
}
