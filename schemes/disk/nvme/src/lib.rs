//! NVM Express controllers (NVM Express Base Specification 1.4; section numbers are its own).
//!
//! [`controller`] sets a controller up and asks it, through its admin queue, what there is. Every
//! namespace is a disk with a queue of its own ([`namespace`]); [`queue`] is a pair of rings.

pub mod controller;
pub mod namespace;
pub mod queue;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use diskd::device::{Broken, Device};
use diskd::memory::Source;
use diskd::registers::Registers;

use controller::Controller;
use namespace::Namespace;

/// Waits for the controller's interrupt, or for so long.
pub type Wait = Box<dyn FnMut(Duration)>;

/// Sets up the controller behind so many bytes of registers: its disks.
pub fn disks(
    registers: Box<dyn Registers>,
    length: usize,
    source: &dyn Source,
    wait: Wait,
) -> Result<Vec<Box<dyn Device>>, Broken> {
    let mut controller = Controller::new(registers, length, source, wait)?;
    let namespaces = controller.namespaces()?;
    controller.set_queues(namespaces.len())?;
    let mut found = Vec::new();
    for (index, id) in namespaces.into_iter().enumerate() {
        found.extend(controller.open(id, index as u16 + 1, source)?);
    }
    let controller = Rc::new(RefCell::new(controller));
    let disk =
        |parts| -> Box<dyn Device> { Box::new(Namespace::new(Rc::clone(&controller), parts)) };
    Ok(found.into_iter().map(disk).collect())
}
