//! The x86-64 machine under Lifeboat's kernel.
//!
//! Every instruction and every `unsafe` of the kernel is in here. It saves, restores, maps,
//! copies and reports; it decides nothing.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub use boot::Boot;
pub use context::Context;
pub use paging::space::Space;
pub use pc::Pc;
pub use port::start;

/// Names the function that takes over from the machine: `fn(Boot) -> !`.
#[macro_export]
macro_rules! start_with {
    ($main:path) => {
        #[unsafe(no_mangle)]
        fn kernel_main(boot: $crate::Boot) -> ! {
            $main(boot)
        }
    };
}

mod boot;
mod context;
mod cpu;
mod heap;
mod interrupt;
mod paging;
mod pc;

mod panic;
mod physical;
mod port;
mod power;
mod run;
mod serial;
mod smp;
mod symbols;
mod time;
mod trap;
