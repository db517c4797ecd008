//! What a loader tells the kernel: the PVH start information, for both ways to boot.
//!
//! The layout is Xen's `hvm_start_info` version 1 (`xen/include/public/arch-x86/hvm/
//! start_info.h`). QEMU's `-kernel` fills it, and so does the UEFI loader, which adds a module that
//! describes the screen. Every address is physical.
#![no_std]
#![forbid(unsafe_code)]

/// First word of the structure: "xEn3" with the high bit of the E set.
pub const MAGIC: u32 = 0x336E_C578;

/// The command line of the module that is a [`Framebuffer`]. The boot archive is module 0.
pub const FRAMEBUFFER: &str = "framebuffer";

/// The head of everything.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartInfo {
    /// [`MAGIC`].
    pub magic: u32,
    /// 1, the version that has a memory map.
    pub version: u32,
    /// 0.
    pub flags: u32,
    /// How many modules there are.
    pub module_count: u32,
    /// Where the list of [`Module`]s is.
    pub modules: u64,
    /// A text that ends with a zero byte; 0 for none.
    pub command_line: u64,
    /// The ACPI root pointer, 0 when the kernel has to look for it.
    pub rsdp: u64,
    /// Where the list of [`MapEntry`]s is.
    pub memory_map: u64,
    /// How many there are.
    pub memory_map_entries: u32,
    /// 0.
    pub reserved: u32,
}

/// A piece of memory with something for the kernel in it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Module {
    /// First byte.
    pub address: u64,
    /// Bytes.
    pub size: u64,
    /// A text that ends with a zero byte; 0 for none.
    pub command_line: u64,
    /// 0.
    pub reserved: u64,
}

/// What a piece of memory is, as numbered by the E820 interface (ACPI specification 15.1).
pub mod kind {
    /// Memory anybody may use.
    pub const RAM: u32 = 1;
    /// Nobody's.
    pub const RESERVED: u32 = 2;
    /// ACPI tables, usable once they are read. The kernel keeps them.
    pub const ACPI_TABLES: u32 = 3;
    /// Memory the firmware keeps across sleep.
    pub const ACPI_NVS: u32 = 4;
    /// Memory with faults.
    pub const UNUSABLE: u32 = 5;
}

/// One line of the firmware's memory map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MapEntry {
    /// First byte.
    pub start: u64,
    /// Bytes.
    pub size: u64,
    /// One of [`kind`].
    pub kind: u32,
    /// 0.
    pub reserved: u32,
}

impl MapEntry {
    /// A piece of memory of some kind.
    pub const fn new(start: u64, size: u64, kind: u32) -> Self {
        Self { start, size, kind, reserved: 0 }
    }

    /// One past the last byte.
    pub const fn end(&self) -> u64 {
        self.start.saturating_add(self.size)
    }
}

/// A screen that shows what is in memory: rows of pixels, each a 32-bit word.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framebuffer {
    /// The first pixel of the first row.
    pub address: u64,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes from one row to the next.
    pub stride: u32,
    /// The lowest bit of red, green and blue in a pixel; each has eight.
    pub shifts: [u8; 3],
    /// 0.
    pub reserved: u8,
}

impl Framebuffer {
    /// Bytes of all rows; `None` for a screen that cannot be.
    pub fn size(&self) -> Option<u64> {
        let row = u64::from(self.width) * 4;
        let is_sane = self.address != 0
            && self.width > 0
            && self.height > 0
            && row <= u64::from(self.stride)
            && self.stride.is_multiple_of(4)
            && self.shifts.iter().all(|shift| *shift <= 24);
        let size = u64::from(self.stride) * u64::from(self.height);
        (is_sane && self.address.checked_add(size).is_some()).then_some(size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_have_the_sizes_of_the_specification() {
        assert_eq!(size_of::<StartInfo>(), 56);
        assert_eq!(size_of::<Module>(), 32);
        assert_eq!(size_of::<MapEntry>(), 24);
    }

    #[test]
    fn a_screen_that_cannot_be_has_no_size() {
        let good = Framebuffer {
            address: 0x8000_0000,
            width: 640,
            height: 480,
            stride: 2560,
            shifts: [16, 8, 0],
            reserved: 0,
        };
        assert_eq!(good.size(), Some(2560 * 480));
        for bad in [
            Framebuffer { address: 0, ..good },
            Framebuffer { width: 0, ..good },
            Framebuffer { stride: 2556, ..good },
            Framebuffer { stride: 2561, ..good },
            Framebuffer { shifts: [25, 8, 0], ..good },
            Framebuffer { address: u64::MAX, ..good },
        ] {
            assert_eq!(bad.size(), None, "{bad:?}");
        }
    }
}
