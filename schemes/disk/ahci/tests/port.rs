//! The driver over a controller made of memory, honest and otherwise.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use diskd::device::{Broken, Command, Device, Done};
use diskd::memory::{Source, Span};
use diskd::registers::Registers;

#[path = "../../tests/heap/mod.rs"]
mod heap;
use heap::{Heap, at};

/// How the controller misbehaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Honest,
    /// Never comes back from its reset.
    Asleep,
    /// Its registers read as ones.
    Gone,
    /// Does not run commands.
    Silent,
    /// Strikes commands off without having read everything.
    Short,
    /// Says that a command failed which it does not have.
    WrongSlot,
    /// What is behind the port is no disk.
    NoDisk,
}

#[derive(Default)]
struct State {
    mood: Mood,
    registers: BTreeMap<usize, u32>,
    disk: Vec<u8>,
    /// Reading from this block on fails, once.
    bad: Option<usize>,
    /// Handed-over commands wait until there are so many.
    batch: u32,
    flushes: usize,
    /// Slots in the order in which their commands ran.
    ran: Vec<u32>,
}

#[derive(Clone, Default)]
struct Fake(Rc<RefCell<State>>);

const PORT: usize = 0x100;

impl Registers for Fake {
    fn read(&self, offset: usize) -> u32 {
        let state = self.0.borrow();
        let word = |offset| state.registers.get(&offset).copied().unwrap_or(0);
        match offset {
            _ if state.mood == Mood::Gone => u32::MAX,
            // 64-bit addresses, 32 commands.
            0x00 => 1 << 31 | 31 << 8,
            0x04 if state.mood == Mood::Asleep => word(4),
            0x04 => word(4) & !1,
            0x0C => 1,
            0x118 => {
                let command = word(offset) & !(RUNS | RECEIVES);
                command | (command & 1) << 15 | (command >> 4 & 1) << 14
            }
            0x124 => {
                if state.mood == Mood::NoDisk {
                    0xEB14_0101
                } else {
                    0x0101
                }
            }
            0x128 => 0x113,
            _ => word(offset),
        }
    }

    fn write(&self, offset: usize, value: u32) {
        let state = &mut *self.0.borrow_mut();
        match offset {
            // Written with ones where they are to be struck off.
            0x08 | 0x110 | 0x130 => *state.registers.entry(offset).or_default() &= !value,
            0x138 => {
                *state.registers.entry(offset).or_default() |= value;
                state.run();
            }
            0x118 if value & 1 == 0 => {
                // Stopping forgets what was handed over.
                state.registers.insert(0x138, 0);
                state.registers.insert(0x120, 0);
                state.registers.insert(offset, value);
            }
            _ => {
                state.registers.insert(offset, value);
            }
        }
    }
}

const RECEIVES: u32 = 1 << 14;
const RUNS: u32 = 1 << 15;

impl State {
    fn run(&mut self) {
        let issued = self.registers[&0x138];
        if self.mood == Mood::Silent || issued.count_ones() < self.batch {
            return;
        }
        for slot in (0..32).rev().filter(|slot| issued >> slot & 1 == 1) {
            let list =
                u64::from(self.registers[&PORT]) | u64::from(self.registers[&(PORT + 4)]) << 32;
            let header = at(list + slot * 32, 32);
            let table = u64::from(header.load(8)) | u64::from(header.load(12)) << 32;
            let count = header.load(0) as usize >> 16;
            let mut fis = [0; 20];
            at(table, 64).read(&mut fis);
            let block = [4, 5, 6, 8, 9, 10]
                .iter()
                .rev()
                .fold(0, |sum, index| sum << 8 | usize::from(fis[*index]));
            let is_bad = |bad: &mut usize| fis[2] == 0x25 && block >= *bad;
            if self.mood == Mood::WrongSlot && fis[2] == 0x25 || self.bad.take_if(is_bad).is_some()
            {
                let slot = if self.mood == Mood::WrongSlot { 9 } else { slot as u32 };
                *self.registers.entry(0x118).or_default() &= !(0x1F << 8);
                *self.registers.entry(0x118).or_default() |= slot << 8;
                self.registers.insert(0x120, 0x40 << 8 | 0x41);
                self.registers.insert(0x110, 1 << 30);
                return;
            }
            let pieces = (0..count).map(|index| {
                let entry = at(table + 128 + index as u64 * 16, 16);
                let address = u64::from(entry.load(0)) | u64::from(entry.load(4)) << 32;
                at(address, entry.load(12) as usize + 1)
            });
            let done = self.perform(fis[2], block * 512, pieces.collect());
            header.store(4, done);
            self.ran.push(slot as u32);
            *self.registers.get_mut(&0x138).unwrap() &= !(1 << slot);
            *self.registers.entry(0x110).or_default() |= 1;
        }
    }

    fn perform(&mut self, command: u8, mut start: usize, pieces: Vec<Span>) -> u32 {
        let mut done = 0;
        assert!(command != 0xEA || pieces.is_empty());
        for piece in pieces {
            let bytes = start..start + piece.length();
            match command {
                0xEC => piece.write(&self.identity()),
                0x25 if self.mood == Mood::Short => return 0,
                0x25 => piece.write(&self.disk[bytes]),
                0x35 => piece.read(&mut self.disk[bytes]),
                other => panic!("command {other:#x}"),
            }
            start += piece.length();
            done += piece.length() as u32;
        }
        self.flushes += usize::from(command == 0xEA);
        done
    }

