//! `disk:` — block devices and their partitions, every one a file.
//!
//! Each device has a process of its own, its driver. A driver is a [`device::Device`]: it begins
//! commands and tells which are done. What files need beyond that is here, the same for all
//! drivers: requests of any offset and length cut into commands ([`requests`]), the partitions of
//! a disk ([`partition`]), and on Lifeboat the serving of files (`files`) and the life of the
//! process (`driver`). The program `diskd` starts the drivers, and starts them again.

pub mod device;
#[cfg(target_os = "redox")]
pub mod driver;
#[cfg(target_os = "redox")]
mod files;
pub mod memory;
pub mod partition;
pub mod registers;
pub mod requests;
pub mod volume;
