//! Device lines: I/O APICs (82093AA data sheet, Intel 290566), and the two 8259 controllers they
//! replace, which are silenced.
//!
//! Line numbers are global system interrupts. The sixteen old lines keep their numbers wherever
//! they are wired to: a request for old line `n` is routed by the firmware's overrides.

use super::vector;
use crate::boot::memory::BootMemory;
use crate::paging::kernel::KernelTables;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use kernel_core::acpi::madt::{Entry, IntSrcOverride, Madt};
use kernel_core::memory::PhysicalAddress;
use spin::Mutex;
use x86::io::outb;

/// Lines that have a vector.
pub(crate) const LINES: u8 = vector::LINES_END - vector::LINES;

/// Register numbers.
const VERSION: u32 = 1;
const FIRST_ROUTE: u32 = 0x10;

/// Bits of a route's low word.
const ACTIVE_LOW: u32 = 1 << 13;
const LEVEL: u32 = 1 << 15;
const MASKED: u32 = 1 << 16;

/// One controller.
struct Controller {
    /// Its two registers: which, and what.
    registers: usize,
    /// The global number of its first line.
    first: u32,
    /// How many lines it has.
    count: u32,
}

impl Controller {
    fn read(&self, register: u32) -> u32 {
        // SAFETY: the page is mapped as device memory.
        unsafe {
            (self.registers as *mut u32).write_volatile(register);
            ((self.registers + 0x10) as *const u32).read_volatile()
        }
    }

    fn write(&self, register: u32, value: u32) {
        // SAFETY: as for `read`; callers write what the data sheet allows.
        unsafe {
            (self.registers as *mut u32).write_volatile(register);
            ((self.registers + 0x10) as *mut u32).write_volatile(value);
        }
    }
}

/// All controllers, and how old lines are wired.
struct Controllers {
    list: Vec<Controller>,
    overrides: Vec<IntSrcOverride>,
}

static ALL: Mutex<Controllers> =
    Mutex::new(Controllers { list: Vec::new(), overrides: Vec::new() });

/// Level-triggered lines, one bit each: they stay masked from their arrival until they are
/// unmasked, or they would fire without end. An edge that comes while its line is masked would be
/// lost, so the others are never masked.
static LEVEL_LINES: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

impl Controllers {
    /// The controller of a line and the register of its route.
    fn route(&self, line: u32) -> Option<(&Controller, u32)> {
        let inside = |c: &&Controller| c.first <= line && line < c.first + c.count;
        let controller = self.list.iter().find(inside)?;
        Some((controller, FIRST_ROUTE + 2 * (line - controller.first)))
    }

    /// Where an old line is wired to, and with which signal.
    fn wiring(&self, line: u8) -> (u32, u32) {
        match self.overrides.iter().find(|wire| wire.source == line) {
            Some(wire) => {
                let low = if wire.is_active_low() { ACTIVE_LOW } else { 0 };
                let level = if wire.is_level() { LEVEL } else { 0 };
                (wire.line, low | level)
            }
            // Lines above the old ones are PCI's: active low, level-triggered.
            None => (line.into(), if line < 16 { 0 } else { ACTIVE_LOW | LEVEL }),
        }
    }

    fn set_masked(&self, line: u8, is_masked: bool) {
        let Some((controller, register)) = self.route(self.wiring(line).0) else { return };
        let low = controller.read(register);
        let bit = if is_masked { MASKED } else { 0 };
        controller.write(register, low & !MASKED | bit);
    }
}

/// Finds the controllers and leaves every line masked but routed, old style or PCI style, to the
/// CPU addressed by `target`.
pub(crate) fn init(
    tables: &mut KernelTables,
    memory: &mut BootMemory,
    madt: &Madt<'_>,
    target: u32,
) {
    let mut all = ALL.lock();
    for entry in madt.entries() {
        match entry {
            Entry::IoApic(found) => {
                let address = PhysicalAddress(found.address.into());
                let registers = tables.map_device(memory, address);
                let mut controller = Controller { registers, first: found.first_line, count: 0 };
                controller.count = (controller.read(VERSION) >> 16 & 0xFF) + 1;
                all.list.push(controller);
            }
            Entry::IntSrcOverride(wire) if wire.bus == 0 => all.overrides.push(wire),
            _ => {}
        }
    }
    for line in 0..LINES {
        let (wire, signal) = all.wiring(line);
        // An old line whose pin another one took has no pin of its own.
        let is_taken = |other: &IntSrcOverride| other.line == wire && other.source != line;
        let Some((controller, register)) = all.route(wire) else { continue };
        if all.overrides.iter().any(is_taken) && wire == u32::from(line) {
            continue;
        }
        controller.write(register + 1, target << 24);
        controller.write(register, u32::from(vector::LINES + line) | signal | MASKED);
        if signal & LEVEL != 0 {
            LEVEL_LINES[usize::from(line / 64)].fetch_or(1 << (line % 64), Ordering::Relaxed);
        }
    }
}

/// A line interrupted: a level-triggered one is masked.
pub(super) fn arrived(line: u8) {
    if LEVEL_LINES[usize::from(line / 64)].load(Ordering::Relaxed) & 1 << (line % 64) != 0 {
        ALL.lock().set_masked(line, true);
    }
}

/// Leads a line to the CPU addressed by `to`, or to all. Only addresses of one byte can be told.
pub(crate) fn route(line: u8, to: Option<u32>) {
    /// Every CPU (82093AA, 3.2.4).
    const EVERYBODY: u32 = 0xFF;
    let all = ALL.lock();
    let target = to.unwrap_or(EVERYBODY);
    if line < LINES
        && target <= EVERYBODY
        && let Some((controller, register)) = all.route(all.wiring(line).0)
    {
        controller.write(register + 1, target << 24);
    }
}

/// Lets a line interrupt.
pub(crate) fn unmask(line: u8) {
    if line < LINES {
        ALL.lock().set_masked(line, false);
    }
}

/// Masks every line, for the end. A CPU that was stopped may have held the controllers for ever;
/// then the lines stay as they are, and nobody is left to take them.
pub(crate) fn mask_all() {
    let Some(all) = ALL.try_lock() else { return };
    (0..LINES).for_each(|line| all.set_masked(line, true));
}

/// Masks all lines of both 8259 controllers, after moving them to vectors that tell exceptions
/// and their spurious interrupts apart (8259A data sheet, Intel 231468).
///
/// Comes before the local controllers stop listening to them: QEMU otherwise keeps a request that
/// was there already, and delivers it as vector -1.
pub(crate) fn silence_old() {
    const FIRST: u16 = 0x20;
    const SECOND: u16 = 0xA0;
    // SAFETY: the initialisation sequence of the data sheet, then all lines masked.
    unsafe {
        for (port, vector, cascade) in [(FIRST, 0x20, 4), (SECOND, 0x28, 2)] {
            outb(port, 0x11);
            outb(port + 1, vector);
            outb(port + 1, cascade);
            outb(port + 1, 1);
            outb(port + 1, 0xFF);
        }
    }
}
