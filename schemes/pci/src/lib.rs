//! `pci:` — the devices on the PCI buses, and drivers' ways to take one.
//!
//! The daemon finds every function ([`bus`]), also in slots whose devices come and go ([`slot`],
//! [`assign`]), tells about it as text ([`info`]) and lends it to
//! one driver at a time. A driver never touches configuration space: it gets descriptors for the
//! device's registers, for memory that the device may reach, and for its interrupts
//! ([`client`]), and the daemon takes the device off the bus again when the driver is gone.

pub mod assign;
pub mod bus;
#[cfg(target_os = "redox")]
pub mod client;
pub mod info;
#[cfg(target_os = "redox")]
pub mod mapping;
pub mod slot;
