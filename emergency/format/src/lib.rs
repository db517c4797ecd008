//! `emerg dump IMAGE`, `emergency:status` — what the emergency store's disk holds.
//!
//! | pages | what |
//! | --- | --- |
//! | 0..16 | header, copy A |
//! | 16..32 | header, copy B |
//! | 32.. | slots of one page each; slot N belongs to physical frame N |
//! | behind the slots | the lot: places of one page each for the pages of parked jobs |
//!
//! The copies are written in turn, each with a sequence number and a hash over everything in it,
//! so that a write cut short leaves the other copy valid. Nothing in the store can be restored
//! after a power cut, because the kernel's state went with it: a header that is not idle, or that
//! names parked processes, only says truthfully what was lost.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod bytes;
mod cipher;

pub use cipher::{Cipher, Stream};

use alloc::vec::Vec;
use bytes::{Reader, Writer};
use core::fmt;

/// The first four bytes of a header: `LBES`.
pub const STORE_MAGIC: u32 = u32::from_le_bytes(*b"LBES");
/// The layout described here.
pub const STORE_VERSION: u32 = 1;
/// Bytes of one header copy.
pub const HEADER_SIZE: usize = 64 << 10;
/// Processes that one header can name.
pub const MAX_STORE_CONTEXTS: usize = 1024;
/// Bytes of a page, and of a slot.
pub const PAGE: usize = 4096;
/// The page of the disk where slot 0 is.
pub const FIRST_SLOT: u64 = (2 * HEADER_SIZE / PAGE) as u64;
/// Bytes of a process's name that are kept.
pub const NAME_SIZE: usize = 32;

/// In [`StoreHeader::flags`]: the pages in the slots are noise to whoever lacks the key.
pub const STORE_ENCRYPTED: u64 = 1;

const FIXED_SIZE: usize = 64;
const ENTRY_SIZE: usize = 16 + NAME_SIZE;
const HASH_AT: usize = HEADER_SIZE - 8;

/// A [`SlotEntry`] that means nothing.
pub const fn slot_flags_unused() -> u32 {
    0
}

/// The process of a [`SlotEntry`] has pages in the store.
pub const fn slot_flags_active() -> u32 {
    1
}

/// The process of a [`SlotEntry`] was ended; its pages are worth nothing.
pub const fn slot_flags_killed() -> u32 {
    2
}

/// The process of a [`SlotEntry`] is parked: its pages are in the lot.
pub const fn slot_flags_parked() -> u32 {
    3
}

/// What the store is in the middle of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum State {
    /// Nothing: the slots are worth nothing.
    #[default]
    Idle,
    /// Pages are being written.
    Active,
    /// All pages are written.
    Sealed,
    /// Pages are being read back.
    Restoring,
}

impl State {
    const ALL: [State; 4] = [State::Idle, State::Active, State::Sealed, State::Restoring];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            State::Idle => "idle",
            State::Active => "active",
            State::Sealed => "sealed",
            State::Restoring => "restoring",
        })
    }
}

/// One process that has pages in the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotEntry {
    /// Its number.
    pub pid: u32,
    /// One of the `slot_flags_` values.
    pub flags: u32,
    /// Its resident pages when the world stopped.
    pub pages: u64,
    /// The start of its name, filled up with zeroes.
    pub name: [u8; NAME_SIZE],
}

/// One copy of the header.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StoreHeader {
    /// Slots there is room for.
    pub total_slots: u64,
    /// Counts header writes; the valid copy with the higher number counts.
    pub sequence: u64,
    /// Which boot wrote it; random.
    pub boot_id: u64,
    /// Which emergency of that boot.
    pub generation: u64,
    /// What the store is in the middle of.
    pub state: State,
    /// Bits that say how the slots are written; those not known here are kept as they are.
    pub flags: u64,
    /// The processes with pages in it, at most [`MAX_STORE_CONTEXTS`].
    pub entries: Vec<SlotEntry>,
}

