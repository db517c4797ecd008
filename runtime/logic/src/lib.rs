//! What the C library decides without asking the kernel.
//!
//! Pure functions over bytes, so that plain `cargo test -p runtime-logic` runs them on the host.
//! Nothing here allocates, and nothing here knows a system call.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod accounts;
pub mod calendar;
pub mod dirent;
pub mod hosts;
pub mod numbers;
pub mod path;
pub mod printf;
pub mod script;
pub mod search;
pub mod time;
pub mod tls;
