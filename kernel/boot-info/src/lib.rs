//! What a loader tells the kernel: the PVH start information, for both ways to boot.
//!
//! The layout is Xen's `hvm_start_info` version 1 (`xen/include/public/arch-x86/hvm/
//! start_info.h`). QEMU's `-kernel` fills it, and so does the UEFI loader, which adds modules that
//! describe the screen and when the loader ran. Every address is physical.
#![no_std]
#![forbid(unsafe_code)]

/// First word of the structure: "xEn3" with the high bit of the E set.
pub const MAGIC: u32 = 0x336E_C578;

/// The command line of the module that is a [`Framebuffer`]. The boot archive is module 0.
pub const FRAMEBUFFER: &str = "framebuffer";
/// The command line of the module that is [`LoaderTimes`].
pub const LOADER: &str = "loader";

/// Bytes of a command line that the kernel takes, without the zero byte.
pub const COMMAND_LINE_MAX: usize = 2048;

/// What of a command line's first bytes, at most [`COMMAND_LINE_MAX`] and one more, is taken: whole
/// words of text; and what is wrong with the rest.
pub fn taken(bytes: &[u8]) -> (&str, Option<&'static str>) {
    let room = &bytes[..bytes.len().min(COMMAND_LINE_MAX)];
    let (text, complaint) = match core::str::from_utf8(room) {
        // A letter may be cut in two at the end of the room.
        Err(error) if error.error_len().is_some() || bytes.len() == room.len() => {
            (&room[..error.valid_up_to()], "the boot command line is no UTF-8 text")
        }
        _ if bytes.len() > room.len() => (room, "the boot command line is longer than 2048 bytes"),
        _ => return (core::str::from_utf8(room).unwrap_or_default(), None),
    };
    let end = text.iter().rposition(u8::is_ascii_whitespace).unwrap_or(0);
    (core::str::from_utf8(&text[..end]).unwrap_or_default(), Some(complaint))
}

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

/// When the loader did what, in ticks of the time-stamp counter.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoaderTimes {
    /// The firmware called it.
    pub began: u64,
    /// It was done, and entered the kernel.
    pub ended: u64,
    /// How long it waited for a person to press a key.
    pub waited: u64,
}

impl LoaderTimes {
    /// Whether this can be, for a kernel that was entered at `entered`.
    pub const fn is_sane(&self, entered: u64) -> bool {
        self.began <= self.ended && self.ended <= entered && self.waited <= self.ended - self.began
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
    fn a_loader_ends_before_the_kernel_begins() {
        let good = LoaderTimes { began: 10, ended: 30, waited: 20 };
        assert!(good.is_sane(30));
        assert!(!good.is_sane(29));
        assert!(!LoaderTimes { began: 31, ..good }.is_sane(40));
        assert!(!LoaderTimes { waited: 21, ..good }.is_sane(40));
    }

    #[test]
    fn a_command_line_is_taken_in_whole_words() {
        assert_eq!(taken(b""), ("", None));
        assert_eq!(taken(b"quiet exec=6c73"), ("quiet exec=6c73", None));
        let full = [b'x'; COMMAND_LINE_MAX + 1];
        assert_eq!(taken(&full[1..]).0.len(), COMMAND_LINE_MAX);
        assert!(matches!(taken(&full), ("", Some(_))));
        let mut long = full;
        long[..6].copy_from_slice(b"quiet ");
        assert!(matches!(taken(&long), ("quiet", Some(why)) if why.contains("2048")));
        assert_eq!(COMMAND_LINE_MAX, 2048, "the complaint names it");
        long[COMMAND_LINE_MAX - 1..].copy_from_slice("ü".as_bytes());
        assert!(matches!(taken(&long), ("quiet", Some(why)) if why.contains("2048")));
        assert!(matches!(taken(b"quiet x\xFFy"), ("quiet", Some(why)) if why.contains("UTF-8")));
        assert!(matches!(taken(b"quiet x\xC3"), ("quiet", Some(why)) if why.contains("UTF-8")));
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
