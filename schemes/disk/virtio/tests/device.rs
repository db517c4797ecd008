//! The driver over a virtio device made of memory, honest and otherwise.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use diskd::device::{Broken, Command, Device, Done};
use diskd::memory::{Source, Span};
use virtio_blkd::device::Disk;
use virtio_blkd::hal;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{Error, PhysAddr, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes};

#[path = "../../tests/heap/mod.rs"]
mod heap;
use heap::{Heap, at};

/// How the device misbehaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Honest,
    /// Takes requests and says nothing.
    Silent,
    /// Finishes a request that it was not given.
    WrongRequest,
    /// Finishes every request twice.
    Twice,
    /// Says that it has written less than it had to.
    Short,
    /// Says so of every request.
    Status(u8),
    /// Finishes requests without having written a status.
    NoStatus,
}

#[derive(Default)]
struct State {
    mood: Mood,
    places: [u64; 3],
    size: u16,
    seen: u16,
    told: u16,
    disk: Vec<u8>,
    flushes: usize,
    features: u64,
    block: u32,
}

#[derive(Clone, Default)]
struct Fake(Rc<RefCell<State>>);

const VERSION_1: u64 = 1 << 32;
const FLUSH: u64 = 1 << 9;
const BLOCK_SIZE: u64 = 1 << 6;
const READ_ONLY: u64 = 1 << 5;

impl Transport for Fake {
    fn device_type(&self) -> DeviceType {
        DeviceType::Block
    }
    fn read_device_features(&mut self) -> u64 {
        self.0.borrow().features
    }
    fn write_driver_features(&mut self, _: u64) {}
    fn max_queue_size(&mut self, _: u16) -> u32 {
        256
    }
    fn notify(&mut self, _: u16) {
        self.0.borrow_mut().run();
    }
    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::empty()
    }
    fn set_status(&mut self, _: DeviceStatus) {}
    fn set_guest_page_size(&mut self, _: u32) {}
    fn requires_legacy_layout(&self) -> bool {
        false
    }
    fn queue_set(&mut self, _: u16, size: u32, table: PhysAddr, given: PhysAddr, used: PhysAddr) {
        let mut state = self.0.borrow_mut();
        (state.places, state.size) = ([table, given, used], size as u16);
    }
    fn queue_unset(&mut self, _: u16) {}
    fn queue_used(&mut self, _: u16) -> bool {
        false
    }
    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::empty()
    }
    fn read_config_generation(&self) -> u32 {
        0
    }
    fn read_config_space<T: FromBytes + IntoBytes>(&self, offset: usize) -> Result<T> {
        let state = self.0.borrow();
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&(state.disk.len() as u64 / 512).to_le_bytes());
        bytes[20..].copy_from_slice(&state.block.to_le_bytes());
        let field = &bytes[offset..offset + size_of::<T>()];
        T::read_from_bytes(field).map_err(|_| Error::ConfigSpaceTooSmall)
    }
    fn write_config_space<T: IntoBytes + Immutable>(&mut self, _: usize, _: T) -> Result<()> {
        Err(Error::Unsupported)
    }
}

fn short(span: Span, offset: usize) -> u16 {
    let mut bytes = [0; 2];
    span.part(offset, 2).read(&mut bytes);
    u16::from_le_bytes(bytes)
}

impl State {
    fn run(&mut self) {
        let given = at(self.places[1], 4 + 2 * usize::from(self.size));
        while self.seen != short(given, 2) {
            let first = short(given, 4 + 2 * usize::from(self.seen % self.size));
            self.seen = self.seen.wrapping_add(1);
            if self.mood == Mood::Silent {
                continue;
            }
            let written = self.perform(first);
            let first = if self.mood == Mood::WrongRequest { first ^ 5 } else { first };
            self.tell(first, written);
            if self.mood == Mood::Twice {
                self.tell(first, written);
            }
        }
    }

    /// Does what a chain of pieces asks for; how many bytes it has written.
    fn perform(&mut self, first: u16) -> u32 {
        let table = at(self.places[0], 16 * usize::from(self.size));
        let (mut pieces, mut next) = (Vec::new(), Some(first));
        while let Some(index) = next {
            let entry = table.part(usize::from(index) * 16, 16);
            let address = u64::from(entry.load(0)) | u64::from(entry.load(4)) << 32;
            let (flags, following) = (short(entry, 12), short(entry, 14));
            pieces.push((at(address, entry.load(8) as usize), flags & 2 != 0));
            next = (flags & 1 != 0).then_some(following);
        }
        let (status, is_written) = pieces.pop().unwrap();
        assert!(is_written && status.length() == 1);
        let (header, _) = pieces.remove(0);
        let kind = header.load(0);
        let mut start =
            (u64::from(header.load(8)) | u64::from(header.load(12)) << 32) as usize * 512;
        let mut written = 1;
        for (piece, is_written) in pieces {
            let bytes = start..start + piece.length();
            match is_written {
                true => piece.write(&self.disk[bytes]),
                false => piece.read(&mut self.disk[bytes]),
            }
            assert_eq!(kind, u32::from(!is_written), "kind and direction");
            start += piece.length();
            written += if is_written { piece.length() as u32 } else { 0 };
        }
        self.flushes += usize::from(kind == 4);
        match self.mood {
            Mood::Status(code) => status.write(&[code]),
            Mood::NoStatus => {}
            _ => status.write(&[0]),
        }
        if self.mood == Mood::Short { 1 } else { written }
    }

