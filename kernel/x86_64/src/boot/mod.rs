//! From the first instruction to a machine that the portable kernel can run on.

mod entry;
pub(crate) mod memory;
pub(crate) mod regions;
pub(crate) mod stages;
pub(crate) mod start_info;

use crate::cpu::{self, Cpu, features, float};
use crate::interrupt::{io, local};
use crate::paging::kernel::{KernelTables, translate_now};
use crate::pc::Pc;
use crate::physical::{self, WINDOW};
use crate::time::{self, Reference};
use crate::{keyboard, power, screen, serial, smp, store, symbols};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt::Write;
use core::slice::{from_raw_parts, from_raw_parts_mut};
use kernel_core::acpi::{PciWindow, PhysicalRead, Space, Tables};
use kernel_core::emergency::{BlockIo, reserve_words};
use kernel_core::memory::{Frame, FrameInfo, PhysicalAddress, Range};
use memory::BootMemory;
use regions::{Region, Regions};
use stages::{Step, timed};
use spin::Mutex;
use boot_info::MapEntry;
use boot_info::kind::{ACPI_NVS, ACPI_TABLES, RAM};
use start_info::StartInfo;
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
extern "C" fn early(start_info: u64, entered: u64) -> ! {
    time::set_entered(entered);
    timed(Step::Serial, serial::init);
    timed(Step::Processor, processor);
    // SAFETY: low memory is mapped to itself until the kernel's own tables are loaded; nobody uses
    // the trap table yet.
    unsafe {
        show_window();
        timed(Step::Traps, || crate::trap::init());
    }
    // SAFETY: as above.
    let Some(info) = (unsafe { StartInfo::read(start_info) }) else {
        panic!("the loader gave no start information");
    };
    info.loader.iter().for_each(stages::loader_ran);
    let mut memory = timed(Step::Ram, || free_memory(&info));
    let tables = timed(Step::Paging, || {
        let mut tables = own_tables(&info, &mut memory);
        // SAFETY: the new tables map the image, this stack in it, and the window.
        unsafe { cr3_write(tables.root().start().0) };
        Cpu::make(&mut tables, &mut memory, 0);
        tables
    });
    *BOOT.lock() = Some(Early { info, memory, tables });
    // SAFETY: the stack was mapped with the tables.
    unsafe { cpu::switch_to_stack(0, main) };
}

/// Checks that the processor has what the kernel is built on, and switches it on.
fn processor() {
    let mut missing = features::missing().peekable();
    if missing.peek().is_some() {
        let _ = write!(serial::Now, "Lifeboat cannot run on this processor. It lacks:");
        missing.for_each(|name| {
            let _ = write!(serial::Now, " {name}");
        });
        let _ = writeln!(serial::Now);
        power::exit_device(kernel_core::power::FAILURE);
        power::stop();
    }
    // SAFETY: nothing is missing.
    unsafe {
        features::enable();
        float::enable();
    }
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
    let end = end + symbols::size();
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
    unsafe { tables.map_image(memory, symbols::size()) };
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
    let Some(Early { info, mut memory, mut tables }) = BOOT.lock().take() else {
        panic!("the first stage left nothing");
    };
    crate::panic::init(info.command_line());
    screen::init(&mut tables, &mut memory, info.framebuffer);
    let pci_windows = devices(&info, &mut tables, &mut memory);
    let disk = store::find(&mut tables, &mut memory, info.command_line());
    // SAFETY: the glue defines it with this very signature, by `start_with!`.
    unsafe { kernel_main(hand_over(&info, tables, memory, pci_windows, disk)) }
}

unsafe extern "Rust" {
    fn kernel_main(boot: Boot) -> !;
}

