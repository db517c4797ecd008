//! The page tables that the kernel starts on: low memory shown at its own addresses, the kernel at
//! those it was linked for (SDM 3A, 4.5).

use crate::memory;
use alloc::string::String;
use loader::map::KEPT;
use uefi::boot::MemoryType;

const PRESENT: u64 = 1;
const WRITE: u64 = 2;
const LARGE: u64 = 1 << 7;
const ADDRESS: u64 = 0x000F_FFFF_FFFF_F000;
const GIB: u64 = 1 << 30;

/// A tree of tables.
pub(crate) struct Tables {
    root: *mut u64,
}

impl Tables {
    /// Tables that show nothing.
    pub(crate) fn new() -> Result<Self, String> {
        Ok(Self { root: table()? })
    }

    /// What to load into CR3.
    pub(crate) fn root(&self) -> u64 {
        self.root as u64
    }

    /// Shows the GiB of memory around `at` at its own addresses.
    pub(crate) fn show(&mut self, at: u64) -> Result<(), String> {
        let start = at & !(GIB - 1);
        for large in (start..start + GIB).step_by(2 << 20) {
            self.set(large, 2, large | LARGE)?;
        }
        Ok(())
    }

    /// Shows a page of memory at `address`.
    pub(crate) fn map(&mut self, address: u64, frame: u64) -> Result<(), String> {
        self.set(address, 1, frame)
    }

    /// Writes the entry for `address` in the table at `level`, making the tables above it.
    fn set(&mut self, address: u64, level: u32, entry: u64) -> Result<(), String> {
        let index = |level: u32| (address >> (12 + 9 * (level - 1)) & 511) as usize;
        let mut at = self.root;
        for above in (level + 1..=4).rev() {
            // SAFETY: `at` is a table of 512 entries of ours, and `index` is below that.
            let slot = unsafe { &mut *at.add(index(above)) };
            if *slot == 0 {
                *slot = table()? as u64 | WRITE | PRESENT;
            }
            at = (*slot & ADDRESS) as *mut u64;
        }
        // SAFETY: as above.
        unsafe { *at.add(index(level)) = entry | WRITE | PRESENT };
        Ok(())
    }
}

/// A table of zeroes.
fn table() -> Result<*mut u64, String> {
    Ok(memory::pages(MemoryType::custom(KEPT), 1)?.as_mut_ptr().cast())
}
