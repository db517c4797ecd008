//! The emergency store's disk, which the kernel drives itself: virtio ([`virtio`]), NVMe
//! ([`nvme`]) or a piece of memory ([`ram`]).
//!
//! A disk daemon may need the very memory that is missing, so it cannot be asked, and no disk has
//! two masters: whoever resets it takes it away from the other. Which disk is the store: the one
//! that carries a store's header, the one whose only partition is meant for it, or the one that
//! `emergency.format=BB:DD.F` on the boot command line names by its place on the bus. Every other
//! disk is looked at, let go and never written to.

mod disk;
mod nvme;
mod partition;
pub(crate) mod pci;
mod ram;
mod transport;
mod virtio;

use crate::boot::memory::BootMemory;
use crate::paging::kernel::KernelTables;
use crate::pc::Pc;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use disk::{Disk, Polled, read_now};
use kernel_core::emergency::BlockIo;
use kernel_core::memory::Frame;
use nvme::Nvme;
use partition::Found;
use pci::Device;
use ram::Ram;
use spin::Mutex;
use store_format::STORE_MAGIC;
use virtio::VirtioBlock;

/// The boot option that names the disk to format.
const FORMAT: &str = "emergency.format=";
/// The boot option for a store in memory, in MiB.
const IN_MEMORY: &str = "emergency.store=ram:";
/// Disks that are looked at: each takes a few pages of the room for device registers.
const DISKS_MAX: usize = 32;

/// Where the store's disk is.
static KEPT: Mutex<Option<Device>> = Mutex::new(None);

/// The name of the device that the kernel keeps for itself.
pub(crate) fn kept() -> Option<String> {
    KEPT.lock().map(|device| format!("{device}"))
}

/// Finds the store's disk; the error is why there is none, if there almost was one.
pub(crate) fn find(
    tables: &mut KernelTables,
    memory: &mut BootMemory,
    command_line: &str,
) -> Result<Box<dyn BlockIo<Pc>>, &'static str> {
    let option = |name| {
        let mut words = command_line.split_ascii_whitespace();
        words.find_map(|word| word.strip_prefix(name))
    };
    if let Some(size) = option(IN_MEMORY) {
        let mib: usize = size.parse().map_err(|_| "emergency.store=ram: needs a number of MiB")?;
        return Ok(Box::new(Disk::whole(Box::new(Ram::new(memory, mib)))));
    }
    let named = option(FORMAT);
    let mut found = Err("there is no disk for it");
    let mut looked_at = 0;
    pci::visit(|device| {
        if found.is_err() && looked_at < DISKS_MAX {
            let Some(disk) = driver(tables, memory, device) else { return };
            looked_at += 1;
            match judge(disk, memory, named == Some(&*format!("{device}"))) {
                Ok(disk) => {
                    *KEPT.lock() = Some(device);
                    found = Ok(Box::new(disk) as Box<dyn BlockIo<Pc>>);
                }
                Err(Some(why)) => found = Err(why),
                Err(None) => {}
            }
        }
    });
    found
}

/// Sets a disk up, if it is one that the kernel can drive.
fn driver(
    tables: &mut KernelTables,
    memory: &mut BootMemory,
    device: Device,
) -> Option<Box<dyn Polled>> {
    match VirtioBlock::new(device, tables, memory) {
        Some(disk) => Some(Box::new(disk)),
        None => Some(Box::new(Nvme::new(device, tables, memory)?)),
    }
}

/// Keeps a disk if it is the store, or lets it go, maybe with a reason.
fn judge(
    mut disk: Box<dyn Polled>,
    memory: &mut BootMemory,
    is_named: bool,
) -> Result<Disk, Option<&'static str>> {
    let frame = memory.frame();
    if is_named || carries_header(&mut *disk, frame) {
        return Ok(Disk::whole(disk));
    }
    match partition::find(&mut *disk, frame) {
        Some(Found::Alone { first, count }) => Ok(Disk::part(disk, first, count)),
        found => {
            disk.let_go();
            let is_shared = matches!(found, Some(Found::Shared));
            Err(is_shared.then_some("its partition is on a disk that others use, too"))
        }
    }
}

/// Whether one of the header's copies begins as a store's does. The kernel looks closer.
fn carries_header(disk: &mut dyn Polled, frame: Frame) -> bool {
    const COPY_B: u64 = (store_format::HEADER_SIZE / store_format::PAGE) as u64;
    [0, COPY_B].into_iter().any(|page| {
        // SAFETY: the frame belongs to the caller, and the disk is done with it.
        read_now(disk, page, frame) && unsafe { first_word(frame) } == STORE_MAGIC
    })
}

/// # Safety
/// The frame belongs to the caller, and no device writes to it.
unsafe fn first_word(frame: Frame) -> u32 {
    // SAFETY: the window shows the frame; the caller's promise.
    unsafe { crate::physical::frame::<u32>(frame).read_volatile() }
}
