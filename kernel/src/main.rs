//! The bootable kernel.
#![no_std]
#![no_main]

extern crate kernel_x86_64;
