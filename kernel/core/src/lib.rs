//! Lifeboat's portable kernel logic.
//!
//! Start reading at [`kernel`] (who runs, who waits), then [`scheme`] (everything has an address)
//! and [`syscall`] (how programs get there). [`machine`] says what hardware must offer. There is
//! no `unsafe`, no lock, no clock and no hardware in here, so the whole of it runs under
//! `cargo test`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod acpi;
pub mod boot;
pub mod cpu;
pub mod crash;
pub mod display;
pub mod elf;
pub mod emergency;
pub mod error;
pub mod event;
pub mod futex;
pub mod handle;
pub mod irq;
pub mod kernel;
pub mod log;
pub mod machine;
pub mod memory;
pub mod namespace;
pub mod panic;
pub mod pipe;
pub mod power;
pub mod profile;
pub mod schedule;
pub mod scheme;
pub mod signal;
pub mod stats;
pub mod syscall;
pub mod table;
pub mod task;
pub mod trace;
