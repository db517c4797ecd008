//! Requests over a disk in memory that takes its time, finishes commands in any order, fails where
//! it is told to, and lies.

use std::cell::RefCell;
use std::ptr::NonNull;
use std::rc::Rc;
use std::time::{Duration, Instant};

use diskd::device::{Broken, Command, Device, Done, Facts};
use diskd::memory::{Source, Span};
use diskd::partition;
use diskd::requests::{Bytes, PATIENCE, Progress, Requests, bounds};
use diskd::volume::Extent;
use proptest::prelude::*;
use syscall::error::{EIO, ENOSPC, EROFS, Error};

const BLOCKS: u64 = 8192;

/// Memory of this process, which the fake device finds by its address.
struct Heap;

impl Source for Heap {
    fn memory(&self, length: usize) -> syscall::Result<Span> {
        let bytes = Box::leak(vec![0_u8; length].into_boxed_slice());
        let start = NonNull::from(bytes).cast();
        // SAFETY: the memory is never freed.
        Ok(unsafe { Span::new(start, start.addr().get() as u64, length) })
    }
}

/// What the tests see of the fake device.
#[derive(Default)]
struct Inside {
    bytes: Vec<u8>,
    /// Commands that are done but not told, by slot.
    done: Vec<Done>,
    /// Takes the next of them by this number, modulo how many there are.
    order: usize,
    /// A block that cannot be read or written.
    bad: Option<u64>,
    /// What it tells instead of the truth.
    lie: Option<Done>,
    /// It takes commands and never finishes them.
    is_silent: bool,
    most_under_way: usize,
    flushes: usize,
}

struct Fake {
    facts: Facts,
    inside: Rc<RefCell<Inside>>,
}

impl Device for Fake {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn begin(&mut self, slot: usize, command: Command<'_>) -> Result<(), Broken> {
        let inside = &mut *self.inside.borrow_mut();
        assert!(slot < self.facts.depth);
        assert!(inside.done.iter().all(|done| done.slot != slot), "slot {slot} is not free");
        let mut outcome = Ok(());
        match command {
            Command::Flush => inside.flushes += 1,
            Command::Read(block, memory) | Command::Write(block, memory) => {
                let length: usize = memory.iter().map(|span| span.length()).sum();
                assert!(length > 0 && length <= self.facts.longest);
                assert!(length.is_multiple_of(self.facts.block));
                let blocks = block..block + (length / self.facts.block) as u64;
                assert!(blocks.end <= self.facts.blocks, "behind the end");
                if inside.bad.is_some_and(|bad| blocks.contains(&bad)) {
                    outcome = Err("bad block".to_owned());
                }
                let mut at = block as usize * self.facts.block;
                for span in memory.iter().filter(|_| outcome.is_ok()) {
                    let bytes = &mut inside.bytes[at..at + span.length()];
                    match command {
                        Command::Write(..) => span.read(bytes),
                        _ => span.write(bytes),
                    }
                    at += span.length();
                }
            }
        }
        if !inside.is_silent {
            inside.done.push(Done { slot, outcome });
        }
        inside.most_under_way = inside.most_under_way.max(inside.done.len());
        Ok(())
    }

    fn finished(&mut self) -> Result<Option<Done>, Broken> {
        let inside = &mut *self.inside.borrow_mut();
        if inside.done.is_empty() {
            return Ok(None);
        }
        let next = inside.order % inside.done.len();
        inside.order = inside.order.wrapping_mul(31).wrapping_add(7);
        let done = inside.done.remove(next);
        Ok(Some(inside.lie.take().unwrap_or(done)))
    }

    fn wait(&mut self, _: Duration) {}
}

fn disk(block: usize, is_read_only: bool) -> (Requests<u32>, Rc<RefCell<Inside>>) {
    let bytes = (0..BLOCKS as usize * block).map(|at| (at * 7 + at / 4096) as u8).collect();
    let inside = Rc::new(RefCell::new(Inside { bytes, ..Inside::default() }));
    let facts = Facts {
        kind: "fake",
        model: String::new(),
        block,
        blocks: BLOCKS,
        is_read_only,
        depth: 5,
        longest: 96 << 10,
    };
    let device = Fake { facts, inside: Rc::clone(&inside) };
    (Requests::new(Box::new(device), &Heap).unwrap(), inside)
}

