//! Damaged disks: whatever is on them, there are errors and an end, never a panic.

mod memory;

use filed::budget::Budget;
use filed::store::{Store, mount};
use filed::tree::{Caller, ROOT_HANDLE, State, Tree};
use memory::Memory;
use proptest::prelude::*;
use redoxfs::{FileSystem, Node, TreePtr};
use syscall::error::{EIO, ENOENT, Error, Result};
use syscall::flag::{O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR};

const SIZE: usize = 16 << 20;
const BLOCK: usize = 4096;

const ROOT: Caller = Caller { uid: 0, gid: 0, now: syscall::TimeSpec { tv_sec: 0, tv_nsec: 0 } };

/// Does something in a transaction, as the daemon does it.
fn during<T>(
    system: &mut FileSystem<Store<Memory>>,
    act: impl FnOnce(&mut Tree<'_, '_, Store<Memory>>) -> Result<T>,
) -> Result<T> {
    let mut state = State::new(Budget::new(system.allocator()), (0, 0));
    let disk = system.disk.clone();
    system.tx(|tx| {
        let mut tree = Tree::new(tx, &mut state, disk);
        let done = act(&mut tree)?;
        tree.write_out_all()?;
        Ok(done)
    })
}

/// A disk with directories, small files, a large one, one that can be compressed.
fn sound() -> Vec<u8> {
    let memory = Memory::new(vec![0; SIZE]);
    FileSystem::create(Store::new(memory.clone()), None, 0, 0).expect("there is room");
    let mut system = mount(memory.clone(), true).expect("it is sound");
    let folder = O_CREAT | O_DIRECTORY | 0o755;
    let mut make = |path: &str, flags: usize, bytes: &[u8]| {
        let made = during(&mut system, |tree| {
            let file = tree.open(ROOT_HANDLE, path, flags, &ROOT)?;
            if !bytes.is_empty() {
                tree.write(file, 0, false, bytes, &ROOT)?;
            }
            tree.close(file);
            Ok(())
        });
        made.expect("there is room");
    };
    make("a", folder, b"");
    make("a/b", folder, b"");
    let file = O_CREAT | O_RDWR | 0o644;
    for number in 0..60 {
        let name = format!("a/file{number}");
        make(&name, file, name.as_bytes());
    }
    let mut state = 1_u64;
    let noise: Vec<u8> = (0..700_000).map(|_| next(&mut state)).collect();
    make("a/b/large", file, &noise);
    make("a/b/zeroes", file, &[7; 500_000]);
    memory.0.take()
}

/// The next byte of noise, which cannot be compressed (Marsaglia's xorshift).
fn next(state: &mut u64) -> u8 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 32) as u8
}

/// Looks at everything there is, as far as it can be seen. Returns how many names that were.
fn look(tree: &mut Tree<'_, '_, Store<Memory>>, path: &str, depth: usize) -> usize {
    let Ok(handle) = tree.open(ROOT_HANDLE, path, O_RDONLY, &ROOT) else { return 0 };
    let _stat = tree.stat(handle);
    let mut bytes = [0; 4096];
    for offset in (0..800_000).step_by(60_000) {
        let _read = tree.read(handle, offset, &mut bytes);
    }
    let mut names = Vec::new();
    let _listed = tree.list(handle, 0, |listed| {
        names.push(listed.name);
        names.len() < 1000
    });
    tree.close(handle);
    assert!(depth < 8, "directories lead in a circle");
    let below = names.iter().map(|name| look(tree, &format!("{path}/{name}"), depth + 1));
    names.len() + below.sum::<usize>()
}

/// Everything that a person might do with the disk.
fn use_it(bytes: Vec<u8>) {
    let Ok(mut system) = mount(Memory::new(bytes), true) else { return };
    let _looked = during(&mut system, |tree| Ok(look(tree, "", 0)));
    let _changed = during(&mut system, |tree| {
        let file = tree.open(ROOT_HANDLE, "a/new", O_CREAT | O_RDWR | 0o644, &ROOT)?;
        tree.write(file, 0, false, &[1; 200_000], &ROOT)?;
        tree.unlink(ROOT_HANDLE, "a/file3", false, &ROOT)
    });
    let _removed = during(&mut system, |tree| {
        tree.unlink(ROOT_HANDLE, "a/b/large", false, &ROOT)?;
        tree.unlink(ROOT_HANDLE, "a/b/zeroes", false, &ROOT)?;
        tree.unlink(ROOT_HANDLE, "a/b", true, &ROOT)
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bits_are_errors(flips in prop::collection::vec((any::<prop::sample::Index>(), 0..BLOCK * 8), 1..40)) {
        thread_local! { static SOUND: Vec<u8> = sound(); }
        let mut bytes = SOUND.with(Clone::clone);
        let used: Vec<usize> = (0..SIZE / BLOCK)
            .filter(|block| bytes[block * BLOCK..][..BLOCK].iter().any(|&byte| byte != 0))
            .collect();
        for (block, bit) in flips {
            bytes[used[block.index(used.len())] * BLOCK + bit / 8] ^= 1 << (bit % 8);
        }
        use_it(bytes);
    }
}

#[test]
fn a_disk_cut_short_is_refused_or_read_as_far_as_it_goes() {
    let sound = sound();
    for length in [0, 1, BLOCK, 200 * BLOCK, 256 * BLOCK, 300 * BLOCK, SIZE / 2, SIZE - BLOCK] {
        let refused = mount(Memory::new(sound[..length].to_vec()), true).map(|_| ());
        assert!(matches!(refused, Err(Error { errno: EIO | ENOENT })), "{length}: {refused:?}");
    }
}

#[test]
fn without_a_sound_header_there_is_no_file_system() {
    let mut bytes = sound();
    for header in 0..256 {
        bytes[header * BLOCK + 100] ^= 1;
    }
    assert_eq!(mount(Memory::new(bytes), true).map(|_| ()), Err(Error::new(ENOENT)));
}

/// Sealed well: only a malicious hand makes this.
#[test]
fn directories_in_a_circle_come_to_an_end() {
    let memory = Memory::new(sound());
    let mut system = mount(memory.clone(), true).expect("it is sound");
    let linked = system.tx(|tx| {
        let a = tx.find_node(TreePtr::root(), "a")?;
        let b = tx.find_node(a.ptr(), "b")?;
        tx.link_node(b.ptr(), "up", a.ptr())?;
        tx.link_node(a.ptr(), "self", a.ptr())?;
        tx.link_node(b.ptr(), "root", TreePtr::<Node>::root())
    });
    linked.expect("RedoxFS does not look");
    let names = during(&mut system, |tree| {
        for path in ["a/b/up/b", "a/self/b", "a/b/root/a"] {
            assert_eq!(tree.open(ROOT_HANDLE, path, O_RDONLY, &ROOT), Err(Error::new(EIO)));
        }
        Ok(look(tree, "", 0))
    });
    assert!(names.is_ok_and(|names| names >= 64));
    use_it(memory.0.take());
}

#[test]
fn a_new_file_system_does_not_find_the_old_ones_headers() {
    let memory = Memory::new(sound());
    filed::store::make(memory.clone(), 0, 0).expect("there is room");
    let mut system = mount(memory, true).expect("it is new");
    assert_eq!(during(&mut system, |tree| Ok(look(tree, "", 0))), Ok(0));
}
