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
    /// Never becomes ready.
    Asleep,
    /// Fails when it is switched on.
    Fatal,
    /// Its registers read as ones.
    Gone,
    /// Takes commands and says nothing.
    Silent,
    /// Finishes a command that it was not given.
    WrongCommand,
    /// Says that the command came from another queue.
    WrongQueue,
    /// Says that it has read commands where no queue is.
    WrongHead,
    /// Says so of every read and write.
    Status(u16),
    /// Blocks of two bytes.
    TinyBlocks,
    /// Grants no queues.
    NoQueues,
}

#[derive(Default)]
struct Queue {
    commands: u64,
    completions: u64,
    size: u32,
    head: u32,
    told: u32,
}

#[derive(Default)]
struct State {
    mood: Mood,
    registers: BTreeMap<usize, u32>,
    queues: BTreeMap<u32, Queue>,
    disk: Vec<u8>,
    flushes: usize,
    is_protected: bool,
}

#[derive(Clone, Default)]
struct Fake(Rc<RefCell<State>>);

const BLOCK: usize = 512;

impl Registers for Fake {
    fn read(&self, offset: usize) -> u32 {
        let state = self.0.borrow();
        let word = |offset| state.registers.get(&offset).copied().unwrap_or(0);
        match offset {
            _ if state.mood == Mood::Gone => u32::MAX,
            // 64 places in a queue, half a second until ready; the set of commands.
            0x00 => 1 << 24 | 63,
            0x04 => 1 << 5,
            0x1C if state.mood == Mood::Asleep => 0,
            0x1C if state.mood == Mood::Fatal => word(0x14) & 1 << 1,
            0x1C => word(0x14) & 1,
            _ => word(offset),
        }
    }

    fn write(&self, offset: usize, value: u32) {
        let mut state = self.0.borrow_mut();
        state.registers.insert(offset, value);
        if offset == 0x14 && value & 1 == 1 {
            let long = |at: usize| {
                u64::from(state.registers[&at]) | u64::from(state.registers[&(at + 4)]) << 32
            };
            let size = (state.registers[&0x24] & 0xFFF) + 1;
            let admin =
                Queue { commands: long(0x28), completions: long(0x30), size, ..Queue::default() };
            state.queues.insert(0, admin);
        }
        let bell = offset.checked_sub(0x1000).map(|bell| bell / 4);
        if let Some(bell) = bell.filter(|bell| bell % 2 == 0) {
            state.run(bell as u32 / 2, value);
        }
    }
}

impl State {
    fn run(&mut self, number: u32, tail: u32) {
        while self.queues[&number].head != tail {
            let queue = self.queues.get_mut(&number).unwrap();
            let place = at(queue.commands + u64::from(queue.head) * 64, 64);
            let words: Vec<u32> = (0..16).map(|index| place.load(index * 4)).collect();
            queue.head = (queue.head + 1) % queue.size;
            let (result, status) =
                if number == 0 { self.manage(&words) } else { self.transfer(&words) };
            if self.mood == Mood::Silent && number > 0 {
                continue;
            }
            self.complete(number, (words[0] >> 16) as u16, result, status);
        }
    }

    fn complete(&mut self, number: u32, mut command: u16, result: u32, status: u16) {
        let (mood, is_io) = (self.mood, number > 0);
        let queue = self.queues.get_mut(&number).unwrap();
        let (mut from, mut head) = (number, queue.head);
        match mood {
            Mood::WrongCommand if is_io => command ^= 3,
            Mood::WrongQueue if is_io => from += 1,
            Mood::WrongHead if is_io => head = 500,
            _ => {}
        }
        let (index, phase) = (queue.told % queue.size, (queue.told / queue.size % 2) ^ 1);
        queue.told += 1;
        let place = at(queue.completions + u64::from(index) * 16, 16);
        place.store(0, result);
        place.store(8, from << 16 | head);
        place.store(12, u32::from(status) << 17 | phase << 16 | u32::from(command));
    }

