//! From files to the kernel's first instruction.

use crate::files::Files;
use crate::tables::Tables;
use crate::times::Times;
use crate::{firmware, memory, menu};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use boot_info::{
    COMMAND_LINE_MAX, FRAMEBUFFER, Framebuffer, LOADER, LoaderTimes, MAGIC, MapEntry, Module,
    StartInfo,
};
use core::arch::asm;
use core::convert::Infallible;
use loader::choice::CommandLine;
use loader::elf::{HEAD, Kernel};
use loader::map::{KEPT, joined, kind_of};
use uefi::boot::{self, MemoryType};
use uefi::mem::memory_map::MemoryMap as _;

const KERNEL: &str = "lifeboat\\kernel.elf";
const ARCHIVE: &str = "lifeboat\\initfs.img";
const COMMAND_LINE: &str = "lifeboat\\cmdline.txt";

/// Room for this many lines of the memory map. Real machines have some dozens.
const MAP_MAX: usize = 1024;

/// Loads everything and enters the kernel. Returns only with the reason why it cannot.
pub(crate) fn load(mut times: Times) -> Result<Infallible, String> {
    let mut files = Files::new()?;
    let text = files.text(COMMAND_LINE)?;
    let line = CommandLine::parse(&text)
        .map_err(|word| format!("{COMMAND_LINE}: {word:?} is no word of the loader"))?;
    let choice = times.waiting(|| menu::ask(line.wait));
    let words = line.with(choice);
    if words.len() > COMMAND_LINE_MAX {
        let (have, most) = (words.len(), COMMAND_LINE_MAX);
        return Err(format!("{COMMAND_LINE}: {have} bytes for the kernel, which takes {most}"));
    }
    let (entry, tables) = kernel(&mut files)?;
    let mut archive = files.open(ARCHIVE)?;
    let archive = Module { address: archive.load()?, size: archive.length, ..Module::default() };
    let info = Information::new(&words, archive)?;
    // SAFETY: nothing of the firmware's is used any more: what the loader still touches is memory
    // that it allocated.
    let map = unsafe { boot::exit_boot_services(Some(MemoryType::custom(KEPT))) };
    let piece = |d: &uefi::mem::memory_map::MemoryDescriptor| {
        MapEntry::new(d.phys_start, d.page_count * 4096, kind_of(d.ty.0))
    };
    let info = info.complete(map.entries().map(piece), times);
    // SAFETY: the tables show this code and its stack where they are, and the kernel where it
    // wants to be; the information is complete.
    unsafe { enter(entry, tables.root(), info) }
}

/// Puts the kernel into memory; returns its first instruction and the tables that show it.
fn kernel(files: &mut Files) -> Result<(u64, Tables), String> {
    let mut file = files.open(KERNEL)?;
    let head = file.head(HEAD)?;
    let kernel = Kernel::parse(&head, file.length)
        .map_err(|reason| format!("{KERNEL} is no kernel: {reason}"))?;
    let mut tables = Tables::new()?;
    for segment in &kernel.segments {
        let length = segment.from_file as usize;
        let pages = memory::filled(MemoryType::LOADER_DATA, segment.pages(), length)?;
        file.read(segment.offset, &mut pages[..length])?;
        let frame = pages.as_ptr() as u64;
        for page in (0..segment.pages() as u64).map(|page| page * 4096) {
            tables.map(segment.address + page, frame + page)?;
        }
    }
    // The first 4 GiB, as the kernel wants them, and this code and its stack.
    let stack = 0u8;
    let here = [kernel_place(), &raw const stack as u64];
    for at in (0..4).map(|gib| gib << 30).chain(here) {
        tables.show(at)?;
    }
    Ok((kernel.entry, tables))
}

/// Where this program is.
fn kernel_place() -> u64 {
    load as *const () as u64
}

/// The start information and everything it points to, one after the other in memory that the
/// kernel leaves alone.
struct Information {
    start: *mut StartInfo,
    map: *mut MapEntry,
    times: *mut LoaderTimes,
}

