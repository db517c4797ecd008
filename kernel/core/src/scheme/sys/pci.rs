//! `sys:pci` — where the firmware says PCI configuration space is in memory.

use super::Row;
use crate::machine::Machine;
use alloc::format;
use alloc::string::String;

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "pci",
        help: "PCI configuration windows: segment, first and last bus, address of bus 0",
        read: |k, _| {
            let mut text = String::from("SEGMENT FIRST LAST ADDRESS\n");
            for window in k.machine.pci_windows() {
                let (first, last) = (window.first_bus, window.last_bus);
                text += &format!("{:7} {first:5} {last:4} {:#x}\n", window.segment, window.address);
            }
            text
        },
        write: None,
    }
}
