//! The x86-64 machine under Lifeboat's kernel.
//!
//! Every instruction and every `unsafe` of the kernel is in here. It saves, restores, maps,
//! copies and reports; it decides nothing.
//!
//! Start reading at [`boot`] (how it starts), then [`run`] with [`trap`] (into user code and out
//! again) and [`pc`] (everything the portable kernel asks for). It is a program for the bare
//! machine; on a host only the parts without hardware are compiled, for their tests.
#![cfg_attr(target_os = "none", no_std)]

#[cfg(target_os = "none")]
extern crate alloc;

/// Declares the modules that exist on the bare machine only.
macro_rules! machine {
    ($($module:ident)*) => { $(#[cfg(target_os = "none")] mod $module;)* };
}

machine! {
    backtrace boot context cpu heap interrupt keyboard paging panic pc physical port power run screen serial smp store
    symbols time trap
}

#[cfg(target_os = "none")]
pub use {boot::Boot, context::Context, paging::space::Space, pc::Pc, port::start};

#[cfg(all(test, not(target_os = "none")))]
#[path = "time/date.rs"]
mod date;
#[cfg(all(test, not(target_os = "none")))]
#[path = "boot/regions.rs"]
mod regions;

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
