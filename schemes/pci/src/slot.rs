//! Slots whose device comes and goes while the machine runs (PCI Express Base Specification 6.7).
//!
//! Whoever wants to take a device out presses the slot's button (QEMU's `device_del` is that). Then the
//! slot keeps its power until nobody uses the device any more. A device that is taken out without
//! asking is simply not there. One that is put in has no power until the slot gives it some.

use pci_types::{ConfigRegionAccess, PciAddress};

/// Offsets of the list of capabilities, and of a bridge's bus numbers.
const CAPABILITIES: u16 = 0x34;
const BUSES: u16 = 0x18;
/// The capability of PCI Express, and its registers that have to do with slots.
const EXPRESS: u32 = 0x10;
const SLOT: u16 = 0x14;
const CONTROL: u16 = 0x18;
/// A list that is longer goes round in a circle.
const CAPABILITIES_MAX: usize = 48;

/// In the capability's first word: the port has a slot.
const HAS_SLOT: u32 = 1 << 24;
/// In the slot's capabilities: devices come and go.
const IS_HOT: u32 = 1 << 6;
/// In the word of control (lower half) and status (upper half): the power indicator, off; power, off;
/// the button was pressed; a device came or went; one is there.
const INDICATOR: u32 = 3 << 8;
const INDICATOR_ON: u32 = 1 << 8;
const POWER_OFF: u32 = 1 << 10;
const PRESSED: u32 = 1 << 16;
const CHANGED: u32 = 1 << 19;
const IS_THERE: u32 = 1 << 22;
/// The control half.
const CONTROLS: u32 = 0xFFFF;

/// A slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The port that it belongs to.
    pub port: PciAddress,
    capability: u16,
    /// The bus that its device is on.
    pub bus: u8,
}

/// What is up with a slot's device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It is to be taken out.
    Leaving,
    /// It is not there.
    Gone,
}

impl Slot {
    /// The slot of this function, if that is a port that has one whose devices come and go.
    pub fn of(access: &impl ConfigRegionAccess, port: PciAddress) -> Option<Self> {
        // SAFETY: reading configuration space changes nothing.
        let read = |offset| unsafe { access.read(port, offset) };
        let mut at = (read(CAPABILITIES) & 0xFC) as u16;
        for _ in 0..CAPABILITIES_MAX {
            if at == 0 {
                return None;
            }
            let word = read(at);
            if word & 0xFF == EXPRESS {
                let is_hot = word & HAS_SLOT != 0 && read(at + SLOT) & IS_HOT != 0;
                let bus = (read(BUSES) >> 8) as u8;
                let slot = Self { port, capability: at, bus };
                return is_hot.then_some(slot);
            }
            at = (word >> 8 & 0xFC) as u16;
        }
        None
    }

    fn word(&self, access: &impl ConfigRegionAccess) -> u32 {
        // SAFETY: reading configuration space changes nothing.
        unsafe { access.read(self.port, self.capability + CONTROL) }
    }

    fn write(&self, access: &impl ConfigRegionAccess, word: u32) {
        // SAFETY: the register tells the slot's indicators and power what to be, and notes in the
        // status what was seen.
        unsafe { access.write(self.port, self.capability + CONTROL, word) };
    }

    /// Whether there is a device in it.
    pub fn is_full(&self, access: &impl ConfigRegionAccess) -> bool {
        self.word(access) & IS_THERE != 0
    }

    /// Forgets what came and went before: its device is known.
    pub fn forget(&self, access: &impl ConfigRegionAccess) {
        self.write(access, self.word(access) & CONTROLS | CHANGED);
    }

    /// Whether a device was put in since the last time; then it gets power, and answers soon. One that
    /// has lost its power stays without until its button is pressed.
    pub fn takes_in(&self, access: &impl ConfigRegionAccess) -> bool {
        let word = self.word(access);
        if word & IS_THERE == 0 || word & (PRESSED | CHANGED) == 0 {
            return false;
        }
        let controls = word & CONTROLS & !(POWER_OFF | INDICATOR);
        self.write(access, controls | INDICATOR_ON | PRESSED | CHANGED);
        true
    }

