//! Long files: records that go to the disk before their transaction ends, and come from it before
//! they are asked for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use filed::budget::Budget;
use filed::hands::Hands;
use filed::store::{Backing, Store};
use filed::tree::{Caller, ROOT_HANDLE, State, Tree};
use redoxfs::{FileSystem, Transaction, TreePtr};
use syscall::error::{EIO, Error, Result};
use syscall::flag::{O_CREAT, O_RDWR};

const SIZE: usize = 32 << 20;
const MIB: usize = 1 << 20;
const ROOT: Caller = Caller { uid: 0, gid: 0, now: syscall::TimeSpec { tv_sec: 0, tv_nsec: 0 } };

/// A disk in memory that takes its time, and fails when it is told to.
#[derive(Clone)]
struct Slow {
    bytes: Arc<Mutex<Vec<u8>>>,
    is_broken: Arc<AtomicBool>,
}

impl Slow {
    fn new() -> Self {
        let bytes = Arc::new(Mutex::new(vec![0; SIZE]));
        let disk = Self { bytes, is_broken: Arc::default() };
        filed::store::make(disk.clone(), 0, 0).expect("there is room");
        disk
    }

    /// What would be there if everything ended now.
    fn frozen(&self) -> Self {
        let bytes = self.bytes.lock().expect("nobody panics with it").clone();
        Self { bytes: Arc::new(Mutex::new(bytes)), is_broken: Arc::default() }
    }
}

impl Backing for Slow {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<()> {
        std::thread::sleep(Duration::from_micros(50));
        let bytes = self.bytes.lock().expect("nobody panics with it");
        into.copy_from_slice(&bytes[offset as usize..][..into.len()]);
        Ok(())
    }

    fn write(&mut self, offset: u64, from: &[u8]) -> Result<()> {
        std::thread::sleep(Duration::from_micros(from.len() as u64 / 64));
        if self.is_broken.load(Ordering::Relaxed) {
            return Err(Error::new(EIO));
        }
        let mut bytes = self.bytes.lock().expect("nobody panics with it");
        bytes[offset as usize..][..from.len()].copy_from_slice(from);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn size(&mut self) -> Result<u64> {
        Ok(SIZE as u64)
    }
}

/// A file system that is served with so many hands.
struct Served {
    system: FileSystem<Store<Slow>>,
    state: State,
}

impl Served {
    fn new(disk: &Slow, hands: usize) -> Self {
        let system = filed::store::mount(disk.clone(), true).expect("it is sound");
        if hands > 0 {
            system.disk.set_hands(Hands::new(vec![disk.clone(); hands]));
        }
        let state = State::new(Budget::new(system.allocator()), (0, 0));
        Self { system, state }
    }

    /// One transaction.
    fn during<T>(
        &mut self,
        act: impl FnOnce(&mut Tree<'_, '_, Store<Slow>>) -> Result<T>,
    ) -> Result<T> {
        self.state.begin(Budget::new(self.system.allocator()), (0, 0));
        let disk = self.system.disk.clone();
        let outcome = self.system.tx(|tx| {
            let mut tree = Tree::new(tx, &mut self.state, disk);
            let done = act(&mut tree)?;
            tree.write_out_all()?;
            Ok(done)
        });
        if outcome.is_err() {
            self.state.cache.clear();
            self.system.disk.abandon();
        }
        outcome
    }