/// Why bytes are no header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invalid {
    /// Fewer than [`HEADER_SIZE`] bytes.
    Short,
    /// Another first word.
    Magic,
    /// Another layout.
    Version,
    /// The hash does not fit: a write was cut short, or bits changed.
    Hash,
    /// A field has a value that nothing writes.
    Field,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Invalid::Short => "too short",
            Invalid::Magic => "not an emergency store",
            Invalid::Version => "a version this system does not know",
            Invalid::Hash => "damaged",
            Invalid::Field => "nonsense",
        })
    }
}

impl StoreHeader {
    /// Writes the header; all other bytes become zero. Allocates nothing.
    ///
    /// # Panics
    /// When `into` is shorter than [`HEADER_SIZE`].
    pub fn encode(&self, into: &mut [u8]) {
        let into = &mut into[..HEADER_SIZE];
        into.fill(0);
        let mut out = Writer::new(into);
        out.u32(STORE_MAGIC);
        out.u32(STORE_VERSION);
        out.u32(HEADER_SIZE as u32);
        out.u32(self.state as u32);
        out.u64(self.total_slots);
        out.u64(self.sequence);
        out.u64(self.boot_id);
        out.u64(self.generation);
        out.u64(self.entries.len().min(MAX_STORE_CONTEXTS) as u64);
        out.u64(self.flags);
        out.skip_to(FIXED_SIZE);
        for entry in self.entries.iter().take(MAX_STORE_CONTEXTS) {
            out.u32(entry.pid);
            out.u32(entry.flags);
            out.u64(entry.pages);
            out.bytes(&entry.name);
        }
        let hash = hash(&into[..HASH_AT]);
        into[HASH_AT..].copy_from_slice(&hash.to_le_bytes());
    }

    /// Reads a header.
    pub fn decode(from: &[u8]) -> Result<Self, Invalid> {
        let from = from.get(..HEADER_SIZE).ok_or(Invalid::Short)?;
        let mut read = Reader::new(from);
        if read.u32() != STORE_MAGIC {
            return Err(Invalid::Magic);
        }
        if read.u32() != STORE_VERSION {
            return Err(Invalid::Version);
        }
        if Reader::new(&from[HASH_AT..]).u64() != hash(&from[..HASH_AT]) {
            return Err(Invalid::Hash);
        }
        let size = read.u32();
        let state = *State::ALL.get(read.u32() as usize).ok_or(Invalid::Field)?;
        let [total_slots, sequence, boot_id, generation, count, flags] =
            [(); 6].map(|()| read.u64());
        if size as usize != HEADER_SIZE || count > MAX_STORE_CONTEXTS as u64 {
            return Err(Invalid::Field);
        }
        read.skip_to(FIXED_SIZE);
        let entries = (0..count).map(|_| SlotEntry {
            pid: read.u32(),
            flags: read.u32(),
            pages: read.u64(),
            name: read.bytes(),
        });
        let entries = entries.collect();
        Ok(Self { total_slots, sequence, boot_id, generation, state, flags, entries })
    }

    /// The one of the two copies that counts.
    pub fn newer(a: Result<Self, Invalid>, b: Result<Self, Invalid>) -> Result<Self, Invalid> {
        match (a, b) {
            (Ok(a), Ok(b)) => Ok(if a.sequence >= b.sequence { a } else { b }),
            (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
            // A damaged copy says more than one that never was a header.
            (Err(Invalid::Magic), Err(other)) | (Err(other), Err(_)) => Err(other),
        }
    }

    /// The page of the disk where the copy with this sequence number goes.
    pub fn page_of_copy(sequence: u64) -> u64 {
        (sequence & 1) * (HEADER_SIZE / PAGE) as u64
    }
}

/// FNV-1a in 64 bits (Fowler, Noll, Vo): enough against writes cut short; the pages themselves
/// are guarded by a keyed hash that never leaves memory.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

const _: () = assert!(FIXED_SIZE + MAX_STORE_CONTEXTS * ENTRY_SIZE <= HASH_AT);

#[cfg(test)]
mod tests;
