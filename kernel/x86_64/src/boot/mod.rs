//! From the first instruction to a machine that the portable kernel can run on.

mod entry;
pub(crate) mod memory;
pub(crate) mod regions;
pub(crate) mod start_info;

use crate::cpu::{self, Cpu, features, float};
use crate::paging::kernel::{KernelTables, translate_now};
use crate::physical::{self, WINDOW};
use crate::serial;
use core::fmt::Write;
use kernel_core::memory::Frame;
use memory::BootMemory;
use regions::{Region, Regions};
use spin::Mutex;
use start_info::{ACPI_NVS, ACPI_TABLES, RAM, StartInfo};
use x86::controlregs::{cr3, cr3_write};

/// The first MiB is left alone: firmware keeps its data there and, against its own map, writes to
/// it. The start code of the other CPUs lives there too.
const LOW_MEMORY: Region = Region { start: 0, end: 1 << 20 };

unsafe extern "C" {
    static image_start: u8;
    static image_symbols: u8;
}

/// What boot knows so far; kept out of the early stack, which is small.
static BOOT: Mutex<Option<Early>> = Mutex::new(None);

struct Early {
    info: StartInfo,
    memory: BootMemory,
    tables: KernelTables,
}

/// The first Rust code. Called by the entry code on the early stack.
extern "C" fn early(start_info: u64) -> ! {
    serial::init();
    let mut missing = features::missing().peekable();
    if missing.peek().is_some() {
        let _ = write!(serial::Now, "Lifeboat cannot run on this processor. It lacks:");
        missing.for_each(|name| {
            let _ = write!(serial::Now, " {name}");
        });
        let _ = writeln!(serial::Now);
        crate::panic::halt();
    }
    // SAFETY: nothing is missing; the loader's promises are in `entry`.
    unsafe {
        features::enable();
        float::enable();
        show_window();
        crate::trap::init();
    }
    // SAFETY: low memory is mapped to itself until the kernel's own tables are loaded.
    let Some(info) = (unsafe { StartInfo::read(start_info) }) else {
        panic!("the loader gave no start information");
    };
    let mut memory = free_memory(&info);
    let mut tables = own_tables(&info, &mut memory);
    // SAFETY: the new tables map the image, this stack in it, and the window.
    unsafe { cr3_write(tables.root().start().0) };
    Cpu::make(&mut tables, &mut memory, 0, 0);
    *BOOT.lock() = Some(Early { info, memory, tables });
    // SAFETY: the stack was mapped with the tables.
    unsafe { cpu::switch_to_stack(0, main) };
}

/// Makes the loader's tables show low memory in the window too.
///
/// # Safety
/// The first entry of the loader's top-level table maps low memory to itself.
unsafe fn show_window() {
    // SAFETY: the caller's promise; bit 12 and up of CR3 are the table's address.
    unsafe {
        let top = (cr3() & !0xFFF) as *mut u64;
        *top.add(WINDOW >> 39 & 511) = *top;
    }
}

/// The memory that nobody uses.
fn free_memory(info: &StartInfo) -> BootMemory {
    let mut regions = Regions::new();
    for entry in info.memory_map().iter().filter(|entry| entry.kind == RAM) {
        regions.add(Region { start: entry.start, end: entry.end() });
    }
    for entry in info.memory_map().iter().filter(|entry| entry.kind != RAM) {
        regions.remove(Region { start: entry.start, end: entry.end() });
    }
    regions.remove(LOW_MEMORY);
    let (archive, length) = info.archive;
    regions.remove(Region { start: archive.0, end: archive.0 + length as u64 });
    let (start, end) = (&raw const image_start as usize, &raw const image_symbols as usize);
    for page in (start..end).step_by(4096) {
        // SAFETY: the window shows the loader's tables.
        if let Some(at) = unsafe { translate_now(page) } {
            regions.remove(Region { start: at.0, end: at.0 + 4096 });
        }
    }
    BootMemory::new(regions)
}

fn own_tables(info: &StartInfo, memory: &mut BootMemory) -> KernelTables {
    let mut tables = KernelTables::new(memory, features::has_huge_pages());
    // SAFETY: the window shows the loader's tables.
    unsafe { tables.map_image(memory, 16) };
    let kept = [RAM, ACPI_TABLES, ACPI_NVS];
    for entry in info.memory_map().iter().filter(|entry| kept.contains(&entry.kind)) {
        tables.map_window(memory, entry);
    }
    tables
}

/// Goes on with the kernel's own tables and stack.
extern "C" fn main() -> ! {
    // SAFETY: this is the first CPU, once.
    unsafe { Cpu::of(0).load() };
    let mut boot = BOOT.lock();
    let Some(Early { info, memory, tables }) = boot.as_mut() else { panic!("no early state") };
    let _ = writeln!(serial::Now, "cmdline {:?} archive {:?}", info.command_line(), info.archive);
    for r in memory.regions() {
        let _ = writeln!(serial::Now, "{r:x?}");
    }
    use kernel_core::machine::Context as _;
    let mut context = crate::context::Context::start(0x40_0000, 0x7000_0000);
    tables.user_page(memory, 0x40_0000);
    for _ in 0..6 {
        let trap = crate::run::run(&mut context);
        let _ = writeln!(serial::Now, "{trap:x?} {:x?}", context.call());
        context.set_answer(0x77);
        if trap != kernel_core::machine::Trap::Call {
            let ip = context.instruction_pointer();
            context.set_pointers(ip + 8, 0x1234);
        }
    }
    let nobody = 5 as *const u8;
    let _ = unsafe { nobody.read_volatile() };
    panic!("done")
}
