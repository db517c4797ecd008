//! What the loader tells: the PVH start information.
//!
//! The layout is Xen's `hvm_start_info` version 1 (`xen/include/public/arch-x86/hvm/
//! start_info.h`). The UEFI loader fills the same structure, so the kernel has one boot format.
//! Everything is copied out at once: the originals lie in memory that is soon given away.

use kernel_core::memory::PhysicalAddress;

/// First word of the structure: "xEn3" with the high bit of the E set.
const MAGIC: u32 = 0x336E_C578;
/// Memory-map entries beyond this many are ignored. Real machines have some dozens.
const ENTRIES_MAX: usize = 256;
/// Longer command lines are cut.
const COMMAND_LINE_MAX: usize = 2048;

/// Memory anybody may use, as numbered by the E820 interface (ACPI specification 15.1).
pub(crate) const RAM: u32 = 1;
/// ACPI tables, usable once they are read. The kernel keeps them.
pub(crate) const ACPI_TABLES: u32 = 3;
/// Memory the firmware keeps across sleep.
pub(crate) const ACPI_NVS: u32 = 4;

#[repr(C)]
struct RawStartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    module_count: u32,
    modules: u64,
    command_line: u64,
    rsdp: u64,
    memory_map: u64,
    memory_map_entries: u32,
    reserved: u32,
}

#[repr(C)]
struct RawModule {
    address: u64,
    size: u64,
    command_line: u64,
    reserved: u64,
}

/// One line of the firmware's memory map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MapEntry {
    /// First byte.
    pub(crate) start: u64,
    /// Bytes.
    pub(crate) size: u64,
    /// [`RAM`] and so on.
    pub(crate) kind: u32,
    reserved: u32,
}

impl MapEntry {
    /// A piece of memory of the usual kind.
    pub(crate) fn new(start: u64, size: u64) -> Self {
        Self { start, size, kind: RAM, reserved: 0 }
    }

    /// One past the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.start.saturating_add(self.size)
    }
}

/// The start information, copied.
pub(crate) struct StartInfo {
    entries: [MapEntry; ENTRIES_MAX],
    entry_count: usize,
    command_line: [u8; COMMAND_LINE_MAX],
    command_line_length: usize,
    /// The boot archive: first byte and length. Nothing when there is none.
    pub(crate) archive: (PhysicalAddress, usize),
    /// The ACPI root pointer, 0 when there is none.
    pub(crate) rsdp: PhysicalAddress,
}

impl StartInfo {
    /// Copies the start information at `address`; `None` when there is none there.
    ///
    /// # Safety
    /// Everything the structure points to is mapped at its physical address.
    pub(crate) unsafe fn read(address: u64) -> Option<Self> {
        // SAFETY: the loader promises a readable structure; unaligned reads ask for no more.
        let raw = unsafe { (address as *const RawStartInfo).read_unaligned() };
        if raw.magic != MAGIC {
            return None;
        }
        let mut info = Self {
            entries: [MapEntry::default(); ENTRIES_MAX],
            entry_count: 0,
            command_line: [0; COMMAND_LINE_MAX],
            command_line_length: 0,
            archive: (PhysicalAddress(0), 0),
            rsdp: PhysicalAddress(raw.rsdp),
        };
        // The memory map came with version 1.
        if raw.version >= 1 {
            info.entry_count = (raw.memory_map_entries as usize).min(ENTRIES_MAX);
            for (index, entry) in info.entries[..info.entry_count].iter_mut().enumerate() {
                // SAFETY: as above; the map has that many entries.
                *entry = unsafe { (raw.memory_map as *const MapEntry).add(index).read_unaligned() };
            }
        }
        if raw.module_count > 0 {
            // SAFETY: as above; there is at least one module.
            let module = unsafe { (raw.modules as *const RawModule).read_unaligned() };
            info.archive = (PhysicalAddress(module.address), module.size as usize);
        }
        if raw.command_line != 0 {
            // SAFETY: as above.
            unsafe { info.copy_command_line(raw.command_line as *const u8) };
        }
        Some(info)
    }

    /// # Safety
    /// `from` points to a NUL-terminated string.
    unsafe fn copy_command_line(&mut self, from: *const u8) {
        for index in 0..COMMAND_LINE_MAX {
            // SAFETY: no byte before this one was the terminator.
            let byte = unsafe { from.add(index).read() };
            if byte == 0 {
                break;
            }
            self.command_line[index] = byte;
            self.command_line_length = index + 1;
        }
    }

    /// The firmware's memory map.
    pub(crate) fn memory_map(&self) -> &[MapEntry] {
        &self.entries[..self.entry_count]
    }

    /// The command line, up to its first byte that is not text.
    pub(crate) fn command_line(&self) -> &str {
        let bytes = &self.command_line[..self.command_line_length];
        match core::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => core::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
        }
    }
}