/// What the machine hands to the portable kernel.
pub struct Boot {
    /// The hardware.
    pub machine: Pc,
    /// One record for every frame up to the highest, with whatever memory held.
    pub frame_infos: &'static mut [FrameInfo],
    /// Free memory.
    pub ranges: Vec<Range>,
    /// The boot archive and its first frame.
    pub archive: Option<(&'static [u8], Frame)>,
    /// The boot command line.
    pub command_line: String,
    /// What is wrong with it.
    pub complaint: Option<&'static str>,
    /// The emergency store's disk, or why there is none.
    pub disk: Result<Box<dyn BlockIo<Pc>>, &'static str>,
    /// What the store needs to remember, if there is one.
    pub reserve: &'static mut [u64],
}

/// Finds and sets up the devices the kernel itself uses, and starts the other CPUs. Returns where
/// drivers find theirs.
fn devices(
    info: &StartInfo,
    tables: &mut KernelTables,
    memory: &mut BootMemory,
) -> Vec<PciWindow> {
    let firmware = Firmware(RefCell::new((&mut *tables, &mut *memory)));
    let supplied = Some(info.rsdp.0).filter(|address| *address != 0);
    let acpi = timed(Step::Acpi, || match Tables::read(&firmware, supplied) {
        Ok(acpi) => {
            power::init(&acpi);
            acpi
        }
        Err(reason) => panic!("no ACPI tables: {reason}"),
    });
    let Some(madt) = acpi.madt() else { panic!("the ACPI tables name no interrupt controller") };
    timed(Step::Interrupts, || {
        local::find(tables, memory, madt.local_apic_address());
        io::silence_old();
        // SAFETY: the gates are there since `early`.
        unsafe { local::enable() };
        Cpu::this().set_apic_id(local::id());
        io::init(tables, memory, &madt, local::id());
    });
    timed(Step::Clocks, || {
        time::init(&reference(&acpi, tables, memory));
        time::enable();
    });
    let patience = smp::Patience::read(info.command_line());
    timed(Step::Cpus, || smp::start(tables, memory, &madt, start_page(info), &patience));
    io::unmask(serial::LINE);
    serial::service(&serial::CONSOLE);
    keyboard::init();
    if keyboard::is_there() {
        io::unmask(keyboard::LINE);
    }
    if serial::has_other() {
        io::unmask(serial::SECOND_LINE);
        serial::service(&serial::OTHER);
    }
    acpi.pci_windows()
}

/// The clock to measure others by.
fn reference(acpi: &Tables, tables: &mut KernelTables, memory: &mut BootMemory) -> Reference {
    let address = acpi.hpet().map(|hpet| hpet.address).filter(|at| at.space == Space::Memory);
    address
        .map(|at| tables.map_device(memory, PhysicalAddress(at.address)))
        // SAFETY: the firmware's table says that the timer is there.
        .and_then(|registers| unsafe { Reference::hpet(registers) })
        .unwrap_or(Reference::Old)
}

/// A page of memory below 1 MiB for the start code of the other CPUs. The kernel uses nothing
/// else there.
fn start_page(info: &StartInfo) -> PhysicalAddress {
    const LIMIT: u64 = 0xA_0000;
    let ram = info.memory_map().iter().filter(|entry| entry.kind == RAM && entry.start < LIMIT);
    let ends = ram.map(|entry| (entry.end().min(LIMIT) & !0xFFF).saturating_sub(4096));
    PhysicalAddress(ends.max().unwrap_or(0))
}

/// The firmware's tables, shown by the window page by page as they are read.
struct Firmware<'a>(RefCell<(&'a mut KernelTables, &'a mut BootMemory)>);

impl PhysicalRead for Firmware<'_> {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        const REACH: u64 = 1 << 46;
        let Some(end) = address.checked_add(into.len() as u64).filter(|end| *end <= REACH) else {
            return false;
        };
        let (tables, memory) = &mut *self.0.borrow_mut();
        tables.map_window(memory, &MapEntry::new(address, end - address, RAM));
        // SAFETY: mapped just now. Where no memory is, the bus reads as all ones.
        unsafe {
            physical::copy(
                physical::pointer(PhysicalAddress(address)),
                into.as_mut_ptr(),
                into.len(),
            );
        }
        true
    }
}

fn hand_over(
    info: &StartInfo,
    tables: KernelTables,
    mut memory: BootMemory,
    pci_windows: Vec<PciWindow>,
    disk: Result<Box<dyn BlockIo<Pc>>, &'static str>,
) -> Boot {
    let ram = info.memory_map().iter().filter(|entry| entry.kind == RAM);
    let frames = ram.map(|entry| entry.end() / 4096).max().unwrap_or(0) as usize;
    let bytes = frames * size_of::<FrameInfo>();
    let records = memory.run_anywhere(bytes.div_ceil(4096));
    // SAFETY: the records' memory is nobody else's, shown by the window, and any bits are valid.
    let frame_infos = unsafe { from_raw_parts_mut(physical::pointer(records), frames) };
    let words = if disk.is_ok() { reserve_words(frames) } else { 0 };
    let reserved = memory.run_anywhere((words * size_of::<u64>()).div_ceil(4096));
    // SAFETY: as above.
    let reserve = unsafe { from_raw_parts_mut(physical::pointer(reserved), words) };
    let range = |region: &Region| Range {
        start: (region.start / 4096) as u32,
        end: (region.end / 4096) as u32,
    };
    let (at, length) = info.archive;
    // SAFETY: the archive's memory was taken out of the free memory, and nobody writes it.
    let archive = (length > 0).then(|| unsafe {
        (from_raw_parts(physical::pointer::<u8>(at).cast_const(), length), at.frame())
    });
    Boot {
        machine: Pc::new(tables.root(), pci_windows),
        frame_infos,
        ranges: memory.regions().iter().map(range).collect(),
        archive,
        command_line: info.command_line().into(),
        complaint: info.complaint(),
        disk,
        reserve,
    }
}
