//! What the loader tells, copied out at once: the originals lie in memory that is soon given away.

use boot_info::{
    COMMAND_LINE_MAX, FRAMEBUFFER, Framebuffer, LOADER, LoaderTimes, MAGIC, MapEntry, Module, taken,
};
use kernel_core::memory::PhysicalAddress;

/// Memory-map entries beyond this many are ignored. Real machines have some dozens.
const ENTRIES_MAX: usize = 256;

/// The start information, copied.
pub(crate) struct StartInfo {
    entries: [MapEntry; ENTRIES_MAX],
    entry_count: usize,
    /// One byte more than is taken, which tells that there is more.
    command_line: [u8; COMMAND_LINE_MAX + 1],
    command_line_length: usize,
    /// The boot archive: first byte and length. Nothing when there is none.
    pub(crate) archive: (PhysicalAddress, usize),
    /// The ACPI root pointer, 0 when there is none.
    pub(crate) rsdp: PhysicalAddress,
    /// The screen, if the loader found one.
    pub(crate) framebuffer: Option<Framebuffer>,
    /// When the loader ran, if it says so.
    pub(crate) loader: Option<LoaderTimes>,
}

impl StartInfo {
    /// Copies the start information at `address`; `None` when there is none there.
    ///
    /// # Safety
    /// Everything the structure points to is mapped at its physical address.
    pub(crate) unsafe fn read(address: u64) -> Option<Self> {
        // SAFETY: the loader promises a readable structure; unaligned reads ask for no more.
        let raw = unsafe { (address as *const boot_info::StartInfo).read_unaligned() };
        if raw.magic != MAGIC {
            return None;
        }
        let mut info = Self {
            entries: [MapEntry::default(); ENTRIES_MAX],
            entry_count: 0,
            command_line: [0; COMMAND_LINE_MAX + 1],
            command_line_length: 0,
            archive: (PhysicalAddress(0), 0),
            rsdp: PhysicalAddress(raw.rsdp),
            framebuffer: None,
            loader: None,
        };
        // The memory map came with version 1.
        if raw.version >= 1 {
            info.entry_count = (raw.memory_map_entries as usize).min(ENTRIES_MAX);
            for (index, entry) in info.entries[..info.entry_count].iter_mut().enumerate() {
                // SAFETY: as above; the map has that many entries.
                *entry = unsafe { (raw.memory_map as *const MapEntry).add(index).read_unaligned() };
            }
        }
        for index in 0..raw.module_count as usize {
            // SAFETY: as above; there are that many modules.
            let module = unsafe { (raw.modules as *const Module).add(index).read_unaligned() };
            if index == 0 {
                info.archive = (PhysicalAddress(module.address), module.size as usize);
                continue;
            }
            // SAFETY: as above.
            if let Some(screen) = unsafe { named::<Framebuffer>(&module, FRAMEBUFFER) } {
                info.framebuffer = screen.size().map(|_| screen);
            }
            // SAFETY: as above.
            if let Some(times) = unsafe { named::<LoaderTimes>(&module, LOADER) } {
                info.loader = Some(times);
            }
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
        for index in 0..self.command_line.len() {
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

    /// What is taken of the command line.
    pub(crate) fn command_line(&self) -> &str {
        taken(&self.command_line[..self.command_line_length]).0
    }

    /// Why that is not all of it.
    pub(crate) fn complaint(&self) -> Option<&'static str> {
        taken(&self.command_line[..self.command_line_length]).1
    }
}

/// What a module holds, if `name` is its command line.
///
/// # Safety
/// The module is as large as it says, its command line a text or not there, and any bytes make a
/// `T`.
unsafe fn named<T: Copy>(module: &Module, name: &str) -> Option<T> {
    // SAFETY: the caller's promise.
    let is_it =
        module.size as usize >= size_of::<T>() && unsafe { is_text(module.command_line, name) };
    // SAFETY: as above.
    is_it.then(|| unsafe { (module.address as *const T).read_unaligned() })
}

/// Whether `text` lies at `address`, with a zero byte behind it.
///
/// # Safety
/// `address` points to a NUL-terminated string, or is 0.
unsafe fn is_text(address: u64, text: &str) -> bool {
    if address == 0 {
        return false;
    }
    let wanted = text.bytes().chain([0]).enumerate();
    // SAFETY: no byte before this one was the terminator: it is the last of those wanted.
    wanted.into_iter().all(|(at, byte)| unsafe { (address as *const u8).add(at).read() } == byte)
}