    fn manage(&mut self, words: &[u32]) -> (u32, u16) {
        let address = u64::from(words[6]) | u64::from(words[7]) << 32;
        let (queue, size) = (words[10] & 0xFFFF, (words[10] >> 16) + 1);
        match words[0] & 0xFF {
            0x06 => self.describe(words[10], address),
            0x09 if self.mood == Mood::NoQueues => return (0, 0),
            0x09 => return (7 << 16 | 7, 0),
            0x05 => self.queues.entry(queue).or_default().completions = address,
            0x01 => {
                let queue = self.queues.entry(queue).or_default();
                (queue.commands, queue.size) = (address, size);
            }
            other => panic!("admin command {other:#x}"),
        }
        (0, 0)
    }

    fn describe(&self, what: u32, address: u64) {
        let mut page = vec![0; 4096];
        match what {
            1 => {
                page[24..30].copy_from_slice(b"Fake\x1b!");
                page[77] = 5;
                page[525] = 1;
            }
            2 => page[..8].copy_from_slice(&[1, 0, 0, 0, 9, 0, 0, 0]),
            _ => {
                page[..8].copy_from_slice(&((self.disk.len() / BLOCK) as u64).to_le_bytes());
                page[99] = self.is_protected.into();
                page[130] = if self.mood == Mood::TinyBlocks { 1 } else { 9 };
            }
        }
        at(address, 4096).write(&page);
    }

    fn transfer(&mut self, words: &[u32]) -> (u32, u16) {
        if let Mood::Status(status) = self.mood {
            return (0, status);
        }
        let opcode = words[0] & 0xFF;
        if opcode == 0 {
            self.flushes += 1;
            return (0, 0);
        }
        let long = |index: usize| u64::from(words[index]) | u64::from(words[index + 1]) << 32;
        let (start, length) = (long(10) as usize * BLOCK, (words[12] as usize + 1) * BLOCK);
        let pages = length.div_ceil(4096);
        for page in 0..pages {
            let address = match page {
                0 => long(6),
                1 if pages == 2 => long(8),
                _ => {
                    let entry = at(long(8) + (page as u64 - 1) * 8, 8);
                    u64::from(entry.load(0)) | u64::from(entry.load(4)) << 32
                }
            };
            let (from, to) = (start + page * 4096, (start + length).min(start + (page + 1) * 4096));
            let memory = at(address, to - from);
            match opcode {
                1 => memory.read(&mut self.disk[from..to]),
                _ => memory.write(&self.disk[from..to]),
            }
        }
        (0, 0)
    }
}

