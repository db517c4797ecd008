//! Power cuts: whatever a commit acknowledged is there afterwards, byte for byte.
//!
//! The disk keeps a log of its writes and flushes. A cut is taken at any place of the log: what
//! was flushed before it is there, and of the writes since then any may be missing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use filed::budget::Budget;
use filed::hands::Hands;
use filed::store::{Backing, Records, Store};
use filed::tree::{Caller, ROOT_HANDLE, State, Tree};
use proptest::prelude::*;
use redoxfs::{FileSystem, Node, TreePtr};
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
struct Logged(Arc<Mutex<Log>>);

impl Logged {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.0.lock().expect("nobody panics with it")
    }
}

impl Backing for Logged {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<()> {
        into.copy_from_slice(&self.log().bytes[offset as usize..][..into.len()]);
        Ok(())
    }

    fn write(&mut self, offset: u64, from: &[u8]) -> Result<()> {
        let mut log = self.log();
        log.bytes[offset as usize..][..from.len()].copy_from_slice(from);
        log.events.push(Event::Write(offset as usize, from.to_vec()));
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.log().events.push(Event::Flush);
        Ok(())
    }

    fn size(&mut self) -> Result<u64> {
        Ok(SIZE as u64)
    }
}

fn disk(bytes: Vec<u8>) -> Logged {
    Logged(Arc::new(Mutex::new(Log { bytes, events: Vec::new() })))
}

fn mount(disk: &Logged) -> FileSystem<Store<Logged>> {
    let system = filed::store::mount(disk.clone(), true).expect("it can be opened");
    system.disk.set_hands(Hands::new(vec![disk.clone(); 3]));
    system
}

fn root() -> Caller {
    Caller { uid: 0, gid: 0, now: Default::default() }
}

/// What one step does to a file or a folder. The folders are as many as the files, and each file has
/// a place in each.
#[derive(Clone, Debug)]
enum Step {
    Write { name: u8, at: u32, length: u32, byte: u8 },
    Append { name: u8, length: u16, byte: u8 },
    Cut { name: u8, size: u32 },
    Remove { name: u8 },
    Move { from: u8, to: u8 },
    Link { from: u8, to: u8 },
    Commit,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = 0..NAMES;
    let step = prop_oneof![
        4 => (name.clone(), 0..300_000u32, 1..200_000u32, 1..255u8)
            .prop_map(|(name, at, length, byte)| Step::Write { name, at, length, byte }),
        4 => (name.clone(), 1..5_000u16, 1..255u8)
            .prop_map(|(name, length, byte)| Step::Append { name, length, byte }),
        1 => (name.clone(), 0..300_000u32).prop_map(|(name, size)| Step::Cut { name, size }),
        1 => name.clone().prop_map(|name| Step::Remove { name }),
        1 => (name.clone(), name.clone()).prop_map(|(from, to)| Step::Move { from, to }),
        1 => (name.clone(), name).prop_map(|(from, to)| Step::Link { from, to }),
        2 => Just(Step::Commit),
    ];
    prop::collection::vec(step, 1..40)
}

/// Names that may be there: half of them in a folder.
const NAMES: u8 = 6;

fn path(name: u8) -> String {
    if name.is_multiple_of(2) { format!("f{name}") } else { format!("folder/f{name}") }
}

/// What each name leads to; names of one file lead to the same place in the list.
#[derive(Clone, Debug, Default)]
struct Files {
    names: BTreeMap<u8, usize>,
    contents: Vec<Vec<u8>>,
}

impl Files {
    fn shown(&self) -> BTreeMap<u8, Vec<u8>> {
        self.names.iter().map(|(name, file)| (*name, self.contents[*file].clone())).collect()
    }

    fn find(&mut self, name: u8) -> Option<&mut Vec<u8>> {
        let file = *self.names.get(&name)?;
        Some(&mut self.contents[file])
    }

    fn find_or_make(&mut self, name: u8) -> &mut Vec<u8> {
        let file = *self.names.entry(name).or_insert_with(|| {
            self.contents.push(Vec::new());
            self.contents.len() - 1
        });
        &mut self.contents[file]
    }
}

