//! Lifeboat's portable kernel logic.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod acpi;
pub mod elf;
pub mod log;
