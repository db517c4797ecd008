//! The kernel's half of every address space, built once at boot and the same for all.
//!
//! | from | what | rights |
//! | --- | --- | --- |
//! | `FFFF_8000_0000_0000` | the window: all physical memory | RW, never executable |
//! | `FFFF_FF00_0000_0000` | stacks of each CPU, with a guard page below each | RW |
//! | `FFFF_FF00_4000_0000` | device registers, not cached | RW |
//! | `FFFF_FF00_8000_0000` | the screen's pixels, not cached | RW |
//! | `FFFF_FFFF_8000_0000` | the kernel image | text RX, constants R, data RW |
//!
//! Nothing here changes once the machine has started, so no CPU ever has to forget it.

use super::{
    CACHE_DISABLE, GLOBAL, LARGE, NO_EXECUTE, PRESENT, Table, WRITE, WRITE_THROUGH, frame_of, index,
};
use crate::boot::memory::BootMemory;
use crate::physical::{self, WINDOW};
use boot_info::MapEntry;
use kernel_core::memory::{Frame, PhysicalAddress};

/// Where CPU stacks are mapped.
pub(crate) const STACKS: usize = 0xFFFF_FF00_0000_0000;
/// Where device registers are mapped.
const DEVICES: usize = 0xFFFF_FF00_4000_0000;
/// Where the screen is mapped, and how much of it at most.
const SCREEN: usize = 0xFFFF_FF00_8000_0000;
const SCREEN_SIZE: u64 = 256 << 20;
/// Room for device registers, in pages.
const DEVICE_PAGES: usize = 512;

const LARGE_PAGE: u64 = 2 << 20;
const HUGE_PAGE: u64 = 1 << 30;

unsafe extern "C" {
    static image_start: u8;
    static image_rodata: u8;
    static image_data: u8;
    static image_symbols: u8;
}

/// The tables of the kernel's half, while they are being built.
pub(crate) struct KernelTables {
    root: Frame,
    has_huge_pages: bool,
    device_pages: usize,
}

impl KernelTables {
    /// Empty tables.
    pub(crate) fn new(memory: &mut BootMemory, has_huge_pages: bool) -> Self {
        Self { root: memory.frame(), has_huge_pages, device_pages: 0 }
    }

    /// The top-level table.
    pub(crate) fn root(&self) -> Frame {
        self.root
    }

    /// Maps the image as it is mapped now, with the rights each part needs.
    ///
    /// # Safety
    /// The tables in use are reachable through the window.
    pub(crate) unsafe fn map_image(&mut self, memory: &mut BootMemory, symbols: usize) {
        let start = &raw const image_start as usize;
        let rodata = &raw const image_rodata as usize;
        let data = &raw const image_data as usize;
        let table = &raw const image_symbols as usize;
        let parts = [
            (start, rodata, 0),
            (rodata, data, NO_EXECUTE),
            (data, table & !0xFFF, NO_EXECUTE | WRITE),
            (table & !0xFFF, (table + symbols).next_multiple_of(4096), NO_EXECUTE),
        ];
        for (from, to, rights) in parts {
            for page in (from..to).step_by(4096) {
                // SAFETY: the caller's promise.
                if let Some(at) = unsafe { translate_now(page) } {
                    self.set(memory, page, 1, at.0 | rights | PRESENT | GLOBAL);
                }
            }
        }
    }

    /// Makes the window show `[entry.start, entry.end())`, in the largest pages that fit.
    pub(crate) fn map_window(&mut self, memory: &mut BootMemory, entry: &MapEntry) {
        let end = entry.end().next_multiple_of(LARGE_PAGE);
        let mut at = entry.start & !(LARGE_PAGE - 1);
        while at < end {
            let whole = at >= entry.start && at + HUGE_PAGE <= entry.end();
            if self.has_huge_pages && at.is_multiple_of(HUGE_PAGE) && whole {
                self.set_window(memory, at, 3);
                at += HUGE_PAGE;
            } else {
                at = self.map_window_large(memory, at, end);
            }
        }
    }

