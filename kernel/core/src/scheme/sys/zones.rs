//! `sys:zones` — memory by what can reach it, in frames of 4 KiB.

use super::Row;
use crate::machine::Machine;
use crate::memory::Zone;
use alloc::format;
use alloc::string::String;

pub(super) const fn row<M: Machine>() -> Row<M> {
    Row {
        name: "zones",
        help: "frames of each memory zone: total, used, free",
        read: |k, _| {
            let mut text = String::from("ZONE        TOTAL      USED      FREE\n");
            for zone in Zone::ALL {
                let counts = k.frames.counts(zone);
                let used = counts.total - counts.free;
                let name = zone.name();
                text += &format!("{name:7} {:9} {used:9} {:9}\n", counts.total, counts.free);
            }
            text
        },
        write: None,
    }
}
