//! The store: where pages are while the world stands still.
//!
//! Slot number = frame number: there is nothing to allocate and nothing to look up, and frames
//! next to each other are slots next to each other. All that is kept of a page is a few bits and a
//! hash, in memory reserved at boot. What the disk sees of it is for [`Secrecy`] to say.

mod hide;
mod pieces;
mod runs;
mod start;

use super::bits::Bits;
use super::block::{BlockIo, IoError, Operation, RUN_MAX, Run};
use super::hash::Key;
use super::lot::{self, Lot};
use super::secrecy::Secrecy;
use crate::machine::Machine;
use crate::memory::{Frame, Frames, PhysicalAddress, Zone};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use hide::apply;
use store_format::{
    Cipher, FIRST_SLOT, HEADER_SIZE, Invalid, MAX_STORE_CONTEXTS, NAME_SIZE, PAGE, STORE_ENCRYPTED,
    SlotEntry, State, StoreHeader, Stream, slot_flags_active, slot_flags_killed, slot_flags_parked,
};

/// Pages of one header copy.
const HEADER_PAGES: u32 = (HEADER_SIZE / PAGE) as u32;
/// How long a disk may say nothing, in nanoseconds.
pub const PATIENCE_NS: u64 = 5_000_000_000;

/// Pages enciphered in one step: a few milliseconds, so that keys do not wait.
const CIPHER_MAX: u32 = 64;
/// Bytes enciphered in one go, on the stack.
const PIECE: usize = 1024;
/// The store's own pages are at most this part of memory, and at most [`RUN_MAX`].
const SCRATCH_PART: usize = 64;
/// How often a page is asked for or offered again when there is nothing else to do.
const TRIES: usize = 3;

/// Bits for each frame.
const BITS: usize = 4;

/// Words to reserve at boot for `frames` frames: a hash and some bits each, and the lot's.
pub const fn reserve_words(frames: usize) -> usize {
    frames + BITS * frames.div_ceil(64) + lot::reserve_words(frames)
}

/// An operation on its way.
#[derive(Clone, Copy, Debug)]
struct Flight {
    operation: Operation,
    started_ns: u64,
}

/// What became of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// None is on its way.
    None,
    /// It is still on its way.
    Pending,
    /// It is over.
    Over(Operation, Result<(), IoError>),
}

/// The store.
pub struct Store<M> {
    io: Option<Box<dyn BlockIo<M>>>,
    /// Why it is not ready, in a few words.
    pub why_not: &'static str,
    is_ready: bool,
    /// The last header written or read.
    pub header: StoreHeader,
    encoded: Vec<u8>,
    header_frame: Option<Frame>,
    /// Frames in a row, for what is on its way to the disk without being a program's page.
    scratch: Option<(Frame, u32)>,
    secrecy: Secrecy,
    cipher: Option<Cipher>,
    flight: Option<Flight>,
    /// A header was written that no flush has covered.
    is_unsettled: bool,
    /// The header write that waits for a flush.
    queued: Option<Operation>,
    key: Key,
    hashes: &'static mut [u64],
    /// Frames that are to be written.
    pub wanted: Bits,
    /// Slots that hold the page of their frame.
    pub held: Bits,
    /// Frames whose page could not be brought back.
    pub lost: Bits,
    /// Slots that may hold something readable, written since they were last overwritten.
    pub bare: Bits,
    /// Where the pages of parked jobs are.
    pub lot: Lot,
    /// For the lot alone: what is parked stays unreadable, whatever the secrecy of slots.
    lot_cipher: Option<Cipher>,
}

