//! The parts of the UEFI loader that need no firmware, tested on the host: the kernel's ELF file,
//! the command line and the menu, the memory map. They allocate, and touch no memory but their own.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod choice;
pub mod elf;
pub mod map;