    fn tell(&mut self, request: u16, written: u32) {
        let used = at(self.places[2], 4 + 8 * usize::from(self.size));
        let entry = used.part(4 + 8 * usize::from(self.told % self.size), 8);
        entry.store(0, request.into());
        entry.store(4, written);
        self.told = self.told.wrapping_add(1);
        used.part(2, 2).write(&self.told.to_le_bytes());
    }
}

fn open(fake: &Fake) -> std::result::Result<Disk<Fake>, Broken> {
    hal::set_up(Rc::new(Heap), Box::new(|_, _| None));
    Disk::new(fake.clone(), &Heap, || Ok(()), Box::new(|_: Duration| {}))
}

fn fake(mood: Mood) -> Fake {
    let fake = Fake::default();
    let state = &mut *fake.0.borrow_mut();
    state.disk = (0..1 << 20).map(|at: u32| (at / 512 + at) as u8).collect();
    (state.mood, state.features, state.block) = (mood, VERSION_1 | FLUSH, 512);
    fake.clone()
}

fn finish(disk: &mut dyn Device) -> Done {
    disk.finished().unwrap().expect("it is done")
}

#[test]
fn blocks_are_read_and_written() {
    let fake = fake(Mood::Honest);
    let mut disk = open(&fake).unwrap();
    assert_eq!((disk.facts().blocks, disk.facts().block), (2048, 512));
    // The same memory, first a part of it: the device is told the right addresses each time.
    for length in [512, 65536] {
        let memory = [Heap.memory(length).unwrap(), Heap.memory(1024).unwrap().part(0, 1024)];
        let memory = [memory[0].part(0, length), memory[1]];
        for round in 0..50 {
            let slot = round % 16;
            disk.begin(slot, Command::Read(16, &memory)).unwrap();
            assert_eq!(finish(&mut disk), Done { slot, outcome: Ok(()) });
            disk.begin(slot, Command::Write(1024, &memory)).unwrap();
            assert_eq!(finish(&mut disk), Done { slot, outcome: Ok(()) });
        }
        let bytes = fake.0.borrow().disk.clone();
        assert!(bytes[8192..8192 + length + 1024] == bytes[524_288..524_288 + length + 1024]);
    }
    disk.begin(2, Command::Flush).unwrap();
    assert_eq!(finish(&mut disk), Done { slot: 2, outcome: Ok(()) });
    assert_eq!(fake.0.borrow().flushes, 1);
}

#[test]
fn what_the_device_says_of_itself_is_heeded() {
    let fake = fake(Mood::Honest);
    fake.0.borrow_mut().features = VERSION_1 | READ_ONLY | BLOCK_SIZE;
    fake.0.borrow_mut().block = 4096;
    let mut disk = open(&fake).unwrap();
    let facts = disk.facts();
    assert_eq!((facts.block, facts.blocks, facts.is_read_only), (4096, 256, true));
    // It has no cache, so there is nothing to ask it for.
    disk.begin(7, Command::Flush).unwrap();
    assert_eq!(finish(&mut disk), Done { slot: 7, outcome: Ok(()) });
    assert_eq!(fake.0.borrow().flushes, 0);
    for block in [0, 100, 1 << 20] {
        fake.0.borrow_mut().block = block;
        assert!(matches!(open(&fake), Err(Broken::Unruly(_))), "{block}");
    }
    fake.0.borrow_mut().features = FLUSH;
    assert!(matches!(open(&fake), Err(Broken::Unruly(_))), "older than 1.0");
}

#[test]
fn failures_are_told_in_words() {
    for (mood, text) in [
        (Mood::Status(1), "read: status 1"),
        (Mood::Status(2), "read: status 2"),
        (Mood::NoStatus, "read: status 255"),
        (Mood::Short, "read: 1 bytes came, not 4097"),
    ] {
        let mut disk = open(&fake(mood)).unwrap();
        disk.begin(0, Command::Read(0, &[Heap.memory(4096).unwrap()])).unwrap();
        assert_eq!(finish(&mut disk), Done { slot: 0, outcome: Err(text.to_owned()) });
    }
}

#[test]
fn lies_break_the_device_and_nothing_else() {
    let memory = [Heap.memory(4096).unwrap()];
    let mut disk = open(&fake(Mood::WrongRequest)).unwrap();
    disk.begin(0, Command::Read(0, &memory)).unwrap();
    assert!(matches!(disk.finished(), Err(Broken::Unruly(_))));
    let mut disk = open(&fake(Mood::Twice)).unwrap();
    disk.begin(0, Command::Read(0, &memory)).unwrap();
    assert!(finish(&mut disk).outcome.is_ok());
    assert!(matches!(disk.finished(), Err(Broken::Unruly(_))));
}

#[test]
fn silence_is_no_answer() {
    let mut disk = open(&fake(Mood::Silent)).unwrap();
    disk.begin(0, Command::Flush).unwrap();
    assert_eq!(disk.finished(), Ok(None));
}