fn open(fake: &Fake) -> Result<Vec<Box<dyn Device>>, Broken> {
    nvmed::disks(Box::new(fake.clone()), 0x2000, &Heap, Box::new(|_: Duration| {}))
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
fn namespaces_are_found() {
    let disks = open(&fake(Mood::Honest)).unwrap();
    assert_eq!(disks.len(), 2);
    let facts = disks[0].facts();
    assert_eq!((facts.model.as_str(), facts.block, facts.blocks), ("Fake!", 512, 2048));
    // 2⁵ pages, which is less than the driver would ask for.
    assert_eq!((facts.longest, facts.is_read_only), (128 << 10, false));
}

/// One page, two, and so many that they need a list; pieces that do not touch each other.
#[test]
fn memory_of_any_shape_is_read_and_written() {
    let fake = fake(Mood::Honest);
    let mut disks = open(&fake).unwrap();
    let disk = &mut *disks[1];
    for lengths in [&[512][..], &[4096, 512], &[8192], &[65536, 4096, 1024]] {
        let memory: Vec<Span> =
            lengths.iter().map(|length| Heap.memory(*length).unwrap().part(0, *length)).collect();
        let total: usize = lengths.iter().sum();
        disk.begin(3, Command::Read(16, &memory)).unwrap();
        assert_eq!(finish(disk), Done { slot: 3, outcome: Ok(()) });
        let mut bytes = Vec::new();
        for span in &memory {
            let mut part = vec![0; span.length()];
            span.read(&mut part);
            bytes.extend(part);
        }
        assert!(bytes == fake.0.borrow().disk[8192..8192 + total]);
        disk.begin(0, Command::Write(1024, &memory)).unwrap();
        assert_eq!(finish(disk), Done { slot: 0, outcome: Ok(()) });
        assert!(bytes == fake.0.borrow().disk[524_288..524_288 + total]);
    }
    disk.begin(15, Command::Flush).unwrap();
    assert_eq!(finish(disk), Done { slot: 15, outcome: Ok(()) });
    assert_eq!(fake.0.borrow().flushes, 1);
    assert_eq!(disk.finished(), Ok(None));
}

/// The rings are shorter than the work: their ends are passed many times.
#[test]
fn rings_go_round() {
    let fake = fake(Mood::Honest);
    let mut disks = open(&fake).unwrap();
    let memory = [Heap.memory(4096).unwrap().part(0, 512)];
    for round in 0..500 {
        let slots = [round % 16, (round + 5) % 16];
        for slot in slots {
            disks[0].begin(slot, Command::Read(round as u64, &memory)).unwrap();
        }
        for slot in slots {
            assert_eq!(finish(&mut *disks[0]), Done { slot, outcome: Ok(()) });
        }
    }
}

#[test]
fn a_status_is_told_in_words() {
    // Media and data integrity error: unrecovered read error.
    let mut disks = open(&fake(Mood::Status(0x281))).unwrap();
    let memory = [Heap.memory(4096).unwrap()];
    disks[0].begin(2, Command::Read(0, &memory)).unwrap();
    let outcome = Err("read: status type 2 code 0x81".to_owned());
    assert_eq!(finish(&mut *disks[0]), Done { slot: 2, outcome });
}

#[test]
fn a_protected_namespace_is_read_only() {
    let fake = fake(Mood::Honest);
    fake.0.borrow_mut().is_protected = true;
    assert!(open(&fake).unwrap()[0].facts().is_read_only);
}

#[test]
fn lies_break_the_device_and_nothing_else() {
    for mood in [Mood::WrongCommand, Mood::WrongQueue, Mood::WrongHead] {
        let mut disks = open(&fake(mood)).unwrap();
        disks[0].begin(1, Command::Flush).unwrap();
        assert!(matches!(disks[0].finished(), Err(Broken::Unruly(_))), "{mood:?}");
    }
}

#[test]
fn a_controller_that_does_not_start_is_given_up() {
    for mood in [Mood::Asleep, Mood::Fatal, Mood::NoQueues] {
        assert!(matches!(open(&fake(mood)), Err(Broken::Unruly(_))), "{mood:?}");
    }
    assert_eq!(open(&fake(Mood::Gone)).err(), Some(Broken::Gone));
    // Fewer registers than it needs.
    let short = nvmed::disks(Box::new(fake(Mood::Honest)), 0x1000, &Heap, Box::new(|_| {}));
    assert!(matches!(short, Err(Broken::Unruly(_))));
}

#[test]
fn a_format_that_nobody_knows_is_no_disk() {
    assert_eq!(open(&fake(Mood::TinyBlocks)).unwrap().len(), 0);
}

#[test]
fn silence_and_absence_are_told_apart() {
    let fake = fake(Mood::Silent);
    let mut disks = open(&fake).unwrap();
    disks[0].begin(1, Command::Flush).unwrap();
    assert_eq!(disks[0].finished(), Ok(None));
    assert_eq!(disks[0].is_there(), Ok(()));
    fake.0.borrow_mut().mood = Mood::Gone;
    assert_eq!(disks[0].is_there(), Err(Broken::Gone));
}
