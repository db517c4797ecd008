//! The multiple APIC description table: CPUs, interrupt controllers, rerouted lines.

use super::Sdt;
use super::bytes::{u8_at, u16_at, u32_at, u64_at};

/// In [`Madt::flags`]: the machine also has two 8259 controllers, which must be masked.
pub const FLAG_PCAT: u32 = 1;

/// The table.
#[derive(Clone, Copy, Debug)]
pub struct Madt<'a> {
    entries: &'a [u8],
    address: u32,
    /// [`FLAG_PCAT`] or not.
    pub flags: u32,
}

/// A CPU, by the 8-bit number of its local APIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalApic {
    /// The firmware's number for the CPU.
    pub processor: u8,
    /// The number to send interrupts to.
    pub apic_id: u8,
    /// See [`is_usable`].
    pub flags: u32,
}

/// A CPU, by the 32-bit number of its x2APIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalX2Apic {
    /// The number to send interrupts to.
    pub apic_id: u32,
    /// See [`is_usable`].
    pub flags: u32,
    /// The firmware's number for the CPU.
    pub processor: u32,
}

/// An interrupt controller for device lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IoApic {
    /// Its number.
    pub id: u8,
    /// Where its registers are.
    pub address: u32,
    /// The first global line it serves.
    pub first_line: u32,
}

/// A legacy line that is wired to another global line, or with another signal, than usual.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IntSrcOverride {
    /// Always 0: ISA.
    pub bus: u8,
    /// The legacy line, 0 to 15.
    pub source: u8,
    /// The global line.
    pub line: u32,
    /// Polarity in bits 0..2, trigger in bits 2..4.
    pub flags: u16,
}

impl IntSrcOverride {
    /// Whether the line is active when low. What conforms to the bus (0) is active high on ISA.
    pub fn is_active_low(&self) -> bool {
        self.flags & 0b11 == 0b11
    }

    /// Whether the line is level-triggered. What conforms to the bus (0) is edge on ISA.
    pub fn is_level(&self) -> bool {
        self.flags >> 2 & 0b11 == 0b11
    }
}

/// A global line that is a non-maskable interrupt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NmiSource {
    /// As in [`IntSrcOverride`].
    pub flags: u16,
    /// The global line.
    pub line: u32,
}

/// A local pin of CPUs that is a non-maskable interrupt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalApicNmi {
    /// The firmware's number for the CPU; `u32::MAX` for all.
    pub processor: u32,
    /// As in [`IntSrcOverride`].
    pub flags: u16,
    /// LINT0 or LINT1.
    pub pin: u8,
}

/// An Arm CPU's interrupt interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gicc {
    /// The firmware's number for the CPU.
    pub processor: u32,
    /// Bit 0: enabled.
    pub flags: u32,
    /// Where its registers are.
    pub address: u64,
    /// The CPU's affinity register.
    pub mpidr: u64,
}

/// An Arm machine's interrupt distributor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gicd {
    /// Its number.
    pub id: u32,
    /// Where its registers are.
    pub address: u64,
    /// The architecture's version.
    pub version: u8,
}

/// One entry. An `Invalid` one has the kind of its twin but not its length, and carries that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "each carries what its twin's type explains")]
pub enum Entry {
    LocalApic(LocalApic),
    InvalidLocalApic(u8),
    IoApic(IoApic),
    InvalidIoApic(u8),
    IntSrcOverride(IntSrcOverride),
    InvalidIntSrcOverride(u8),
    NmiSource(NmiSource),
    InvalidNmiSource(u8),
    LocalApicNmi(LocalApicNmi),
    InvalidLocalApicNmi(u8),
    /// The 64-bit address of every CPU's local APIC.
    LocalApicAddress(u64),
    InvalidLocalApicAddress(u8),
    LocalX2Apic(LocalX2Apic),
    InvalidLocalX2Apic(u8),
    LocalX2ApicNmi(LocalApicNmi),
    InvalidLocalX2ApicNmi(u8),
    Gicc(Gicc),
    InvalidGicc(u8),
    Gicd(Gicd),
    InvalidGicd(u8),
    /// A kind that is not known here.
    Unknown(u8),
    /// The rest cannot be divided into entries: a length below 2 or beyond the end. Always last.
    Garbage,
}

/// Whether a CPU with these flags is on, or can be switched on. Both bits clear: not there.
pub fn is_usable(flags: u32) -> bool {
    flags & 0b11 != 0
}

impl<'a> Madt<'a> {
    /// Takes the table apart; `None` when it is too short.
    pub fn new(table: &'a Sdt) -> Option<Self> {
        let data = table.data();
        Some(Self { address: u32_at(data, 0)?, flags: u32_at(data, 4)?, entries: data.get(8..)? })
    }

    /// Where every CPU finds its own local APIC.
    pub fn local_apic_address(&self) -> u64 {
        let wide = self.entries().find_map(|entry| match entry {
            Entry::LocalApicAddress(address) => Some(address),
            _ => None,
        });
        wide.unwrap_or(self.address.into())
    }

