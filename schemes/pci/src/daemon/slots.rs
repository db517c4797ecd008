//! Devices that are taken out and put in while the machine runs.
//!
//! The driver of one that leaves is told and ends; then, or when it takes too long, the slot loses its
//! power, and the device is none any more. What the kernel drives itself stays. One that comes gets
//! power, some time to wake up, and addresses for its registers; then it is a function like the others.

use std::time::{Duration, Instant};

use pcid::assign::assign;
use pcid::bus::{Function, scan};
use pcid::slot::{News, Slot};

use super::{Handle, Pci};

/// How long a driver may take to let go of its device.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a device may take until it answers (PCI Express Base Specification 6.6.1): from then on it
/// is looked for, and not for ever.
const WAKING: Duration = Duration::from_millis(100);
const ASLEEP: Duration = Duration::from_secs(2);

/// A slot and what is in it.
pub(super) struct Watched {
    slot: Slot,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    /// Nothing, or something without power.
    Empty,
    /// A device that got its power at that moment.
    Waking(Instant),
    /// A device.
    Full,
    /// A device that is to be taken out; its power goes at that moment at the latest.
    Leaving(Instant),
}

impl Pci {
    /// Finds the slots that there are.
    pub(super) fn find_slots(&mut self) {
        let slots = self.functions.iter().filter_map(|f| Slot::of(&self.windows, f.address));
        let watched = |slot: Slot| {
            let is_known = self.functions.iter().any(|f| f.address.bus() == slot.bus);
            if is_known {
                slot.forget(&self.windows);
            }
            Watched { slot, state: if is_known { State::Full } else { State::Empty } }
        };
        self.slots = slots.map(watched).collect();
    }

    /// Whether a function's device is to be taken out.
    pub(super) fn is_leaving(&self, function: &Function) -> bool {
        let bus = function.address.bus();
        let is_leaving = |w: &Watched| w.slot.bus == bus && matches!(w.state, State::Leaving(_));
        function.is_gone || self.slots.iter().any(is_leaving)
    }

    /// Hears which devices want out and which came, takes those out that nobody holds any more, and
    /// takes the others in.
    pub(super) fn look_at_slots(&mut self) {
        for index in 0..self.slots.len() {
            let Watched { slot, state } = self.slots[index];
            let now = Instant::now();
            let next = match state {
                State::Empty if slot.takes_in(&self.windows) => State::Waking(now),
                State::Waking(_) if !slot.is_full(&self.windows) => State::Empty,
                State::Waking(since) if now >= since + WAKING => self.take_in(slot, since),
                State::Full => self.hear(slot),
                State::Leaving(until) => self.let_go(slot, until),
                State::Empty | State::Waking(_) => state,
            };
            self.slots[index].state = next;
        }
    }

    /// Looks for what has woken up in a slot.
    fn take_in(&mut self, slot: Slot, since: Instant) -> State {
        let found = |pci: &Self| scan(&pci.windows, slot.port.segment(), slot.bus, slot.bus);
        if found(self).is_empty() {
            if since.elapsed() < ASLEEP {
                return State::Waking(since);
            }
            eprintln!("pcid: the device on bus {:02x} does not answer", slot.bus);
            return State::Full;
        }
        if !assign(&self.windows, slot.port, slot.bus) {
            eprintln!("pcid: no addresses are left for the device on bus {:02x}", slot.bus);
        }
        self.arrivals += 1;
        for mut function in found(self) {
            function.info.arrival = self.arrivals;
            self.functions.push(function);
        }
        self.tell_lists();
        State::Full
    }

    /// Hears whether a device wants out, and tells its drivers.
    fn hear(&mut self, slot: Slot) -> State {
        match slot.news(&self.windows) {
            None => State::Full,
            Some(News::Leaving) if self.keeps(slot) => {
                eprintln!("pcid: the kernel needs the device on bus {:02x}", slot.bus);
                State::Full
            }
            Some(_) => {
                self.news.extend(self.claims_on(slot));
                State::Leaving(Instant::now() + PATIENCE)
            }
        }
    }

    /// Takes a device out that nobody holds any more, or has held for too long.
    fn let_go(&mut self, slot: Slot, until: Instant) -> State {
        if !self.claims_on(slot).is_empty() && Instant::now() < until {
            return State::Leaving(until);
        }
        if slot.news(&self.windows) != Some(News::Gone) {
            slot.power_off(&self.windows);
        }
        for id in self.claims_on(slot) {
            if let Some(Handle::Claim(claim)) = self.handles.get_mut(&id) {
                claim.lose();
            }
        }
        for function in &mut self.functions {
            if function.address.bus() == slot.bus {
                function.is_gone = true;
                // It writes to memory no more.
                self.retired.remove(&function.name());
            }
        }
        self.tell_lists();
        State::Empty
    }

    fn keeps(&self, slot: Slot) -> bool {
        let mut functions = self.functions.iter().filter(|function| !function.is_gone);
        functions.any(|f| f.address.bus() == slot.bus && self.is_kept(f))
    }

    /// Drivers' holds on what is in a slot.
    fn claims_on(&self, slot: Slot) -> Vec<usize> {
        let is_there = |handle: &Handle| {
            matches!(handle, Handle::Claim(claim) if claim.function().address.bus() == slot.bus
                && !claim.function().is_gone)
        };
        self.handles.iter().filter(|(_, handle)| is_there(handle)).map(|(id, _)| *id).collect()
    }

    /// Tells those who watch the list of functions that it is another one.
    fn tell_lists(&mut self) {
        let lists = self.handles.iter().filter(|(_, handle)| matches!(handle, Handle::Root));
        self.news.extend(lists.map(|(id, _)| *id));
    }
}
