//! The emergency store's disk: a virtio block device that the kernel drives itself.
//!
//! A disk daemon may need the very memory that is missing, so it cannot be asked. Which disk is
//! the store: the one that carries a store's header, or the one that `emergency.format=BB:DD.F` on
//! the boot command line names by its place on the bus. Every other disk is looked at, let go and
//! never written to.

pub(crate) mod pci;
mod virtio;

use crate::boot::memory::BootMemory;
use crate::pc::Pc;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use kernel_core::emergency::BlockIo;
use kernel_core::emergency::block::{Operation, Run};
use pci::Device;
use spin::Mutex;
use store_format::STORE_MAGIC;
use virtio::VirtioBlock;

/// The boot option that names the disk to format.
const FORMAT: &str = "emergency.format=";

/// Virtio's vendor number, and the number of a block device that also speaks the older interface
/// (VIRTIO 1.2, 4.1.2 and 4.1.2.3).
const VIRTIO: u16 = 0x1AF4;
const TRANSITIONAL_BLOCK: u16 = 0x1001;

/// Where the store's disk is.
static KEPT: Mutex<Option<Device>> = Mutex::new(None);

/// The name of the device that the kernel keeps for itself.
pub(crate) fn kept() -> Option<String> {
    KEPT.lock().map(|device| format!("{device}"))
}

/// Finds the store's disk.
pub(crate) fn find(memory: &mut BootMemory, command_line: &str) -> Option<Box<dyn BlockIo<Pc>>> {
    let mut words = command_line.split_ascii_whitespace();
    let named = words.find_map(|word| word.strip_prefix(FORMAT));
    let mut found = None;
    pci::visit(|device| {
        if found.is_none() && device.identity() == (VIRTIO, TRANSITIONAL_BLOCK) {
            found = take(memory, device, named);
        }
    });
    found.map(|disk| Box::new(disk) as Box<dyn BlockIo<Pc>>)
}

/// Sets a disk up and keeps it if it is the store.
fn take(memory: &mut BootMemory, device: Device, named: Option<&str>) -> Option<VirtioBlock> {
    let mut disk = VirtioBlock::new(device, memory)?;
    if named == Some(&*format!("{device}")) || carries_header(&mut disk, memory) {
        *KEPT.lock() = Some(device);
        return Some(disk);
    }
    disk.let_go();
    None
}

/// Whether one of the header's copies begins as a store's does. The kernel looks closer.
fn carries_header(disk: &mut VirtioBlock, memory: &mut BootMemory) -> bool {
    const COPY_B: u64 = (store_format::HEADER_SIZE / store_format::PAGE) as u64;
    let frame = memory.frame();
    [0, COPY_B].into_iter().any(|page| {
        let run = Run { page, frame, count: 1 };
        // SAFETY: the frame was just taken, and nobody else knows it.
        disk.read_now(run).is_ok() && unsafe { first_word(frame) } == STORE_MAGIC
    })
}

/// # Safety
/// The frame belongs to the caller, and no device writes to it.
unsafe fn first_word(frame: kernel_core::memory::Frame) -> u32 {
    // SAFETY: the window shows the frame; the caller's promise.
    unsafe { crate::physical::frame::<u32>(frame).read_volatile() }
}

impl VirtioBlock {
    /// Reads at boot, when there is nothing else to do than wait.
    fn read_now(&mut self, run: Run) -> Result<(), kernel_core::emergency::block::IoError> {
        /// Looks at the disk before giving up: a second at least.
        const LOOKS: u32 = 100_000_000;
        self.send(Operation::Read(run))?;
        for _ in 0..LOOKS {
            if let Some(result) = self.look() {
                return result;
            }
            core::hint::spin_loop();
        }
        self.reset();
        Err(kernel_core::emergency::block::IoError::Silent)
    }
}