    /// Whether there are 8259 controllers to be masked.
    pub fn has_legacy_controllers(&self) -> bool {
        self.flags & FLAG_PCAT != 0
    }

    /// All entries, in the table's order.
    pub fn entries(&self) -> Entries<'a> {
        Entries { rest: self.entries }
    }
}

/// Walks over the entries. Ends, whatever the bytes: every step eats at least two.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl Iterator for Entries<'_> {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if self.rest.is_empty() {
            return None;
        }
        let length = u8_at(self.rest, 1).map_or(0, usize::from);
        match self.rest.split_at_checked(length) {
            Some((entry, rest)) if length >= 2 => {
                self.rest = rest;
                Some(parse(entry))
            }
            _ => {
                self.rest = &[];
                Some(Entry::Garbage)
            }
        }
    }
}

/// Reads one entry of at least two bytes (ACPI 5.2.12.2 and following).
fn parse(entry: &[u8]) -> Entry {
    let (kind, length) = (entry[0], entry[1]);
    let parsed = match (kind, length) {
        (0, 8) => local_apic(entry).map(Entry::LocalApic),
        (1, 12) => io_apic(entry).map(Entry::IoApic),
        (2, 10) => int_src_override(entry).map(Entry::IntSrcOverride),
        (3, 8) => nmi_source(entry).map(Entry::NmiSource),
        (4, 6) => local_apic_nmi(entry).map(Entry::LocalApicNmi),
        (5, 12) => u64_at(entry, 4).map(Entry::LocalApicAddress),
        (9, 16) => local_x2apic(entry).map(Entry::LocalX2Apic),
        (10, 12) => local_x2apic_nmi(entry).map(Entry::LocalX2ApicNmi),
        // ACPI 5.1, 6.0 and 6.5 each made it longer at the end.
        (11, 76 | 80 | 82) => gicc(entry).map(Entry::Gicc),
        (12, 24) => gicd(entry).map(Entry::Gicd),
        _ => None,
    };
    parsed.unwrap_or(match kind {
        0 => Entry::InvalidLocalApic(length),
        1 => Entry::InvalidIoApic(length),
        2 => Entry::InvalidIntSrcOverride(length),
        3 => Entry::InvalidNmiSource(length),
        4 => Entry::InvalidLocalApicNmi(length),
        5 => Entry::InvalidLocalApicAddress(length),
        9 => Entry::InvalidLocalX2Apic(length),
        10 => Entry::InvalidLocalX2ApicNmi(length),
        11 => Entry::InvalidGicc(length),
        12 => Entry::InvalidGicd(length),
        other => Entry::Unknown(other),
    })
}

fn local_apic(entry: &[u8]) -> Option<LocalApic> {
    let (processor, apic_id) = (u8_at(entry, 2)?, u8_at(entry, 3)?);
    Some(LocalApic { processor, apic_id, flags: u32_at(entry, 4)? })
}

fn local_x2apic(entry: &[u8]) -> Option<LocalX2Apic> {
    let (apic_id, flags) = (u32_at(entry, 4)?, u32_at(entry, 8)?);
    Some(LocalX2Apic { apic_id, flags, processor: u32_at(entry, 12)? })
}

fn io_apic(entry: &[u8]) -> Option<IoApic> {
    let (id, address) = (u8_at(entry, 2)?, u32_at(entry, 4)?);
    Some(IoApic { id, address, first_line: u32_at(entry, 8)? })
}

fn int_src_override(entry: &[u8]) -> Option<IntSrcOverride> {
    let (bus, source) = (u8_at(entry, 2)?, u8_at(entry, 3)?);
    Some(IntSrcOverride { bus, source, line: u32_at(entry, 4)?, flags: u16_at(entry, 8)? })
}

fn nmi_source(entry: &[u8]) -> Option<NmiSource> {
    Some(NmiSource { flags: u16_at(entry, 2)?, line: u32_at(entry, 4)? })
}

fn local_apic_nmi(entry: &[u8]) -> Option<LocalApicNmi> {
    let processor = match u8_at(entry, 2)? {
        0xFF => u32::MAX,
        one => one.into(),
    };
    Some(LocalApicNmi { processor, flags: u16_at(entry, 3)?, pin: u8_at(entry, 5)? })
}

fn local_x2apic_nmi(entry: &[u8]) -> Option<LocalApicNmi> {
    let (flags, processor) = (u16_at(entry, 2)?, u32_at(entry, 4)?);
    Some(LocalApicNmi { processor, flags, pin: u8_at(entry, 8)? })
}

fn gicc(entry: &[u8]) -> Option<Gicc> {
    let (processor, flags) = (u32_at(entry, 8)?, u32_at(entry, 12)?);
    Some(Gicc { processor, flags, address: u64_at(entry, 32)?, mpidr: u64_at(entry, 68)? })
}

fn gicd(entry: &[u8]) -> Option<Gicd> {
    let (id, address) = (u32_at(entry, 4)?, u64_at(entry, 8)?);
    Some(Gicd { id, address, version: u8_at(entry, 20)? })
}
