//! Addresses for the registers of a device that was put in while the machine runs.
//!
//! Firmware gives addresses to what it finds, and to each port a stretch of memory, also to one whose
//! slot is empty. Registers get their places in there, the largest first, so that each lies at a
//! multiple of its size (PCI Local Bus Specification 3.0, 6.2.5.1; bridges: 3.2.5.8). Ports of I/O get
//! none: no driver here uses them.

use pci_types::{ConfigRegionAccess, PciAddress};

const COMMAND: u16 = 0x04;
const HEADER: u16 = 0x0C;
/// The first of six base address registers.
const REGISTERS: u16 = 0x10;
/// In a bridge: first and last MiB of its memory.
const MEMORY: u16 = 0x20;
const NOBODY: u32 = u32::MAX;

const DECODING: u32 = 0b11;
const IS_PORTS: u32 = 1;
const IS_64: u32 = 0b100;
const MIB: u64 = 1 << 20;
/// No port has as much memory.
const SIZE_MAX: u64 = 1 << 32;

/// Registers that need a place.
struct Wanted {
    function: PciAddress,
    offset: u16,
    size: u64,
    is_64: bool,
}

/// Gives addresses to the registers of all functions on the bus behind a port. Returns whether there
/// was room for all; those without stay without.
pub fn assign(access: &impl ConfigRegionAccess, port: PciAddress, bus: u8) -> bool {
    let mut wanted = Vec::new();
    let first = PciAddress::new(port.segment(), bus, 0, 0);
    // SAFETY: reading configuration space changes nothing.
    let header = unsafe { access.read(first, HEADER) };
    let count = if header >> 23 & 1 == 1 { 8 } else { 1 };
    for number in 0..count {
        wanted.extend(sizes(access, PciAddress::new(port.segment(), bus, 0, number)));
    }
    wanted.sort_by_key(|registers| std::cmp::Reverse(registers.size));
    // SAFETY: as above.
    let window = u64::from(unsafe { access.read(port, MEMORY) });
    let mut next = (window & 0xFFF0) << 16;
    let end = (window & 0xFFF0_0000) + MIB;
    let mut fits = true;
    for Wanted { function, offset, size, is_64 } in wanted {
        let address = next.next_multiple_of(size);
        if address == 0 || address + size > end {
            fits = false;
            continue;
        }
        // SAFETY: the device does not answer at addresses yet, and nobody else has these.
        unsafe {
            access.write(function, offset, address as u32);
            if is_64 {
                access.write(function, offset + 4, (address >> 32) as u32);
            }
        }
        next = address + size;
    }
    fits
}

/// How large a function's registers are. It answers at no addresses from then on.
fn sizes(access: &impl ConfigRegionAccess, function: PciAddress) -> Vec<Wanted> {
    // SAFETY: reading configuration space changes nothing.
    let read = |offset| unsafe { access.read(function, offset) };
    let mut wanted = Vec::new();
    // Bridges have other registers there.
    if read(0) == NOBODY || read(HEADER) >> 16 & 0x7F != 0 {
        return wanted;
    }
    // SAFETY: the device was put in just now; it has no addresses and no driver.
    let write = |offset, value| unsafe { access.write(function, offset, value) };
    write(COMMAND, read(COMMAND) & 0xFFFF & !DECODING);
    let mut index = 0;
    while index < 6 {
        let offset = REGISTERS + 4 * index;
        write(offset, u32::MAX);
        let answer = read(offset);
        write(offset, 0);
        let is_64 = answer & IS_PORTS == 0 && answer & 0b110 == IS_64 && index < 5;
        let mut mask = u64::from(answer & !0xF) | u64::from(u32::MAX) << 32;
        if is_64 {
            write(offset + 4, u32::MAX);
            mask = mask & 0xFFFF_FFFF | u64::from(read(offset + 4)) << 32;
            write(offset + 4, 0);
        }
        let size = (!mask).wrapping_add(1);
        let is_there = answer & !0xF != 0 || (is_64 && mask != 0);
        if is_there && answer & IS_PORTS == 0 && size.is_power_of_two() && size < SIZE_MAX {
            wanted.push(Wanted { function, offset, size, is_64 });
        }
        index += if is_64 { 2 } else { 1 };
    }
    wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    fn port() -> PciAddress {
        PciAddress::new(0, 0, 3, 0)
    }

    /// A port with a stretch of memory, and one device behind it: what its base address registers
    /// keep of what is written, and what is always set.
    struct Machine {
        window: u32,
        keeps: [(u32, u32); 6],
        words: RefCell<[u32; 6]>,
    }

    impl Machine {
        fn new(window: u32, keeps: [(u32, u32); 6]) -> Self {
            Self { window, keeps, words: RefCell::default() }
        }
    }

    impl ConfigRegionAccess for Machine {
        unsafe fn read(&self, address: PciAddress, offset: u16) -> u32 {
            let register = usize::from(offset.wrapping_sub(REGISTERS)) / 4;
            match (address.bus(), address.device(), offset) {
                (0, 3, MEMORY) => self.window,
                (5, 0, 0) => 0x1234_5678,
                (5, 0, HEADER | COMMAND) => 0,
                (5, 0, _) if register < 6 => self.words.borrow()[register],
                _ => NOBODY,
            }
        }

        unsafe fn write(&self, address: PciAddress, offset: u16, value: u32) {
            let register = usize::from(offset.wrapping_sub(REGISTERS)) / 4;
            assert_eq!((address.bus(), address.device()), (5, 0));
            if register < 6 {
                let (kept, set) = self.keeps[register];
                self.words.borrow_mut()[register] = value & kept | set;
            }
        }
    }

    /// A page of memory, ports, 16 KiB in 64 bits, nothing.
    const DEVICE: [(u32, u32); 6] =
        [(!0xFFF, 0), (!0x7F, 1), (!0x3FFF, 0xC), (!0, 0), (0, 0), (0, 0)];

    #[test]
    fn registers_lie_in_the_ports_memory_the_largest_first() {
        let machine = Machine::new(0xFEB0_FEA0, DEVICE);
        assert!(assign(&machine, port(), 5));
        let words = *machine.words.borrow();
        assert_eq!(words, [0xFEA0_4000, 1, 0xFEA0_000C, 0, 0, 0]);
    }

    #[test]
    fn without_room_registers_have_no_address() {
        // The last MiB is below the first: the port has no memory.
        let machine = Machine::new(0x0000_FFF0, DEVICE);
        assert!(!assign(&machine, port(), 5));
        assert_eq!(machine.words.borrow()[0], 0);
        // A device that wants more than there is, and something small beside it.
        let machine = Machine::new(
            0xFEA0_FEA0,
            [(!0xFF_FFFF, 0), (!0xFFF, 0), (0, 0), (0, 0), (0, 0), (0, 0)],
        );
        assert!(!assign(&machine, port(), 5));
        assert_eq!(machine.words.borrow()[..2], [0, 0xFEA0_0000]);
    }

    #[test]
    fn no_answers_however_strange_are_a_panic() {
        for kept in [0, 1, 0xF, 0x10, 0x7FFF_FFF0, !0, 0xF0F0_F0F0] {
            for set in 0..16 {
                let _any = assign(&Machine::new(0xFEB0_FEA0, [(kept, set); 6]), port(), 5);
                let _any = assign(&Machine::new(0, [(kept, set); 6]), port(), 5);
                let _any = assign(&Machine::new(!0, [(kept, set); 6]), port(), 5);
            }
        }
    }
}