    /// Maps 2 MiB pages up to `end` or the end of the gigabyte; returns where it stopped.
    fn map_window_large(&mut self, memory: &mut BootMemory, at: u64, end: u64) -> u64 {
        let end = end.min((at + 1).next_multiple_of(HUGE_PAGE));
        let entry = self.entry(memory, WINDOW + at as usize, 3);
        // SAFETY: `entry` is a live entry of a table that only this function's caller uses.
        if unsafe { *entry } & LARGE != 0 {
            return end;
        }
        let mut slot = self.entry(memory, WINDOW + at as usize, 2);
        let mut from = at;
        while from < end {
            // SAFETY: the slots up to the end of the gigabyte lie in one table.
            unsafe {
                *slot = from | LARGE | WRITE | NO_EXECUTE | PRESENT | GLOBAL;
                slot = slot.add(1);
            }
            from += LARGE_PAGE;
        }
        end
    }

    fn set_window(&mut self, memory: &mut BootMemory, at: u64, level: u32) {
        let entry = at | LARGE | WRITE | NO_EXECUTE | PRESENT | GLOBAL;
        self.set(memory, WINDOW + at as usize, level, entry);
    }

    /// Maps fresh memory at `[address, address + pages * 4096)`.
    pub(crate) fn map_fresh(&mut self, memory: &mut BootMemory, address: usize, pages: usize) {
        for page in 0..pages {
            let frame = memory.frame();
            let entry = frame.start().0 | WRITE | NO_EXECUTE | PRESENT | GLOBAL;
            self.set(memory, address + page * 4096, 1, entry);
        }
    }

    /// Maps the page of device registers that holds `at`; returns the address of `at`.
    ///
    /// # Panics
    /// When there are more devices than room, which a sane machine does not have.
    pub(crate) fn map_device(&mut self, memory: &mut BootMemory, at: PhysicalAddress) -> usize {
        assert!(self.device_pages < DEVICE_PAGES, "too many device pages");
        let page = DEVICES + self.device_pages * 4096;
        self.device_pages += 1;
        let rights = WRITE | NO_EXECUTE | CACHE_DISABLE | WRITE_THROUGH | PRESENT | GLOBAL;
        self.set(memory, page, 1, at.frame().start().0 | rights);
        page + at.offset_in_frame()
    }

    /// Maps the screen's pixels; returns where. A screen of that many is not shown anything.
    pub(crate) fn map_screen(
        &mut self,
        memory: &mut BootMemory,
        start: PhysicalAddress,
        size: u64,
    ) -> Option<usize> {
        let inside = start.offset_in_frame();
        let size = size + inside as u64;
        if size > SCREEN_SIZE {
            return None;
        }
        let rights = WRITE | NO_EXECUTE | CACHE_DISABLE | WRITE_THROUGH | PRESENT | GLOBAL;
        for page in (0..size).step_by(4096) {
            let frame = start.frame().start().0 + page;
            self.set(memory, SCREEN + page as usize, 1, frame | rights);
        }
        Some(SCREEN + inside)
    }

    fn set(&mut self, memory: &mut BootMemory, address: usize, level: u32, value: u64) {
        let entry = self.entry(memory, address, level);
        // SAFETY: `entry` is a live entry; the kernel's half has no other user while it is built.
        unsafe { entry.write_volatile(value) };
    }

    /// The entry for `address` in the table at `level`, making the tables above it.
    fn entry(&mut self, memory: &mut BootMemory, address: usize, level: u32) -> *mut u64 {
        let mut table = self.root;
        for above in (level + 1..=4).rev() {
            // SAFETY: `table` is a table of ours, seen through the window.
            let slot = unsafe { &mut (*physical::frame::<Table>(table))[index(address, above)] };
            if *slot == 0 {
                *slot = memory.frame().start().0 | WRITE | PRESENT;
            }
            table = frame_of(*slot);
        }
        // SAFETY: as above.
        unsafe { &raw mut (*physical::frame::<Table>(table))[index(address, level)] }
    }
}

/// Where `address` is mapped by the tables in use.
///
/// # Safety
/// Those tables are reachable through the window.
pub(crate) unsafe fn translate_now(address: usize) -> Option<PhysicalAddress> {
    // SAFETY: reading CR3 changes nothing.
    let mut table = frame_of(unsafe { x86::controlregs::cr3() });
    for level in (1..=4).rev() {
        // SAFETY: the caller promises that the window shows the tables.
        let entry = unsafe { (*physical::frame::<Table>(table))[index(address, level)] };
        if entry & PRESENT == 0 {
            return None;
        }
        if level == 1 || entry & LARGE != 0 {
            let size = 1u64 << (12 + 9 * (level - 1));
            let base = entry & super::ADDRESS & !(size - 1);
            return Some(PhysicalAddress(base + (address as u64 & (size - 1))));
        }
        table = frame_of(entry);
    }
    None
}