    /// Whether something has happened to its device since the last time.
    pub fn news(&self, access: &impl ConfigRegionAccess) -> Option<News> {
        let word = self.word(access);
        // Another one may be there by now, which is for later.
        if word & IS_THERE == 0 || word & CHANGED != 0 {
            return Some(News::Gone);
        }
        if word & PRESSED == 0 {
            return None;
        }
        self.write(access, word & CONTROLS | PRESSED);
        Some(News::Leaving)
    }

    /// Takes the device's power away. It can be taken out then.
    pub fn power_off(&self, access: &impl ConfigRegionAccess) {
        let controls = self.word(access) & CONTROLS;
        self.write(access, controls | INDICATOR | POWER_OFF);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    /// A port with a slot: words of configuration space. Of the status, ones that are written clear.
    struct Port(RefCell<[u32; 64]>);

    const AT: usize = 0x50 / 4;

    impl Port {
        fn new() -> Self {
            let mut words = [0; 64];
            words[usize::from(CAPABILITIES) / 4] = 0x40;
            words[0x40 / 4] = 0x5001;
            words[AT] = HAS_SLOT | EXPRESS;
            words[AT + usize::from(SLOT) / 4] = IS_HOT;
            words[AT + usize::from(CONTROL) / 4] = IS_THERE | 1 << 8;
            words[usize::from(BUSES) / 4] = 0x0005_0500;
            Self(RefCell::new(words))
        }

        fn change(&self, index: usize, change: impl FnOnce(u32) -> u32) {
            let word = &mut self.0.borrow_mut()[index];
            *word = change(*word);
        }
    }

    impl ConfigRegionAccess for Port {
        unsafe fn read(&self, _address: PciAddress, offset: u16) -> u32 {
            self.0.borrow()[usize::from(offset) / 4]
        }

        unsafe fn write(&self, _address: PciAddress, offset: u16, value: u32) {
            self.change(usize::from(offset) / 4, |old| {
                let status = old & !CONTROLS & !(value & (PRESSED | CHANGED));
                let is_off = |word| word & POWER_OFF != 0 && word & INDICATOR == INDICATOR;
                let leaves = is_off(value) && !is_off(old);
                value & CONTROLS | if leaves { status & !IS_THERE | CHANGED } else { status }
            });
        }
    }

    const CONTROL_AT: usize = AT + CONTROL as usize / 4;

    fn port() -> PciAddress {
        PciAddress::new(0, 0, 3, 0)
    }

    #[test]
    fn a_button_is_heard_once_and_power_goes_when_it_is_told_to() {
        let access = Port::new();
        let slot = Slot::of(&access, port()).expect("it has one");
        assert_eq!((slot.bus, slot.news(&access)), (5, None));
        access.change(CONTROL_AT, |word| word | PRESSED);
        assert_eq!(slot.news(&access), Some(News::Leaving));
        assert_eq!(slot.news(&access), None);
        slot.power_off(&access);
        assert_eq!(slot.news(&access), Some(News::Gone));
    }

    #[test]
    fn what_is_put_in_gets_power_once() {
        let access = Port::new();
        let slot = Slot::of(&access, port()).expect("it has one");
        assert!(!slot.takes_in(&access), "it was there before");
        access.change(CONTROL_AT, |word| word | CHANGED);
        slot.forget(&access);
        assert_eq!(slot.news(&access), None);
        slot.power_off(&access);
        assert!(!slot.is_full(&access) && !slot.takes_in(&access));
        access.change(CONTROL_AT, |word| word | IS_THERE | CHANGED | PRESSED);
        assert!(slot.takes_in(&access));
        let word = slot.word(&access);
        assert_eq!(word & (POWER_OFF | INDICATOR | CHANGED | PRESSED), INDICATOR_ON);
        assert_eq!((slot.takes_in(&access), slot.news(&access)), (false, None));
        // Out and in again between two looks: the one that was there is gone.
        access.change(CONTROL_AT, |word| word | CHANGED);
        assert_eq!(slot.news(&access), Some(News::Gone));
        assert!(slot.takes_in(&access));
    }

    #[test]
    fn ports_without_such_a_slot_have_none() {
        for (index, mask) in [(AT, HAS_SLOT), (AT + usize::from(SLOT) / 4, IS_HOT)] {
            let access = Port::new();
            access.change(index, |word| word & !mask);
            assert_eq!(Slot::of(&access, port()), None);
        }
        // A list in a circle.
        let access = Port::new();
        access.change(0x40 / 4, |_| 0x4001);
        assert_eq!(Slot::of(&access, port()), None);
    }
}
