//! One system description table: the header every table has, and its bytes.

use super::PhysicalRead;
use super::bytes::{adds_up, array_at, u8_at, u32_at};
use alloc::vec::Vec;
use core::fmt;

/// Bytes of the header.
pub const HEADER_SIZE: usize = 36;

/// The longest table that is read: twice the largest DSDT seen on real machines.
pub const TABLE_MAX: usize = 1 << 20;

/// A checked copy of one table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sdt {
    address: u64,
    bytes: Vec<u8>,
}

/// Why a table is not usable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rejection {
    /// There is no memory at its address.
    Absent,
    /// Its length is below the header's or above [`TABLE_MAX`].
    Length(u32),
    /// Its bytes do not add up to 0.
    Checksum,
    /// It is not the kind of table that belongs there.
    Signature,
    /// There is no room for a copy.
    NoMemory,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("no memory there"),
            Self::Length(length) => write!(f, "impossible length {length}"),
            Self::Checksum => f.write_str("wrong checksum"),
            Self::Signature => f.write_str("unexpected signature"),
            Self::NoMemory => f.write_str("no memory for a copy"),
        }
    }
}

impl Sdt {
    /// Reads and checks the table at `address`.
    ///
    /// # Errors
    ///
    /// See [`Rejection`].
    pub fn read(memory: &impl PhysicalRead, address: u64) -> Result<Self, Rejection> {
        let mut header = [0; HEADER_SIZE];
        if address == 0 || !memory.read(address, &mut header) {
            return Err(Rejection::Absent);
        }
        let length = u32_at(&header, 4).unwrap_or(0);
        let size = length as usize;
        if !(HEADER_SIZE..=TABLE_MAX).contains(&size) {
            return Err(Rejection::Length(length));
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size).map_err(|_| Rejection::NoMemory)?;
        bytes.resize(size, 0);
        if !memory.read(address, &mut bytes) {
            return Err(Rejection::Absent);
        }
        // The length may have changed between two reads of a device that poses as memory.
        if u32_at(&bytes, 4) != Some(length) || !adds_up(&bytes) {
            return Err(Rejection::Checksum);
        }
        Ok(Self { address, bytes })
    }

    /// Where it lies.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// All its bytes, the header first.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where what follows the header lies.
    pub fn data_address(&self) -> u64 {
        self.address.saturating_add(HEADER_SIZE as u64)
    }

    /// What follows the header.
    pub fn data(&self) -> &[u8] {
        self.bytes.get(HEADER_SIZE..).unwrap_or_default()
    }

    /// The four letters that tell what it is about.
    pub fn signature(&self) -> [u8; 4] {
        array_at(&self.bytes, 0).unwrap_or_default()
    }

    /// The version of its layout.
    pub fn revision(&self) -> u8 {
        u8_at(&self.bytes, 8).unwrap_or_default()
    }

    /// Who made it.
    pub fn oem_id(&self) -> [u8; 6] {
        array_at(&self.bytes, 10).unwrap_or_default()
    }

    /// Its maker's name for it; tells several `SSDT` apart.
    pub fn oem_table_id(&self) -> [u8; 8] {
        array_at(&self.bytes, 16).unwrap_or_default()
    }
}
