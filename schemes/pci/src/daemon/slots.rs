//! Devices that are taken out while the machine runs.
//!
//! The driver is told and ends; then, or when it takes too long, the slot loses its power, and the
//! device is none any more. What the kernel drives itself stays.

use std::time::{Duration, Instant};

use pcid::bus::Function;
use pcid::slot::{News, Slot};

use super::{Handle, Pci};

/// How long a driver may take to let go of its device.
const PATIENCE: Duration = Duration::from_secs(5);

/// A slot and how far taking out its device has come.
pub(super) struct Watched {
    slot: Slot,
    /// When its power goes at the latest, if its device is to be taken out.
    leaves: Option<Instant>,
}

impl Pci {
    /// Finds the slots that there are.
    pub(super) fn find_slots(&mut self) {
        let slots = self.functions.iter().filter_map(|f| Slot::of(&self.windows, f.address));
        self.slots = slots.map(|slot| Watched { slot, leaves: None }).collect();
    }

    /// Whether a function's device is to be taken out.
    pub(super) fn is_leaving(&self, function: &Function) -> bool {
        let bus = function.address.bus();
        self.slots.iter().any(|watched| watched.slot.bus == bus && watched.leaves.is_some())
    }

    /// Hears who wants devices out, and takes those out that nobody holds any more.
    pub(super) fn look_at_slots(&mut self) {
        let mut index = 0;
        while let Some(Watched { slot, leaves }) = self.slots.get(index) {
            let (slot, leaves) = (*slot, *leaves);
            let news = slot.news(&self.windows);
            if news == Some(News::Leaving) && self.keeps(slot) {
                eprintln!("pcid: the kernel needs the device on bus {:02x}", slot.bus);
            } else if news.is_some() && leaves.is_none() {
                self.slots[index].leaves = Some(Instant::now() + PATIENCE);
                self.news.extend(self.claims_on(slot));
            }
            let is_over = leaves.is_some_and(|at| at <= Instant::now());
            if leaves.is_some() && (is_over || self.claims_on(slot).is_empty()) {
                self.take_out(slot, news != Some(News::Gone));
                self.slots.remove(index);
            } else {
                index += 1;
            }
        }
    }

    fn keeps(&self, slot: Slot) -> bool {
        self.functions.iter().any(|f| f.address.bus() == slot.bus && self.is_kept(f))
    }

    /// Drivers' holds on what is in a slot.
    fn claims_on(&self, slot: Slot) -> Vec<usize> {
        let is_there = |handle: &Handle| matches!(handle, Handle::Claim(claim) if claim.function().address.bus() == slot.bus);
        self.handles.iter().filter(|(_, handle)| is_there(handle)).map(|(id, _)| *id).collect()
    }

    fn take_out(&mut self, slot: Slot, has_power: bool) {
        if has_power {
            slot.power_off(&self.windows);
        }
        for function in &mut self.functions {
            if function.address.bus() == slot.bus {
                function.is_gone = true;
                // It writes to memory no more.
                self.retired.remove(&function.name());
            }
        }
    }
}