impl<M: Machine> Store<M> {
    /// A store without a disk. `reserve` has [`reserve_words`] words, or none.
    pub fn new(reserve: &'static mut [u64], frames: usize) -> Self {
        let (hashes, rest) = match reserve.len() >= reserve_words(frames) {
            true => reserve.split_at_mut(frames),
            false => (&mut [][..], &mut [][..]),
        };
        let each = if rest.is_empty() { 0 } else { frames.div_ceil(64) };
        let (bits, lot) = rest.split_at_mut(BITS * each);
        let (wanted, bits) = bits.split_at_mut(each);
        let (held, bits) = bits.split_at_mut(each);
        let (lost, bare) = bits.split_at_mut(each);
        Self {
            io: None,
            why_not: "there is no disk for it",
            is_ready: false,
            header: StoreHeader::default(),
            encoded: Vec::new(),
            header_frame: None,
            scratch: None,
            secrecy: Secrecy::default(),
            cipher: None,
            flight: None,
            is_unsettled: false,
            queued: None,
            key: Key::default(),
            hashes,
            wanted: Bits::new(wanted),
            held: Bits::new(held),
            lost: Bits::new(lost),
            bare: Bits::new(bare),
            lot: Lot::new(lot, frames),
            lot_cipher: None,
        }
    }

    /// What the disk is to see. To be called before [`Store::init_from_boot`].
    pub fn set_secrecy(&mut self, secrecy: Secrecy) {
        self.secrecy = secrecy;
    }

    /// What the disk sees.
    pub fn secrecy(&self) -> Secrecy {
        self.secrecy
    }

    /// The machine has a disk for it.
    pub fn register_block_io(&mut self, io: Box<dyn BlockIo<M>>) {
        self.io = Some(io);
        self.why_not = "not looked at yet";
    }

    /// Slots that the disk has room for, as far as there are frames.
    pub fn room(&self) -> usize {
        let pages = self.io.as_ref().map_or(0, |io| io.capacity());
        self.hashes.len().min(pages.saturating_sub(FIRST_SLOT) as usize)
    }

    /// Whether pages can be evacuated.
    pub fn is_ready(&self) -> bool {
        self.is_ready
    }

    /// Slots there are.
    pub fn total_page_slots(&self) -> usize {
        self.header.total_slots as usize
    }

    /// Frames that the store keeps for itself.
    pub fn own_frames(&self) -> impl Iterator<Item = Frame> {
        let header = self.header_frame.map(|first| (first, HEADER_PAGES));
        let runs = header.into_iter().chain(self.scratch);
        runs.flat_map(|(first, count)| (first.0..first.0 + count).map(Frame))
    }

    /// A new emergency: no slot holds anything, nobody is named but those that are parked.
    pub fn begin(&mut self) {
        self.wanted.clear_all();
        self.held.clear_all();
        self.lost.clear_all();
        self.header.generation += 1;
        self.header.entries.retain(|entry| entry.flags == slot_flags_parked());
    }

    /// Whether nothing is on its way.
    pub fn is_at_rest(&self) -> bool {
        self.flight.is_none()
    }

    /// Writes the header while the world goes on, and waits for it. A disk that does not take it
    /// is of no more use.
    pub fn rewrite_header(&mut self, machine: &mut M) {
        if !self.is_ready || !self.is_at_rest() {
            return;
        }
        let state = self.header.state;
        let written = self.write_header(machine, state).and_then(|()| self.wait(machine));
        if written.is_err() {
            self.give_up("the disk reports errors");
        }
    }

    /// Names a process in the header, while there is room: none without a disk.
    pub fn name(&mut self, pid: u32, pages: usize, name: &str) {
        let is_named = self.header.entries.iter().any(|entry| entry.pid == pid);
        if is_named || self.header.entries.len() == self.header.entries.capacity() {
            return;
        }
        let mut bytes = [0; NAME_SIZE];
        let length = name.len().min(NAME_SIZE);
        bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
        let flags = slot_flags_active();
        self.header.entries.push(SlotEntry { pid, flags, pages: pages as u64, name: bytes });
    }

