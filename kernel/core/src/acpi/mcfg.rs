//! Where PCI configuration space is in memory (PCI Firmware Specification 3.3, 4.1.2).

use super::Sdt;
use super::bytes::{u8_at, u16_at, u64_at};
use alloc::vec::Vec;

/// Bytes before the first entry, behind the header.
const RESERVED: usize = 8;
/// Bytes of an entry.
const ENTRY: usize = 16;

/// The configuration space of some buses: 4096 bytes for each of 8 functions of 32 devices.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PciWindow {
    /// Where bus 0 would be, whether or not it is among the buses.
    pub address: u64,
    /// The group of buses it is about.
    pub segment: u16,
    /// The first bus.
    pub first_bus: u8,
    /// The last bus.
    pub last_bus: u8,
}

impl PciWindow {
    /// All of a table, without entries that make no sense.
    pub fn all(table: &Sdt) -> Vec<Self> {
        let entries = table.data().get(RESERVED..).unwrap_or_default().chunks_exact(ENTRY);
        entries.filter_map(Self::parse).collect()
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let window = Self {
            address: u64_at(bytes, 0)?,
            segment: u16_at(bytes, 8)?,
            first_bus: u8_at(bytes, 10)?,
            last_bus: u8_at(bytes, 11)?,
        };
        let is_aligned = window.address.is_multiple_of(1 << 20) && window.address != 0;
        (is_aligned && window.first_bus <= window.last_bus).then_some(window)
    }
}
