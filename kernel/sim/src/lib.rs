//! A machine made of threads: the portable kernel under `cargo test`.
//!
//! The same kernel logic that runs on hardware runs here on a [`Sim`]: memory is a vector, page
//! tables are maps, CPUs are host threads in [`kernel_core::cpu::run_cpu`], and a user thread is a
//! host thread that runs only while a CPU has handed it the baton. Programs are closures that get
//! a [`User`]: what they can do is touch memory, make calls, and do what the processor refuses.
//!
//! Start reading at [`System`], which boots a machine and runs a closure as PID 1.
//!
//! What it keeps: every access of a program goes through a simulated translation cache, so a
//! flush that the kernel forgot shows; every frame is accounted for at the end ([`audit`]); when
//! everybody waits and nobody can ever wake anybody, the story fails at once and says who waits
//! for what. Time is a number: it passes when the clock is read and when a program runs, and jumps
//! when all CPUs sleep.
//!
//! What it never does: decide anything a kernel decides, or look at a real clock.
#![forbid(unsafe_code)]

mod allocations;
mod audit;
mod baton;
mod code;
mod computer;
mod context;
mod disk;
mod hardware;
mod image;
mod machine;
mod outside;
mod report;
mod system;
mod tables;
mod user;

pub use allocations::{note_allocation, note_bytes};
pub use audit::audit;
pub use computer::Computer;
pub use context::SimContext;
pub use disk::{Disk, Entry, Fault};
pub use hardware::{Sim, SpaceNumber};
pub use image::image;
pub use report::describe;
pub use system::{Finished, System};
pub use user::{Action, Answer, Handler, Socket, Thread, User};
