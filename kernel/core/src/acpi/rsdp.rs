//! The root system description pointer: found where the boot protocol says, or by searching.

use super::PhysicalRead;
use super::bytes::{adds_up, array_at, u8_at, u16_at, u32_at, u64_at};

/// The root pointer, checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rsdp {
    /// Who made the firmware: `BOCHS ` under QEMU.
    pub oem_id: [u8; 6],
    /// 0 for ACPI 1.0, 2 for later.
    pub revision: u8,
    rsdt_address: u32,
    xsdt_address: u64,
}

/// Bytes of revision 0; the first checksum covers them in every revision.
const SIZE_0: usize = 20;
/// Bytes of revision 2.
const SIZE_2: usize = 36;

/// Where the BIOS keeps the segment of its extended data area.
const EBDA_SEGMENT: u64 = 0x40E;
const BIOS_START: u64 = 0xE_0000;
const BIOS_SIZE: u64 = 0x2_0000;

impl Rsdp {
    /// Reads and checks one at the start of `bytes`.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.get(..8)? != b"RSD PTR " || !adds_up(bytes.get(..SIZE_0)?) {
            return None;
        }
        let (oem_id, revision) = (array_at(bytes, 9)?, u8_at(bytes, 15)?);
        let rsdt_address = u32_at(bytes, 16)?;
        let mut xsdt_address = 0;
        if revision >= 2 {
            let length = usize::try_from(u32_at(bytes, 20)?).ok()?;
            if length < SIZE_2 || !adds_up(bytes.get(..length)?) {
                return None;
            }
            xsdt_address = u64_at(bytes, 24)?;
        }
        Some(Self { oem_id, revision, rsdt_address, xsdt_address })
    }

    /// Reads and checks the one at `address`.
    pub fn read(memory: &impl PhysicalRead, address: u64) -> Option<Self> {
        // A later revision may be longer than this one's 36 bytes, but not without end.
        let mut bytes = [0; 128];
        if !memory.read(address, &mut bytes[..SIZE_0]) {
            return None;
        }
        let mut length = SIZE_0;
        if bytes[15] >= 2 {
            if !memory.read(address, &mut bytes[..SIZE_2]) {
                return None;
            }
            length = usize::try_from(u32_at(&bytes, 20)?).ok()?;
            if !memory.read(address, bytes.get_mut(..length)?) {
                return None;
            }
        }
        Self::parse(&bytes[..length])
    }

    /// The root table: the XSDT when there is one, otherwise the RSDT.
    pub fn sdt_address(&self) -> u64 {
        if self.xsdt_address != 0 { self.xsdt_address } else { self.rsdt_address.into() }
    }
}

/// Searches a piece of memory; root pointers lie on 16-byte boundaries (ACPI 5.2.5.1).
pub fn search_in(bytes: &[u8]) -> Option<Rsdp> {
    (0..bytes.len()).step_by(16).find_map(|at| Rsdp::parse(&bytes[at..]))
}

/// Searches the first KiB of the extended BIOS data area, then the BIOS's read-only memory.
pub fn search(memory: &impl PhysicalRead) -> Option<Rsdp> {
    let mut segment = [0; 2];
    let ebda = memory
        .read(EBDA_SEGMENT, &mut segment)
        .then(|| u64::from(u16_at(&segment, 0).unwrap_or(0)) << 4);
    let ebda = ebda.filter(|start| *start >= 0x400).map(|start| (start, 0x400));
    ebda.into_iter().chain([(BIOS_START, BIOS_SIZE)]).find_map(|(start, size)| {
        (start..start + size).step_by(16).find_map(|at| try_at(memory, at))
    })
}

fn try_at(memory: &impl PhysicalRead, address: u64) -> Option<Rsdp> {
    let mut signature = [0; 8];
    let is_here = memory.read(address, &mut signature) && signature == *b"RSD PTR ";
    is_here.then(|| Rsdp::read(memory, address)).flatten()
}
