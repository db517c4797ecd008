//! The bootable kernel: the machine below, the portable kernel above, joined here.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::string::String;
use initfs_format::Archive;
use kernel_core::kernel::{BootArchive, Handover, Kernel};
use kernel_core::log::Level;
use kernel_core::memory::Frames;
use kernel_x86_64::{Boot, Pc};

kernel_x86_64::start_with!(main);

/// Takes over from the machine.
fn main(boot: Boot) -> ! {
    kernel_x86_64::start(|| build(boot))
}

/// Builds the kernel, and starts its first program.
fn build(boot: Boot) -> Kernel<Pc> {
    let (archive, complaint) = match open_archive(boot.archive) {
        Ok(archive) => (archive, None),
        Err(complaint) => (None, Some(complaint)),
    };
    let frames = Frames::new(boot.frame_infos, &boot.ranges);
    let Boot { command_line, reserve, disk, .. } = boot;
    let about_words = boot.complaint;
    let handover = Handover { frames, archive, command_line, reserve };
    let mut kernel: Kernel<Pc> = Kernel::new(boot.machine, handover);
    match disk {
        Ok(disk) => kernel.register_block_io(disk),
        Err(why) => kernel.emergency.store.why_not = why,
    }
    if let Some(complaint) = complaint {
        kernel.log(Level::Error, "boot", format_args!("{complaint}"));
    }
    if let Some(complaint) = about_words {
        kernel.log(Level::Error, "boot", format_args!("{complaint}: words are left out"));
    }
    kernel.start();
    kernel
}

/// Checks the boot archive, if there is one.
fn open_archive(
    bytes: Option<(&'static [u8], kernel_core::memory::Frame)>,
) -> Result<Option<BootArchive>, String> {
    let Some((bytes, first_frame)) = bytes else { return Ok(None) };
    match Archive::parse(bytes) {
        Ok(archive) => Ok(Some(BootArchive { archive, first_frame })),
        Err(reason) => Err(alloc::format!("the boot archive is not usable: {reason:?}")),
    }
}