/// Bytes of a write: of an odd number noise, whose records are written as they are.
fn pattern(byte: u8, length: usize) -> Vec<u8> {
    let mut state = u32::from(byte);
    let mut next = || {
        // Marsaglia's xorshift.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    if byte.is_multiple_of(2) { vec![byte; length] } else { (0..length).map(|_| next()).collect() }
}

/// Does the steps between two commits, and the same to the model.
fn perform(
    system: &mut FileSystem<Store<Logged>>,
    state: &mut State,
    steps: &[Step],
    files: &mut Files,
) {
    state.begin(Budget::new(system.allocator()), (0, 0));
    let disk = system.disk.clone();
    let done = system.tx(|tx| {
        let mut tree = Tree::new(tx, state, disk);
        steps.iter().try_for_each(|step| perform_one(&mut tree, step, files))?;
        tree.write_out_all()
    });
    done.expect("there is room");
}

fn open<D: Records>(tree: &mut Tree<'_, '_, D>, name: u8, flags: usize) -> Result<usize> {
    tree.open(ROOT_HANDLE, &path(name), flags | 0o644, &root())
}

fn perform_one<D: Records>(
    tree: &mut Tree<'_, '_, D>,
    step: &Step,
    files: &mut Files,
) -> Result<()> {
    match *step {
        Step::Write { name, at, length, byte } => {
            let bytes = pattern(byte, length as usize);
            let handle = open(tree, name, O_RDWR | O_CREAT)?;
            tree.write(handle, at.into(), false, &bytes, &root())?;
            tree.close(handle);
            let file = files.find_or_make(name);
            let end = at as usize + bytes.len();
            file.resize(file.len().max(end), 0);
            file[at as usize..end].copy_from_slice(&bytes);
        }
        Step::Append { name, length, byte } => {
            let bytes = vec![byte; length.into()];
            let handle = open(tree, name, O_RDWR | O_CREAT)?;
            tree.write(handle, 0, true, &bytes, &root())?;
            tree.close(handle);
            files.find_or_make(name).extend(bytes);
        }
        Step::Cut { name, size } => {
            let Some(file) = files.find(name) else { return Ok(()) };
            let handle = open(tree, name, O_RDWR)?;
            tree.truncate(handle, size.into(), &root())?;
            tree.close(handle);
            file.resize(size as usize, 0);
        }
        Step::Remove { name } => {
            let removed = tree.unlink(ROOT_HANDLE, &path(name), false, &root());
            assert_eq!(removed.is_ok(), files.names.remove(&name).is_some());
        }
        Step::Move { from, to } => {
            let Some(file) = files.names.get(&from).copied() else { return Ok(()) };
            let handle = open(tree, from, O_RDWR)?;
            tree.rename(handle, &path(to), &root())?;
            tree.close(handle);
            // Two names of one file: POSIX leaves both.
            if files.names.get(&to) != Some(&file) {
                files.names.remove(&from);
                files.names.insert(to, file);
            }
        }
        Step::Link { from, to } => {
            let Some(file) = files.names.get(&from).copied() else { return Ok(()) };
            let handle = open(tree, from, O_RDONLY)?;
            let linked = tree.link(handle, &path(to), &root());
            tree.close(handle);
            assert_eq!(linked.is_ok(), !files.names.contains_key(&to));
            files.names.entry(to).or_insert(file);
        }
        Step::Commit => {}
    }
    Ok(())
}

/// Everything on the disk, as RedoxFS itself reads it: nothing of ours but the disk is between.
fn contents(disk: &Logged) -> BTreeMap<u8, Vec<u8>> {
    let mut system = mount(disk);
    let mut files = BTreeMap::new();
    let read = system.tx(|tx| {
        let folder = tx.find_node(TreePtr::root(), "folder")?;
        for name in 0..NAMES {
            let parent = if name.is_multiple_of(2) { TreePtr::root() } else { folder.ptr() };
            let Ok(node) = tx.find_node(parent, &format!("f{name}")) else { continue };
            let mut bytes = vec![0; node.data().size() as usize];
            assert_eq!(tx.read_node_inner(&node, 0, &mut bytes)?, bytes.len());
            files.insert(name, bytes);
        }
        Ok(())
    });
    read.expect("what is there can be read");
    files
}

/// Cuts in one run of the suite, and in `make soak`.
fn cuts() -> u32 {
    std::env::var("LIFEBOAT_CUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

/// Cuts for each workload.
const EACH: u32 = 10;

proptest! {
    #![proptest_config(ProptestConfig { cases: cuts() / EACH, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_committed_survives_any_cut(
        steps in steps(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), EACH as usize),
    ) {
        let fresh = disk(vec![0; SIZE]);
        let mut system = FileSystem::create(Store::new(fresh.clone()), None, 0, 0)
            .expect("there is room");
        let made = system.tx(|tx| {
            tx.create_node(TreePtr::root(), "folder", Node::MODE_DIR | 0o755, 0, 0).map(|_| ())
        });
        made.expect("there is room");
        let start = fresh.log().bytes.clone();
        let used = disk(start.clone());
        let mut system = mount(&used);
        let mut state = State::new(Budget::new(system.allocator()), (0, 0));
        let mut files = Files::default();
        // After so many events the disk must hold this, or what comes next in the list.
        let mut moments = vec![(used.log().events.len(), files.shown())];
        for group in steps.split(|step| matches!(step, Step::Commit)) {
            perform(&mut system, &mut state, group, &mut files);
            moments.push((used.log().events.len(), files.shown()));
        }
        prop_assert_eq!(&contents(&disk(used.log().bytes.clone())), &files.shown());
        let log = used.log();
        // Every other cut is just before or behind a flush, where the order of writes counts.
        let flushes: Vec<usize> = (0..log.events.len())
            .filter(|at| matches!(log.events[*at], Event::Flush))
            .flat_map(|at| [at, at + 1])
            .collect();
        for (number, (place, mut luck)) in cuts.into_iter().enumerate() {
            let place = match number % 2 == 0 && !flushes.is_empty() {
                true => flushes[place.index(flushes.len())],
                false => place.index(log.events.len() + 1),
            };
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
