//! Power cuts: whatever a commit acknowledged is there afterwards, byte for byte.
//!
//! The disk keeps a log of its writes and flushes. A cut is taken at any place of the log: what
//! was flushed before it is there, and of the writes since then any may be missing.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use filed::budget::Budget;
use filed::store::{Backing, Store};
use filed::tree::{Caller, ROOT_HANDLE, State, Tree};
use proptest::prelude::*;
use redoxfs::FileSystem;
use syscall::error::Result;
use syscall::flag::{O_CREAT, O_RDONLY, O_RDWR};

const SIZE: usize = 24 << 20;

enum Event {
    Write(usize, Vec<u8>),
    Flush,
}

#[derive(Default)]
struct Log {
    bytes: Vec<u8>,
    events: Vec<Event>,
}

#[derive(Clone, Default)]
struct Logged(Rc<RefCell<Log>>);

impl Backing for Logged {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<()> {
        into.copy_from_slice(&self.0.borrow().bytes[offset as usize..][..into.len()]);
        Ok(())
    }

    fn write(&mut self, offset: u64, from: &[u8]) -> Result<()> {
        let mut log = self.0.borrow_mut();
        log.bytes[offset as usize..][..from.len()].copy_from_slice(from);
        log.events.push(Event::Write(offset as usize, from.to_vec()));
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.0.borrow_mut().events.push(Event::Flush);
        Ok(())
    }

    fn size(&mut self) -> Result<u64> {
        Ok(SIZE as u64)
    }
}

fn disk(bytes: Vec<u8>) -> Logged {
    Logged(Rc::new(RefCell::new(Log { bytes, events: Vec::new() })))
}

fn mount(disk: &Logged) -> FileSystem<Store<Logged>> {
    let mut store = Store::new(disk.clone());
    let header = store.find_header().expect("there is a file system");
    FileSystem::open(store, None, Some(header), true).expect("it can be opened")
}

fn root() -> Caller {
    Caller { uid: 0, gid: 0, now: Default::default() }
}

/// What one step does to a file.
#[derive(Clone, Debug)]
enum Step {
    Write { name: u8, at: u32, length: u32, byte: u8 },
    Cut { name: u8, size: u32 },
    Remove { name: u8 },
    Move { from: u8, to: u8 },
    Commit,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4u8, 0..300_000u32, 1..200_000u32, 1..255u8)
            .prop_map(|(name, at, length, byte)| Step::Write { name, at, length, byte }),
        1 => (0..4u8, 0..300_000u32).prop_map(|(name, size)| Step::Cut { name, size }),
        1 => (0..4u8).prop_map(|name| Step::Remove { name }),
        1 => (0..4u8, 0..4u8).prop_map(|(from, to)| Step::Move { from, to }),
        2 => Just(Step::Commit),
    ];
    prop::collection::vec(step, 1..30)
}

type Files = BTreeMap<u8, Vec<u8>>;

/// Does the steps between two commits, and the same to the model.
fn perform(system: &mut FileSystem<Store<Logged>>, steps: &[Step], files: &mut Files) {
    let mut state = State::new(Budget::new(system.allocator()), (0, 0));
    let done = system.tx(|tx| {
        let mut tree = Tree::new(tx, &mut state);
        let open = |tree: &mut Tree<_>, name: u8, flags| {
            tree.open(ROOT_HANDLE, &format!("f{name}"), flags | 0o644, &root())
        };
        for step in steps {
            match *step {
                Step::Write { name, at, length, byte } => {
                    let bytes = vec![byte; length as usize];
                    let handle = open(&mut tree, name, O_RDWR | O_CREAT)?;
                    tree.write(handle, at.into(), false, &bytes, &root())?;
                    tree.close(handle);
                    let file = files.entry(name).or_default();
                    let end = at as usize + bytes.len();
                    file.resize(file.len().max(end), 0);
                    file[at as usize..end].copy_from_slice(&bytes);
                }
                Step::Cut { name, size } => {
                    let Some(file) = files.get_mut(&name) else { continue };
                    let handle = open(&mut tree, name, O_RDWR)?;
                    tree.truncate(handle, size.into(), &root())?;
                    tree.close(handle);
                    file.resize(size as usize, 0);
                }
                Step::Remove { name } => {
                    let removed = tree.unlink(ROOT_HANDLE, &format!("f{name}"), false, &root());
                    assert_eq!(removed.is_ok(), files.remove(&name).is_some());
                }
                Step::Move { from, to } => {
                    if !files.contains_key(&from) {
                        continue;
                    }
                    let handle = open(&mut tree, from, O_RDWR)?;
                    tree.rename(handle, &format!("f{to}"), &root())?;
                    tree.close(handle);
                    let file = files.remove(&from).expect("it was looked at");
                    files.insert(to, file);
                }
                Step::Commit => {}
            }
        }
        Ok(())
    });
    done.expect("there is room");
}

/// Everything on the disk.
fn contents(disk: &Logged) -> Files {
    let mut system = mount(disk);
    let mut state = State::new(Budget::new(system.allocator()), (0, 0));
    let mut files = Files::new();
    let read = system.tx(|tx| {
        let mut tree = Tree::new(tx, &mut state);
        for name in 0..4 {
            let path = format!("f{name}");
            let Ok(handle) = tree.open(ROOT_HANDLE, &path, O_RDONLY, &root()) else { continue };
            let mut bytes = vec![0; tree.size(handle)? as usize];
            let mut done = 0;
            while done < bytes.len() {
                done += tree.read(handle, done as u64, &mut bytes[done..])?;
            }
            tree.close(handle);
            files.insert(name, bytes);
        }
        Ok(())
    });
    read.expect("what is there can be read");
    files
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_committed_survives_any_cut(
        steps in steps(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 10),
    ) {
        let fresh = disk(vec![0; SIZE]);
        FileSystem::create(Store::new(fresh.clone()), None, 0, 0).expect("there is room");
        let start = fresh.0.borrow().bytes.clone();
        let used = disk(start.clone());
        let mut system = mount(&used);
        let mut files = Files::new();
        // After so many events the disk must hold this, or what comes next in the list.
        let mut moments = vec![(used.0.borrow().events.len(), files.clone())];
        for group in steps.split(|step| matches!(step, Step::Commit)) {
            perform(&mut system, group, &mut files);
            moments.push((used.0.borrow().events.len(), files.clone()));
        }
        prop_assert_eq!(&contents(&disk(used.0.borrow().bytes.clone())), &files);
        let log = used.0.borrow();
        for (place, mut luck) in cuts {
            let place = place.index(log.events.len() + 1);
            let mut bytes = start.clone();
            let flushed = log.events[..place].iter().rposition(|e| matches!(e, Event::Flush));
            for (at, event) in log.events[..place].iter().enumerate() {
                let Event::Write(offset, written) = event else { continue };
                luck = luck.rotate_left(7).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                if flushed.is_some_and(|flush| at < flush) || luck & 1 == 0 {
                    bytes[*offset..][..written.len()].copy_from_slice(written);
                }
            }
            let found = contents(&disk(bytes));
            let after = moments.partition_point(|(events, _)| *events <= place);
            let allowed = moments[after.saturating_sub(1)..].iter().take(2);
            prop_assert!(allowed.clone().any(|(_, files)| *files == found), "cut at {place}");
        }
    }
}
