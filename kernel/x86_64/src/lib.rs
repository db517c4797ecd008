//! The x86-64 machine under Lifeboat's kernel.
//!
//! Every instruction and every `unsafe` of the kernel is in here. It saves, restores, maps,
//! copies and reports; it decides nothing.
#![cfg_attr(not(test), no_std)]

extern crate alloc;
extern crate self as kernel_core;

mod interim;
pub use interim::{machine, memory};

mod boot;
mod context;
mod cpu;
mod heap;
mod interrupt;
mod paging;

mod panic;
mod physical;
mod run;
mod serial;
mod trap;