    fn identity(&self) -> [u8; 512] {
        let mut bytes = [0; 512];
        bytes[167] = 4;
        bytes[200..208].copy_from_slice(&(self.disk.len() as u64 / 512).to_le_bytes());
        bytes
    }
}

fn open(fake: &Fake) -> Result<Vec<Box<dyn Device>>, Broken> {
    ahcid::disks(Box::new(fake.clone()), 0x1100, &Heap, Box::new(|_: Duration| {}))
}

fn fake(mood: Mood) -> Fake {
    let fake = Fake::default();
    fake.0.borrow_mut().disk = (0..1 << 20).map(|at: u32| (at / 512 + at) as u8).collect();
    fake.0.borrow_mut().mood = mood;
    fake
}

fn finish(disk: &mut dyn Device) -> Done {
    disk.finished().unwrap().expect("it is done")
}

#[test]
fn a_disk_is_found_read_and_written() {
    let fake = fake(Mood::Honest);
    let mut disks = open(&fake).unwrap();
    assert_eq!((disks.len(), disks[0].facts().blocks), (1, 2048));
    let disk = &mut *disks[0];
    let memory = [65536, 1024].map(|length| Heap.memory(length).unwrap().part(0, length));
    disk.begin(3, Command::Read(16, &memory)).unwrap();
    assert_eq!(finish(disk), Done { slot: 3, outcome: Ok(()) });
    let mut bytes = vec![0; 66560];
    memory[0].read(&mut bytes[..65536]);
    memory[1].read(&mut bytes[65536..]);
    assert!(bytes == fake.0.borrow().disk[8192..8192 + 66560]);
    disk.begin(0, Command::Write(1024, &memory)).unwrap();
    assert_eq!(finish(disk), Done { slot: 0, outcome: Ok(()) });
    assert!(bytes == fake.0.borrow().disk[524_288..524_288 + 66560]);
}

/// When one command fails the controller forgets all; the others are handed over again.
#[test]
fn a_failure_costs_one_command() {
    let fake = fake(Mood::Honest);
    let mut disks = open(&fake).unwrap();
    let disk = &mut *disks[0];
    fake.0.borrow_mut().batch = 3;
    fake.0.borrow_mut().bad = Some(200);
    let memory = [Heap.memory(4096).unwrap()];
    for (slot, block) in [(0, 100), (1, 300), (2, 150)] {
        disk.begin(slot, Command::Read(block, &memory)).unwrap();
    }
    fake.0.borrow_mut().batch = 0;
    let mut outcomes = BTreeMap::new();
    while let Some(Done { slot, outcome }) = disk.finished().unwrap() {
        outcomes.insert(slot, outcome);
    }
    let failure = Err("read: status 0x41 error 0x40 link 0x0".to_owned());
    assert_eq!(outcomes, BTreeMap::from([(0, Ok(())), (1, failure), (2, Ok(()))]));
}

#[test]
fn flushing_is_a_command() {
    let fake = fake(Mood::Honest);
    let mut disks = open(&fake).unwrap();
    disks[0].begin(5, Command::Flush).unwrap();
    assert_eq!(finish(&mut *disks[0]), Done { slot: 5, outcome: Ok(()) });
    assert_eq!(fake.0.borrow().flushes, 1);
}

#[test]
fn too_few_bytes_are_a_failure() {
    let mut disks = open(&fake(Mood::Short)).unwrap();
    let memory = [Heap.memory(4096).unwrap()];
    disks[0].begin(1, Command::Read(0, &memory)).unwrap();
    let outcome = Err("read: 0 bytes came, not 4096".to_owned());
    assert_eq!(finish(&mut *disks[0]), Done { slot: 1, outcome });
}

#[test]
fn a_failure_of_nothing_breaks_the_device() {
    let mut disks = open(&fake(Mood::WrongSlot)).unwrap();
    let memory = [Heap.memory(4096).unwrap()];
    disks[0].begin(1, Command::Read(0, &memory)).unwrap();
    assert!(matches!(disks[0].finished(), Err(Broken::Unruly(_))));
}

#[test]
fn what_does_not_start_is_given_up() {
    assert!(matches!(open(&fake(Mood::Asleep)), Err(Broken::Unruly(_))));
    assert!(matches!(open(&fake(Mood::Silent)), Err(Broken::Unruly(_))));
    assert_eq!(open(&fake(Mood::Gone)).err(), Some(Broken::Gone));
    assert_eq!(open(&fake(Mood::NoDisk)).unwrap().len(), 0);
}

#[test]
fn absence_is_noticed() {
    let fake = fake(Mood::Honest);
    let mut disks = open(&fake).unwrap();
    fake.0.borrow_mut().mood = Mood::Silent;
    disks[0].begin(1, Command::Flush).unwrap();
    assert_eq!(disks[0].finished(), Ok(None));
    fake.0.borrow_mut().mood = Mood::Gone;
    assert_eq!(disks[0].finished(), Err(Broken::Gone));
    assert_eq!(disks[0].is_there(), Err(Broken::Gone));
}