impl Information {
    /// Everything but the memory map and the times, which there are only at the end.
    fn new(command_line: &str, archive: Module) -> Result<Self, String> {
        let mut place = Place::new(command_line.len())?;
        let start: *mut StartInfo = place.take(1);
        let command_line = place.text(command_line);
        let mut modules = Vec::from([archive]);
        if let Some(screen) = firmware::framebuffer() {
            let at: *mut Framebuffer = place.take(1);
            // SAFETY: `at` has room for one.
            unsafe { at.write(screen) };
            modules.push(Module {
                address: at as u64,
                size: size_of_val(&screen) as u64,
                command_line: place.text(FRAMEBUFFER),
                reserved: 0,
            });
        }
        let times: *mut LoaderTimes = place.take(1);
        modules.push(Module {
            address: times as u64,
            size: size_of::<LoaderTimes>() as u64,
            command_line: place.text(LOADER),
            reserved: 0,
        });
        let list: *mut Module = place.take(modules.len());
        let map: *mut MapEntry = place.take(MAP_MAX);
        // SAFETY: `list` has room for all of them, `start` for one.
        unsafe {
            list.copy_from_nonoverlapping(modules.as_ptr(), modules.len());
            start.write(StartInfo {
                magic: MAGIC,
                version: 1,
                module_count: modules.len() as u32,
                modules: list as u64,
                command_line,
                rsdp: firmware::rsdp(),
                memory_map: map as u64,
                ..StartInfo::default()
            });
        }
        Ok(Self { start, map, times })
    }

    /// Adds the memory map and the times; returns where the whole is.
    fn complete(self, pieces: impl Iterator<Item = MapEntry>, times: Times) -> u64 {
        // No allocator is left: the list is sorted and joined where it lies.
        // SAFETY: there is room for so many, and nobody else has it.
        let room = unsafe { core::slice::from_raw_parts_mut(self.map, MAP_MAX) };
        let count = room.iter_mut().zip(pieces).map(|(slot, piece)| *slot = piece).count();
        let count = joined(&mut room[..count]);
        // SAFETY: `start` was written by `new`, which made room for the times too.
        unsafe {
            (*self.start).memory_map_entries = count as u32;
            self.times.write(times.end());
        }
        self.start as u64
    }
}

/// Memory to be used from its beginning to its end.
struct Place {
    next: *mut u8,
    left: usize,
}

impl Place {
    /// Enough for the start information with a command line of so many bytes.
    fn new(text: usize) -> Result<Self, String> {
        let bytes = text + FRAMEBUFFER.len() + MAP_MAX * size_of::<MapEntry>() + 4096;
        let pages = memory::pages(MemoryType::custom(KEPT), bytes.div_ceil(4096))?;
        Ok(Self { next: pages.as_mut_ptr(), left: pages.len() })
    }

    /// Room for `count` values, aligned to 8 bytes, which is enough for all of them.
    fn take<T>(&mut self, count: usize) -> *mut T {
        let size = (size_of::<T>() * count).next_multiple_of(8);
        assert!(size <= self.left, "the start information is larger than its place");
        let at = self.next;
        self.left -= size;
        // SAFETY: at most one past the end of the place.
        self.next = unsafe { at.add(size) };
        at.cast()
    }

    /// Puts a text with a zero byte behind it; returns where.
    fn text(&mut self, text: &str) -> u64 {
        let at: *mut u8 = self.take(text.len() + 1);
        // SAFETY: there is room for that many; the place began as zeroes.
        unsafe { at.copy_from_nonoverlapping(text.as_ptr(), text.len()) };
        at as u64
    }
}

/// Enters the kernel by its 64-bit door.
///
/// # Safety
/// The tables at `root` show this code where it is and the kernel's first instruction at `entry`;
/// `info` is the start information; the firmware is gone.
unsafe fn enter(entry: u64, root: u64, info: u64) -> ! {
    // SAFETY: the caller's promise. No interrupt comes between: the kernel has its own table.
    unsafe {
        asm!(
            "cli",
            "mov cr3, {root}",
            "jmp {entry}",
            root = in(reg) root,
            entry = in(reg) entry,
            in("rdi") info,
            options(noreturn)
        )
    }
}
