//! AHCI controllers (Serial ATA AHCI 1.3.1; section numbers are its own) and the ATA disks behind
//! them (ATA/ATAPI Command Set 3).
//!
//! [`controller`] sets a controller up. Every port with a disk is a disk ([`port`]); what the disk
//! says of itself is read by [`identity`].

pub mod controller;
pub mod identity;
pub mod port;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use diskd::device::{Broken, Device};
use diskd::memory::Source;
use diskd::registers::Registers;

use controller::Controller;
use port::Port;

/// Waits for the controller's interrupt, or for so long.
pub type Wait = Box<dyn FnMut(Duration)>;

/// Sets up the controller behind so many bytes of registers: its disks.
pub fn disks(
    registers: Box<dyn Registers>,
    length: usize,
    source: &dyn Source,
    wait: Wait,
) -> Result<Vec<Box<dyn Device>>, Broken> {
    let controller = Controller::new(registers, length, wait)?;
    let ports = controller.ports();
    let controller = Rc::new(RefCell::new(controller));
    let mut disks: Vec<Box<dyn Device>> = Vec::new();
    for number in ports {
        if let Some(port) = Port::open(&controller, number, source)? {
            disks.push(Box::new(port));
        }
    }
    controller.borrow().allow_interrupts();
    Ok(disks)
}