/// Asks until it is done, as the server does.
fn wait(
    requests: &mut Requests<u32>,
    mut ask: impl FnMut(&mut Requests<u32>) -> Progress,
) -> syscall::Result<()> {
    for _ in 0..10_000 {
        if let Progress::Over(outcome) = ask(requests) {
            return outcome;
        }
        requests.collect().unwrap();
    }
    panic!("it is never done")
}

fn read(requests: &mut Requests<u32>, place: u64, into: &mut [u8]) -> syscall::Result<()> {
    wait(requests, |requests| requests.transfer(1, place, Bytes::Read(into)).unwrap())
}

fn write(requests: &mut Requests<u32>, place: u64, from: &[u8]) -> syscall::Result<()> {
    wait(requests, |requests| requests.transfer(1, place, Bytes::Write(from)).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Whatever is written where: the disk has what a file would have.
    #[test]
    fn any_bytes_of_the_disk_are_read_and_written(
        block in prop_oneof![Just(512_usize), Just(4096)],
        order in any::<usize>(),
        steps in prop::collection::vec((any::<bool>(), 0_u64..3 << 20, 1_usize..1 << 20, any::<u8>()), 1..8),
    ) {
        let (mut requests, inside) = disk(block, false);
        inside.borrow_mut().order = order;
        let mut model = inside.borrow().bytes.clone();
        for (is_write, place, length, fill) in steps {
            let range = place as usize..place as usize + length;
            if is_write {
                let bytes: Vec<u8> = (0..length).map(|at| fill.wrapping_add(at as u8)).collect();
                prop_assert_eq!(write(&mut requests, place, &bytes), Ok(()));
                model[range].copy_from_slice(&bytes);
            } else {
                let mut bytes = vec![0; length];
                prop_assert_eq!(read(&mut requests, place, &mut bytes), Ok(()));
                prop_assert!(bytes == model[range]);
            }
            prop_assert!(requests.is_idle());
        }
        prop_assert!(inside.borrow().bytes == model);
    }
}

#[test]
fn commands_are_under_way_together() {
    let (mut requests, inside) = disk(512, false);
    let mut bytes = vec![0; 1 << 20];
    read(&mut requests, 0, &mut bytes).unwrap();
    assert!(bytes == inside.borrow().bytes[..1 << 20]);
    assert_eq!(inside.borrow().most_under_way, 5);
}

#[test]
fn many_clients_share_the_disk_and_all_end() {
    let (mut requests, inside) = disk(512, false);
    let mut buffers: Vec<Vec<u8>> = (0..40).map(|_| vec![0; 300_000]).collect();
    let mut is_done = [false; 40];
    for _ in 0..1000 {
        for (key, buffer) in buffers.iter_mut().enumerate() {
            if is_done[key] {
                continue;
            }
            let place = key as u64 * 1000;
            let asked = requests.transfer(key as u32, place, Bytes::Read(buffer)).unwrap();
            is_done[key] = asked == Progress::Over(Ok(()));
        }
        // The socket is looked at again only when something was done.
        requests.collect().unwrap();
    }
    assert_eq!(is_done, [true; 40]);
    for (key, buffer) in buffers.iter().enumerate() {
        assert!(*buffer == inside.borrow().bytes[key * 1000..key * 1000 + 300_000], "{key}");
    }
}

/// A write of parts of blocks reads the blocks first; what others write meanwhile must stay.
#[test]
fn writing_a_part_of_a_block_keeps_its_neighbours() {
    let (mut requests, inside) = disk(4096, false);
    let (part, whole) = (vec![1; 10], vec![2; 8192]);
    let mut is_done = [false; 2];
    for _ in 0..20 {
        // The whole blocks were asked for first and are not finished yet.
        for (key, place, bytes) in [(0, 4096, &whole), (1, 4100, &part)] {
            if !is_done[key] {
                let asked = requests.transfer(key as u32, place, Bytes::Write(bytes)).unwrap();
                is_done[key] = asked == Progress::Over(Ok(()));
            }
        }
        requests.collect().unwrap();
    }
    assert_eq!(is_done, [true; 2]);
    let inside = inside.borrow();
    assert_eq!(inside.bytes[4096..4100], [2; 4]);
    assert_eq!(inside.bytes[4100..4110], [1; 10]);
    assert_eq!(inside.bytes[4110..12288], [2; 8178]);
}

#[test]
fn a_failure_is_the_requests_own() {
    let (mut requests, inside) = disk(512, false);
    inside.borrow_mut().bad = Some(1000);
    let mut bytes = vec![0; 1 << 20];
    assert_eq!(read(&mut requests, 0, &mut bytes), Err(Error::new(EIO)));
    assert_eq!(write(&mut requests, 1000 * 512 + 5, &[0; 3]), Err(Error::new(EIO)));
    assert_eq!(requests.next_failure().as_deref(), Some("bad block"));
    assert_eq!(read(&mut requests, 1001 * 512, &mut bytes), Ok(()));
    assert!(bytes[..] == inside.borrow().bytes[1001 * 512..1001 * 512 + (1 << 20)]);
    assert!(requests.is_idle() && !requests.is_busy());
}

#[test]
fn flushing_asks_the_device() {
    let (mut requests, inside) = disk(512, false);
    assert_eq!(wait(&mut requests, |requests| requests.flush(3).unwrap()), Ok(()));
    assert_eq!(inside.borrow().flushes, 1);
}

#[test]
fn a_read_only_disk_is_not_written() {
    let (mut requests, inside) = disk(512, true);
    let before = inside.borrow().bytes.clone();
    assert_eq!(write(&mut requests, 0, &[0; 512]), Err(Error::new(EROFS)));
    assert_eq!(write(&mut requests, 1, &[0; 5]), Err(Error::new(EROFS)));
    assert!(inside.borrow().bytes == before);
}

#[test]
fn a_device_that_finishes_what_it_was_not_given_is_broken() {
    for slot in [1, 4, 5, 77, usize::MAX] {
        let (mut requests, inside) = disk(512, false);
        inside.borrow_mut().lie = Some(Done { slot, outcome: Ok(()) });
        let mut bytes = [0; 512];
        let asked = requests.transfer(1, 0, Bytes::Read(&mut bytes));
        assert_eq!(asked, Ok(Progress::Waiting));
        assert!(matches!(requests.collect(), Err(Broken::Unruly(_))), "{slot}");
    }
}

#[test]
fn a_command_that_is_finished_twice_is_noticed() {
    let (mut requests, inside) = disk(512, false);
    let mut bytes = [0; 512];
    let asked = requests.transfer(1, 0, Bytes::Read(&mut bytes)).unwrap();
    assert_eq!(asked, Progress::Waiting);
    let done = Done { slot: 0, outcome: Ok(()) };
    inside.borrow_mut().done = vec![done.clone(), done];
    assert!(matches!(requests.collect(), Err(Broken::Unruly(_))));
}

#[test]
fn a_device_that_does_not_answer_is_found_out() {
    let (mut requests, inside) = disk(512, false);
    inside.borrow_mut().is_silent = true;
    let asked = requests.transfer(1, 0, Bytes::Write(&[0; 512])).unwrap();
    assert_eq!(asked, Progress::Waiting);
    assert_eq!(requests.check(Instant::now()), Ok(()));
    let late = Instant::now() + PATIENCE + Duration::from_secs(1);
    assert!(matches!(requests.check(late), Err(Broken::Unruly(_))));
}

#[test]
fn noise_is_no_partition_table() {
    let (mut requests, inside) = disk(512, false);
    assert_eq!(partition::read(&mut requests), Ok(Vec::new()));
    inside.borrow_mut().bad = Some(1);
    assert_eq!(partition::read(&mut requests), Ok(Vec::new()));
}

#[test]
fn a_file_ends_where_its_partition_ends() {
    let extent = Extent { start: 1 << 20, size: 1000 };
    assert_eq!(bounds(extent, 990, 100, false), Ok(((1 << 20) + 990, 10)));
    assert_eq!(bounds(extent, 1000, 100, false), Ok(((1 << 20) + 1000, 0)));
    assert_eq!(bounds(extent, 1000, 100, true), Err(Error::new(ENOSPC)));
    assert_eq!(bounds(extent, 1000, 0, true), Ok(((1 << 20) + 1000, 0)));
}
