//! Finding devices on the PCI buses, by configuration mechanism 1 (PCI Local Bus 3.0, 3.2.2.3.2):
//! two ports, which every PC has.

use core::fmt;
use x86::io::{inl, outl};

const ADDRESS: u16 = 0xCF8;
const DATA: u16 = 0xCFC;

/// Configuration registers (PCI Local Bus 3.0, 6.1; for bridges PCI-to-PCI Bridge 1.2, 3.2).
mod register {
    /// Vendor below, device above.
    pub(super) const IDENTITY: u8 = 0x00;
    /// Command below, status above.
    pub(super) const COMMAND: u8 = 0x04;
    /// Class in the two upper bytes.
    pub(super) const CLASS: u8 = 0x08;
    /// Header type in the third byte.
    pub(super) const HEADER: u8 = 0x0C;
    /// First address.
    pub(super) const BAR0: u8 = 0x10;
    /// The first capability.
    pub(super) const CAPABILITIES: u8 = 0x34;
    /// Of a bridge: the bus behind it in the second byte.
    pub(super) const BUSES: u8 = 0x18;
}

/// In the command: ports answer, memory answers, the device may reach memory by itself.
const ENABLE: u32 = 0b111;
/// In the header type: several functions.
const MULTIPLE: u32 = 0x80;
/// In the status, which is above the command: there is a list of capabilities, behind the first 64
/// bytes, with room for so many.
const HAS_CAPABILITIES: u32 = 1 << 20;
const CAPABILITIES_START: u8 = 0x40;
const CAPABILITIES_MAX: u32 = 48;
const NOBODY: u32 = u32::MAX;
/// A bridge to another PCI bus.
const BRIDGE: u32 = 0x0604;
/// Bridges in a row; real machines have three or four.
const DEPTH: u32 = 8;

/// One function of one device.
#[derive(Clone, Copy)]
pub(crate) struct Device {
    bus: u8,
    slot: u8,
    function: u8,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}:{:02x}.{}", self.bus, self.slot, self.function)
    }
}

impl Device {
    fn select(self, register: u8) {
        let [bus, slot, function] = [self.bus, self.slot, self.function].map(u32::from);
        let address = 1 << 31 | bus << 16 | slot << 11 | function << 8 | u32::from(register);
        // SAFETY: the port selects a configuration register and does nothing else. Only the CPU
        // that boots comes here.
        unsafe { outl(ADDRESS, address) };
    }

    /// A configuration register.
    pub(super) fn read(self, register: u8) -> u32 {
        self.select(register);
        // SAFETY: reading the registers named above changes nothing.
        unsafe { inl(DATA) }
    }

    /// Vendor and device number.
    pub(crate) fn identity(self) -> (u16, u16) {
        let identity = self.read(register::IDENTITY);
        (identity as u16, (identity >> 16) as u16)
    }

    /// Class, subclass and programming interface.
    pub(super) fn class(self) -> u32 {
        self.read(register::CLASS) >> 8
    }

    /// The memory behind one of its six addresses (6.2.5.1), if that is memory.
    pub(crate) fn memory(self, number: u8) -> Option<u64> {
        if number >= 6 {
            return None;
        }
        let at = register::BAR0 + 4 * number;
        let low = self.read(at);
        let high = match low >> 1 & 0b11 {
            0b10 if number < 5 => u64::from(self.read(at + 4)),
            _ => 0,
        };
        let base = high << 32 | u64::from(low & !0xF);
        (low & 1 == 0 && base != 0).then_some(base)
    }

    /// Calls `look` with each capability's place and kind (6.7).
    pub(super) fn capabilities(self, mut look: impl FnMut(u8, u8)) {
        let has_list = self.read(register::COMMAND) & HAS_CAPABILITIES != 0;
        let mut at = if has_list { self.read(register::CAPABILITIES) as u8 & !3 } else { 0 };
        // A list that goes round in circles ends, too.
        for _ in 0..CAPABILITIES_MAX {
            if at < CAPABILITIES_START {
                return;
            }
            let [kind, next, ..] = self.read(at).to_le_bytes();
            look(at, kind);
            at = next & !3;
        }
    }

    /// The first port of its first address, if that is ports.
    pub(super) fn ports(self) -> Option<u16> {
        let address = self.read(register::BAR0);
        let is_ports = address & 1 != 0;
        u16::try_from(address & !3).ok().filter(|port| is_ports && *port != 0)
    }

    /// Lets it answer, and reach memory by itself.
    pub(crate) fn enable(self) {
        let command = self.read(register::COMMAND) as u16;
        self.select(register::COMMAND);
        // SAFETY: it only lets the device do what its driver tells it to. Zeroes in the upper half
        // leave the status as it is.
        unsafe { outl(DATA, u32::from(command) | ENABLE) };
    }
}

/// Calls `act` for every function of every device.
pub(crate) fn visit(mut act: impl FnMut(Device)) {
    visit_bus(0, 0, &mut act);
}

fn visit_bus(bus: u8, depth: u32, act: &mut dyn FnMut(Device)) {
    for slot in 0..32 {
        let first = Device { bus, slot, function: 0 };
        if first.read(register::IDENTITY) == NOBODY {
            continue;
        }
        let is_multiple = first.read(register::HEADER) >> 16 & MULTIPLE != 0;
        for function in 0..if is_multiple { 8 } else { 1 } {
            let device = Device { bus, slot, function };
            if device.read(register::IDENTITY) == NOBODY {
                continue;
            }
            act(device);
            let behind = (device.read(register::BUSES) >> 8) as u8;
            if device.read(register::CLASS) >> 16 == BRIDGE && behind > bus && depth < DEPTH {
                visit_bus(behind, depth + 1, act);
            }
        }
    }
}
