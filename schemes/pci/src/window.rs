//! Configuration space, as `sys:pci` says where it is: mapped bus by bus when a bus is looked at.

use std::cell::RefCell;
use std::collections::BTreeMap;

use libredox::Fd;
use libredox::flag::{O_CLOEXEC, O_RDWR};
use pci_types::{ConfigRegionAccess, PciAddress};
use pcid::mapping::Mapping;

/// Configuration space of a bus: 4096 bytes for each of 8 functions of 32 devices.
const BUS: u64 = 1 << 20;

/// One window of `sys:pci`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: u16,
    pub(crate) first: u8,
    pub(crate) last: u8,
    address: u64,
}

impl Place {
    /// All windows that the text of `sys:pci` names.
    pub(crate) fn all(text: &str) -> Vec<Self> {
        text.lines().filter_map(Self::parse).collect()
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let mut next = || words.next();
        let (segment, first, last) = (next()?, next()?, next()?);
        let address = next()?.strip_prefix("0x")?;
        Some(Self {
            segment: segment.parse().ok()?,
            first: first.parse().ok()?,
            last: last.parse().ok()?,
            address: u64::from_str_radix(address, 16).ok()?,
        })
    }
}

/// Access to configuration space.
pub(crate) struct Windows {
    places: Vec<Place>,
    /// Buses that were looked at; `None` for those that cannot be reached.
    buses: RefCell<BTreeMap<(u16, u8), Option<Mapping>>>,
}

impl Windows {
    pub(crate) fn new(places: Vec<Place>) -> Self {
        Self { places, buses: RefCell::default() }
    }

    fn map(&self, segment: u16, bus: u8) -> Option<Mapping> {
        let inside =
            |place: &&Place| place.segment == segment && (place.first..=place.last).contains(&bus);
        let place = self.places.iter().find(inside)?;
        let path =
            format!("/scheme/memory/physical/{:#x}/{BUS:#x}", place.address + u64::from(bus) * BUS);
        let file = Fd::open(&path, O_RDWR | O_CLOEXEC, 0).ok()?;
        Mapping::new(&file, 0, BUS as usize).ok()
    }

    /// Does something with the registers of a bus; nothing, when it cannot be reached.
    fn with<T>(&self, address: PciAddress, act: impl FnOnce(&Mapping) -> T) -> Option<T> {
        let key = (address.segment(), address.bus());
        let mut buses = self.buses.borrow_mut();
        let bus = buses.entry(key).or_insert_with(|| self.map(key.0, key.1));
        bus.as_ref().map(act)
    }
}

fn place_of(address: PciAddress, offset: u16) -> usize {
    let function = usize::from(address.device()) << 3 | usize::from(address.function());
    function << 12 | usize::from(offset & 0xFFC)
}

impl ConfigRegionAccess for Windows {
    unsafe fn read(&self, address: PciAddress, offset: u16) -> u32 {
        let value = self.with(address, |bus| bus.read(place_of(address, offset)));
        // What the bus itself answers where there is nobody.
        value.unwrap_or(u32::MAX)
    }

    unsafe fn write(&self, address: PciAddress, offset: u16, value: u32) {
        self.with(address, |bus| bus.write(place_of(address, offset), value));
    }
}
