//! A volume in memory, read by `fatfs` itself afterwards; and damaged ones.

use std::cell::RefCell;
use std::io::{self, Cursor, Read};
use std::rc::Rc;

use fatd::disk::Backing;
use fatd::tree::{ROOT_HANDLE, Tree};
use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};
use proptest::prelude::*;
use syscall::error::{EACCES, EBUSY, EEXIST, EISDIR, ENOENT, ENOSPC, ENOTDIR, ENOTEMPTY, Error};
use syscall::flag::{O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC};

#[derive(Clone)]
struct Memory(Rc<RefCell<Vec<u8>>>);

impl Backing for Memory {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        into.copy_from_slice(&self.0.borrow()[offset as usize..][..into.len()]);
        Ok(())
    }

    fn write(&mut self, offset: u64, from: &[u8]) -> io::Result<()> {
        self.0.borrow_mut()[offset as usize..][..from.len()].copy_from_slice(from);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn size(&self) -> u64 {
        self.0.borrow().len() as u64
    }
}

fn fresh(size: usize) -> Memory {
    let mut bytes = Cursor::new(vec![0; size]);
    fatfs::format_volume(&mut bytes, FormatVolumeOptions::new()).expect("there is room");
    Memory(Rc::new(RefCell::new(bytes.into_inner())))
}

const NEW: usize = O_CREAT | O_RDWR | 0o644;

fn error<T>(errno: i32) -> Result<T, Error> {
    Err(Error::new(errno))
}

#[test]
fn files_and_directories_are_there_for_others() {
    let memory = fresh(4 << 20);
    let mut tree = Tree::new(memory.clone(), false).expect("it is sound");
    let steps = |tree: &mut Tree<Memory>| {
        tree.open(ROOT_HANDLE, "Folder", O_CREAT | O_DIRECTORY | 0o755, 0)?;
        let file = tree.open(ROOT_HANDLE, "folder/A long name.txt", NEW, 0)?;
        tree.write(file, 0, false, b"hello")?;
        Ok::<usize, Error>(file)
    };
    let file = steps(&mut tree).expect("there is room");
    tree.write(file, 10_000, false, b"far").expect("there is room");
    tree.write(file, 0, true, b"end").expect("there is room");
    assert_eq!(tree.size(file), Ok(10_006));
    tree.truncate(file, 10_003).expect("it can be cut");
    assert_eq!(
        tree.open(ROOT_HANDLE, "FOLDER/a LONG name.TXT", O_CREAT | O_EXCL, 0),
        error(EEXIST)
    );
    assert_eq!(tree.open(ROOT_HANDLE, "Folder", O_RDWR, 0), error(EISDIR));
    assert_eq!(tree.open(ROOT_HANDLE, "none/x", O_RDONLY, 0), error(ENOENT));
    assert_eq!(tree.open(file, "/Folder/A long name.txt/x", O_RDONLY, 0), error(ENOTDIR));
    assert_eq!(tree.open(ROOT_HANDLE, "other", NEW, 1000), error(EACCES));
    assert_eq!(tree.unlink(ROOT_HANDLE, "Folder/A long name.txt", false, 0), error(EBUSY));
    tree.rename(file, "moved", 0).expect("it can be moved");
    tree.close(file);
    assert_eq!(tree.list(ROOT_HANDLE).map(|listed| listed.len()), Ok(2));
    tree.unmount().expect("it can be written");
    let bytes = memory.0.borrow().clone();
    let system = FileSystem::new(Cursor::new(bytes), FsOptions::new()).expect("it is sound");
    let mut found = Vec::new();
    let file = system.root_dir().open_file("moved");
    file.expect("it is there").read_to_end(&mut found).expect("it can be read");
    let mut expected = vec![0; 10_003];
    expected[..5].copy_from_slice(b"hello");
    expected[10_000..].copy_from_slice(b"far");
    assert!(found == expected);
    assert!(system.root_dir().open_dir("Folder").is_ok());
}

#[test]
fn a_full_volume_refuses_and_loses_nothing() {
    let memory = fresh(1 << 20);
    let mut tree = Tree::new(memory, false).expect("it is sound");
    let kept = tree.open(ROOT_HANDLE, "kept", NEW, 0).expect("there is room");
    tree.write(kept, 0, false, &[7; 10_000]).expect("there is room");
    let large = tree.open(ROOT_HANDLE, "large", NEW, 0).expect("there is room");
    let mut done = 0;
    let full = loop {
        match tree.write(large, done, false, &[9; 30_000]) {
            Ok(count) => done += count as u64,
            Err(error) => break error,
        }
    };
    assert_eq!(full, Error::new(ENOSPC));
    assert!(done > 500_000);
    let mut bytes = vec![0; 10_000];
    assert_eq!(tree.read(kept, 0, &mut bytes), Ok(10_000));
    assert!(bytes.iter().all(|&byte| byte == 7));
    tree.close(large);
    tree.unlink(ROOT_HANDLE, "large", false, 0).expect("it is there");
    tree.write(kept, 10_000, false, &[7; 100_000]).expect("there is room again");
}

#[test]
fn directories_go_when_they_are_empty() {
    let mut tree = Tree::new(fresh(1 << 20), false).expect("it is sound");
    let folder = tree.open(ROOT_HANDLE, "d", O_CREAT | O_DIRECTORY, 0).expect("there is room");
    let file = tree.open(folder, "f", NEW, 0).expect("there is room");
    tree.close(file);
    tree.close(folder);
    assert_eq!(tree.unlink(ROOT_HANDLE, "d", true, 0), error(ENOTEMPTY));
    assert_eq!(tree.unlink(ROOT_HANDLE, "d", false, 0), error(EISDIR));
    tree.unlink(ROOT_HANDLE, "d/f", false, 0).expect("it is there");
    tree.unlink(ROOT_HANDLE, "d", true, 0).expect("it is empty");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Damage gives errors, and every request ends.
    #[test]
    fn flipped_bits_end(flips in prop::collection::vec((0..48 * 1024_usize, 0..8_u8), 1..30)) {
        let memory = fresh(1 << 20);
        let mut tree = Tree::new(memory.clone(), false).expect("it is sound");
        for name in ["a", "b", "c"] {
            let file = tree.open(ROOT_HANDLE, name, NEW, 0).expect("there is room");
            tree.write(file, 0, false, &[1; 20_000]).expect("there is room");
        }
        tree.unmount().expect("it can be written");
        flips.iter().for_each(|(at, bit)| memory.0.borrow_mut()[*at] ^= 1 << bit);
        let Ok(mut tree) = Tree::new(memory, false) else { return Ok(()) };
        let _listed = tree.list(ROOT_HANDLE);
        for name in ["a", "b", "c", "new"] {
            tree.begin(20_000);
            let Ok(file) = tree.open(ROOT_HANDLE, name, NEW | O_TRUNC, 0) else { continue };
            let _written = tree.write(file, 5000, false, &[2; 20_000]);
            let _read = tree.read(file, 0, &mut [0; 20_000]);
            tree.close(file);
            let _removed = tree.unlink(ROOT_HANDLE, name, false, 0);
        }
    }
}
