//! ELF files for tools: what a program's functions are called ([`symbols`]), what a process looks
//! like when it is written down ([`core`]), and programs without what only debuggers read
//! ([`strip`]).
//!
//! Layouts: System V ABI, chapters 4 and 5 ("Object Files", "Program Loading"), ELF-64. Nothing here
//! opens a scheme: bytes go in, bytes come out.

#![forbid(unsafe_code)]

pub mod core;
pub mod strip;
pub mod symbols;