    /// A process has been ended: its pages in the store are worth nothing.
    pub fn mark_slot_killed(&mut self, pid: u32) {
        let entries = self.header.entries.iter_mut();
        entries.filter(|entry| entry.pid == pid).for_each(|e| e.flags = slot_flags_killed());
    }

    /// Notes what is in a frame before it goes.
    pub fn note(&mut self, machine: &M, slot: usize) {
        self.hashes[slot] = self.hash(machine, slot);
    }

    /// Whether the frame holds what [`Store::note`] saw in it.
    pub fn is_intact(&self, machine: &M, slot: usize) -> bool {
        self.hashes[slot] == self.hash(machine, slot)
    }

    fn hash(&self, machine: &M, slot: usize) -> u64 {
        let frame = Frame(slot as u32);
        machine.words(frame, |words| self.key.page(slot as u64, self.header.generation, words))
    }

    /// Starts making everything written stay.
    pub fn flush(&mut self, machine: &mut M) -> Result<(), IoError> {
        self.start(machine, Operation::Flush)
    }

    /// Starts writing the header, over the older copy. The newer one must stay meanwhile: if no
    /// flush has covered it yet, one comes first.
    pub fn write_header(&mut self, machine: &mut M, state: State) -> Result<(), IoError> {
        let frame = self.header_frame.ok_or(IoError::Failed)?;
        self.header.state = state;
        self.header.sequence += 1;
        self.header.encode(&mut self.encoded);
        machine.write(frame.start(), &self.encoded);
        let page = StoreHeader::page_of_copy(self.header.sequence);
        let write = Operation::Write(Run { page, frame, count: HEADER_PAGES });
        if self.is_unsettled {
            self.queued = Some(write);
            return self.start(machine, Operation::Flush);
        }
        self.is_unsettled = true;
        self.start(machine, write)
    }

    fn start(&mut self, machine: &mut M, operation: Operation) -> Result<(), IoError> {
        let io = self.io.as_mut().ok_or(IoError::Failed)?;
        io.start(machine, operation)?;
        let started_ns = machine.nanoseconds(machine.ticks());
        self.flight = Some(Flight { operation, started_ns });
        Ok(())
    }

    /// What became of the operation that was started last.
    pub fn poll(&mut self, machine: &mut M) -> Arrival {
        let (Some(flight), Some(io)) = (self.flight, self.io.as_mut()) else {
            return Arrival::None;
        };
        let result = match io.poll(machine) {
            Some(result) => result,
            None => {
                let waited = machine.nanoseconds(machine.ticks()) - flight.started_ns;
                if waited < PATIENCE_NS {
                    return Arrival::Pending;
                }
                io.abandon(machine);
                Err(IoError::Silent)
            }
        };
        self.flight = None;
        if flight.operation == Operation::Flush && result.is_ok() {
            self.is_unsettled = false;
        }
        let Some(write) = self.queued.take() else {
            if let (Operation::Write(run), Err(_)) = (flight.operation, result)
                && run.page < FIRST_SLOT
            {
                self.take_number_back();
            }
            return Arrival::Over(flight.operation, result);
        };
        let started = result.and_then(|()| self.start(machine, write));
        match started {
            Ok(()) => {
                self.is_unsettled = true;
                Arrival::Pending
            }
            Err(error) => {
                self.take_number_back();
                Arrival::Over(write, Err(error))
            }
        }
    }

    /// A header was not written, or not whole: the next one goes over the same copy.
    fn take_number_back(&mut self) {
        self.header.sequence -= 1;
    }

    /// Waits for the operation, at boot, when there is nothing else to do.
    fn wait(&mut self, machine: &mut M) -> Result<(), IoError> {
        loop {
            match self.poll(machine) {
                Arrival::Pending => {}
                Arrival::None => return Ok(()),
                Arrival::Over(_, result) => return result,
            }
        }
    }

    /// The disk cannot be used any more.
    pub fn give_up(&mut self, why: &'static str) {
        self.is_ready = false;
        self.why_not = why;
    }
}
