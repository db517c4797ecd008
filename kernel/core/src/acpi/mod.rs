//! ACPI tables — what the firmware says about CPUs, interrupt lines, timers and power.
//!
//! Only the static tables: no AML is run. Firmware is not believed: lengths are bounded, checksums
//! checked, tables that lie are left out and named in [`Tables::rejected`], and no table is read
//! twice. Nothing here touches hardware; memory is read through [`PhysicalRead`].
//!
//! Layouts: ACPI Specification 6.5, chapter 5.2.

mod bytes;
pub mod fadt;
pub mod hpet;
pub mod madt;
pub mod mcfg;
pub mod rsdp;
pub mod sdt;

pub use fadt::Fadt;
pub use hpet::Hpet;
pub use madt::Madt;
pub use mcfg::PciWindow;
pub use rsdp::Rsdp;
pub use sdt::{Rejection, Sdt};

use alloc::vec::Vec;
use bytes::{u8_at, u32_at, u64_at};
use core::fmt;

/// Physical memory as firmware left it.
pub trait PhysicalRead {
    /// Copies out of physical memory; false when any of it is not there.
    fn read(&self, address: u64, into: &mut [u8]) -> bool;
}

/// Most tables that are looked at; real machines have some 30.
pub const TABLES_MAX: usize = 256;

/// Most bytes of all tables together: copies live in the kernel's heap for good.
pub const BYTES_MAX: usize = 4 << 20;

/// All tables of a machine.
#[derive(Clone, Debug)]
pub struct Tables {
    /// Where everything began.
    pub rsdp: Rsdp,
    tables: Vec<Sdt>,
    /// Tables that were named but are not usable, by address.
    pub rejected: Vec<(u64, Rejection)>,
}

/// Why there are no tables at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoTables {
    /// No root pointer, neither handed over nor found.
    NoPointer,
    /// The root table is not usable.
    Root(Rejection),
}

impl fmt::Display for NoTables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPointer => f.write_str("no RSDP"),
            Self::Root(rejection) => write!(f, "root table: {rejection}"),
        }
    }
}

impl Tables {
    /// Reads all tables. A good root pointer at `supplied` (from the boot protocol) wins over
    /// searching.
    ///
    /// # Errors
    ///
    /// See [`NoTables`]. A bad table that is not the root is no error.
    pub fn read(memory: &impl PhysicalRead, supplied: Option<u64>) -> Result<Self, NoTables> {
        let rsdp = supplied
            .and_then(|address| Rsdp::read(memory, address))
            .or_else(|| rsdp::search(memory))
            .ok_or(NoTables::NoPointer)?;
        let root = Sdt::read(memory, rsdp.sdt_address()).map_err(NoTables::Root)?;
        let entry_size = match &root.signature() {
            b"XSDT" => 8,
            b"RSDT" => 4,
            _ => return Err(NoTables::Root(Rejection::Signature)),
        };
        let mut all = Self { rsdp, tables: Vec::new(), rejected: Vec::new() };
        for entry in root.data().chunks_exact(entry_size).take(TABLES_MAX) {
            let address = match entry_size {
                8 => u64_at(entry, 0),
                _ => u32_at(entry, 0).map(u64::from),
            };
            all.add(memory, address.unwrap_or(0));
        }
        // The one table that matters and that only another table knows.
        if let Some(dsdt) = all.fadt().and_then(|fadt| fadt.dsdt_address()) {
            all.add(memory, dsdt);
        }
        Ok(all)
    }

    /// Reads one table unless it was already seen or leads back to the root.
    fn add(&mut self, memory: &impl PhysicalRead, address: u64) {
        let seen = self.tables.iter().any(|table| table.address() == address)
            || self.rejected.iter().any(|(rejected, _)| *rejected == address);
        if address == 0 || seen {
            return;
        }
        let held: usize = self.tables.iter().map(|table| table.bytes().len()).sum();
        match Sdt::read(memory, address) {
            Ok(table) if matches!(&table.signature(), b"XSDT" | b"RSDT") => {
                self.rejected.push((address, Rejection::Signature));
            }
            Ok(table) if held + table.bytes().len() > BYTES_MAX => {
                self.rejected.push((address, Rejection::NoMemory));
            }
            Ok(table) => self.tables.push(table),
            Err(rejection) => self.rejected.push((address, rejection)),
        }
    }

    /// All usable tables, in the firmware's order.
    pub fn iter(&self) -> core::slice::Iter<'_, Sdt> {
        self.tables.iter()
    }

    /// All tables with this signature; there may be several `SSDT`.
    pub fn find(&self, signature: [u8; 4]) -> impl Iterator<Item = &Sdt> {
        self.tables.iter().filter(move |table| table.signature() == signature)
    }

    /// CPUs and interrupt lines.
    pub fn madt(&self) -> Option<Madt<'_>> {
        self.find(*b"APIC").find_map(Madt::new)
    }

    /// Power.
    pub fn fadt(&self) -> Option<Fadt<'_>> {
        self.find(*b"FACP").map(Fadt::new).next()
    }

    /// The high-precision timer.
    pub fn hpet(&self) -> Option<Hpet> {
        self.find(*b"HPET").find_map(Hpet::new)
    }

    /// Where PCI configuration space is.
    pub fn pci_windows(&self) -> Vec<PciWindow> {
        self.find(*b"MCFG").flat_map(PciWindow::all).collect()
    }

    /// What switches the machine off, from whichever table of AML code declares it.
    pub fn soft_off(&self) -> Option<fadt::SoftOff> {
        let code = self.find(*b"DSDT").chain(self.find(*b"SSDT"));
        code.into_iter().find_map(|table| fadt::SoftOff::find(table.data()))
    }
}

impl<'a> IntoIterator for &'a Tables {
    type Item = &'a Sdt;
    type IntoIter = core::slice::Iter<'a, Sdt>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Where a register is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Space {
    /// Physical memory.
    Memory,
    /// An I/O port.
    Port,
    /// PCI configuration space of bus 0, as device, function and offset packed into the address.
    PciConfiguration,
    /// Anything else, by its number.
    Other(u8),
}

/// A register's place, width and access: 12 bytes of many tables (ACPI 5.2.3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GenericAddress {
    /// What `address` counts in.
    pub space: Space,
    /// Its width in bits.
    pub bit_width: u8,
    /// The lowest bit.
    pub bit_offset: u8,
    /// 1 byte, 2 word, 3 doubleword, 4 quadword, 0 not said.
    pub access_size: u8,
    /// Never 0.
    pub address: u64,
}

impl GenericAddress {
    /// Reads one; `None` when it is cut short or says "no such register".
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let space = match u8_at(bytes, 0)? {
            0 => Space::Memory,
            1 => Space::Port,
            2 => Space::PciConfiguration,
            other => Space::Other(other),
        };
        let address = u64_at(bytes, 4).filter(|address| *address != 0)?;
        let [bit_width, bit_offset, access_size] = [1, 2, 3].map(|at| u8_at(bytes, at));
        Some(Self {
            space,
            bit_width: bit_width?,
            bit_offset: bit_offset?,
            access_size: access_size?,
            address,
        })
    }

    /// A port of `bytes` bytes, as tables before ACPI 2.0 name registers; `None` for port 0.
    pub(crate) fn port(address: u32, bytes: u8) -> Option<Self> {
        (address != 0).then_some(Self {
            space: Space::Port,
            bit_width: bytes.saturating_mul(8),
            bit_offset: 0,
            access_size: 0,
            address: address.into(),
        })
    }
}