    fn read(&mut self, name: &str, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let read = self.during(|tree| {
            let handle = tree.open(ROOT_HANDLE, name, O_RDWR, &ROOT)?;
            for (at, piece) in (0..).step_by(10_000).zip(bytes.chunks_mut(10_000)) {
                tree.read(handle, at, piece)?;
            }
            tree.close(handle);
            Ok(())
        });
        read.expect("it is there");
        bytes
    }
}

fn noise(seed: u32, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Writes a file in pieces, one after the other.
fn write(tree: &mut Tree<'_, '_, Store<Slow>>, name: &str, bytes: &[u8]) -> Result<usize> {
    let handle = tree.open(ROOT_HANDLE, name, O_CREAT | O_RDWR | 0o644, &ROOT)?;
    for (at, piece) in (0..).step_by(300_000).zip(bytes.chunks(300_000)) {
        tree.write(handle, at, false, piece, &ROOT)?;
    }
    Ok(handle)
}

#[test]
fn a_long_file_is_the_same_for_everybody() {
    let disk = Slow::new();
    let mut served = Served::new(&disk, 3);
    let mut bytes = noise(1, 9 * MIB + 77);
    // Records that can be packed are among the others.
    bytes[2 * MIB..3 * MIB].fill(5);
    served.during(|tree| write(tree, "long", &bytes)).expect("there is room");
    for hands in [0, 1, 4] {
        assert!(Served::new(&disk, hands).read("long", bytes.len()) == bytes, "{hands} hands");
    }
    let read = |tx: &mut Transaction<'_, Store<Slow>>| {
        let node = tx.find_node(TreePtr::root(), "long")?;
        let mut found = vec![0; node.data().size() as usize];
        tx.read_node_inner(&node, 0, &mut found)?;
        Ok(found)
    };
    assert!(served.system.tx(read).expect("it is there") == bytes, "RedoxFS's own view");
}

#[test]
fn what_is_changed_while_it_is_written_is_changed() {
    let disk = Slow::new();
    let mut served = Served::new(&disk, 2);
    let mut bytes = noise(2, 5 * MIB);
    let written = served.during(|tree| {
        let handle = write(tree, "file", &bytes)?;
        // Its first records are on their way by now.
        tree.write(handle, 100, false, b"changed", &ROOT)?;
        tree.write(handle, 200_000, false, b"changed", &ROOT)
    });
    written.expect("there is room");
    bytes[100..107].copy_from_slice(b"changed");
    bytes[200_000..200_007].copy_from_slice(b"changed");
    assert!(Served::new(&disk, 0).read("file", bytes.len()) == bytes);
}

#[test]
fn a_file_that_is_gone_before_its_transaction_ends_leaves_nothing() {
    let disk = Slow::new();
    let mut served = Served::new(&disk, 2);
    let bytes = noise(3, 5 * MIB);
    served.during(|tree| write(tree, "other", &bytes[..MIB])).expect("there is room");
    let before = served.system.allocator().free();
    for is_open in [false, true] {
        let gone = served.during(|tree| {
            let handle = write(tree, "gone", &bytes)?;
            if !is_open {
                tree.close(handle);
            }
            tree.unlink(ROOT_HANDLE, "gone", false, &ROOT)?;
            if is_open {
                tree.close(handle);
            }
            Ok(())
        });
        gone.expect("there is room");
        let after = served.system.allocator().free();
        assert!(after.abs_diff(before) < 64, "{is_open}: {before} blocks, then {after}");
    }
    assert!(served.read("other", MIB) == bytes[..MIB]);
}

#[test]
fn a_record_that_cannot_be_written_takes_its_transaction_with_it() {
    let disk = Slow::new();
    let mut served = Served::new(&disk, 2);
    let (old, new) = (noise(4, 3 * MIB), noise(5, 3 * MIB));
    served.during(|tree| write(tree, "file", &old)).expect("there is room");
    let lost = served.during(|tree| {
        let handle = write(tree, "file", &new)?;
        disk.is_broken.store(true, Ordering::Relaxed);
        tree.write(handle, 0, false, &new[..MIB], &ROOT)
    });
    assert_eq!(lost, Err(Error::new(EIO)));
    assert!(Served::new(&disk.frozen(), 0).read("file", old.len()) == old);
    disk.is_broken.store(false, Ordering::Relaxed);
    served.during(|tree| write(tree, "file", &new)).expect("the next one is another");
    assert!(Served::new(&disk, 0).read("file", new.len()) == new);
}
