//! The UEFI loader: `EFI/BOOT/BOOTX64.EFI` in the disk's EFI partition.
//!
//! Finds `lifeboat/kernel.elf`, `lifeboat/initfs.img` and `lifeboat/cmdline.txt` in the partition it
//! was started from, offers a menu, and enters the kernel by its 64-bit door with the same start
//! information that QEMU gives (`boot-info`). Whatever is wrong, it says so and returns to the
//! firmware; it never starts half of something.
#![cfg_attr(target_os = "uefi", no_std)]
#![cfg_attr(target_os = "uefi", no_main)]

#[cfg(target_os = "uefi")]
extern crate alloc;

#[cfg(target_os = "uefi")]
mod enter;
#[cfg(target_os = "uefi")]
mod files;
#[cfg(target_os = "uefi")]
mod firmware;
#[cfg(target_os = "uefi")]
mod memory;
#[cfg(target_os = "uefi")]
mod menu;
#[cfg(target_os = "uefi")]
mod tables;
#[cfg(target_os = "uefi")]
mod times;

/// Starts the kernel, or says why not and lets the person read it.
#[cfg(target_os = "uefi")]
#[uefi::entry]
fn main() -> uefi::Status {
    let Err(reason) = enter::load(times::Times::begin());
    uefi::println!("\nLifeboat cannot start: {reason}");
    uefi::println!("Press a key to go back to the firmware.");
    menu::wait_for_any_key();
    uefi::Status::LOAD_ERROR
}

#[cfg(not(target_os = "uefi"))]
fn main() {
    eprintln!("loader: this program runs in UEFI firmware: build it for x86_64-unknown-uefi");
    std::process::exit(2);
}
