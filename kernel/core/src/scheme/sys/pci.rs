//! `sys:pci` — where the firmware says PCI configuration space is in memory.

use super::Row;
use crate::machine::Machine;
use alloc::format;
use alloc::string::String;

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "pci",
        help: "PCI configuration windows: segment, buses, address; the kernel's own device",
        read: |k, _| {
            let mut text = String::from("SEGMENT FIRST LAST ADDRESS\n");
            for window in k.machine.pci_windows() {
                let (first, last) = (window.first_bus, window.last_bus);
                text += &format!("{:7} {first:5} {last:4} {:#x}\n", window.segment, window.address);
            }
            if let Some(name) = k.machine.kept_device() {
                text += &format!("KEPT {name}\n");
            }
            text
        },
        write: None,
    }
}
