//! Mapped files: what clients store to their pages is the file's.

use std::cell::RefCell;
use std::rc::Rc;

use filed::budget::Budget;
use filed::store::{Backing, Store};
use filed::tree::{Caller, ROOT_HANDLE, State, Tree};
use redoxfs::{FileSystem, Transaction, TreePtr};
use syscall::error::{EACCES, ENODEV, ENXIO, Error, Result};
use syscall::flag::{MapFlags, O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR, O_WRONLY};

#[derive(Clone)]
struct Memory(Rc<RefCell<Vec<u8>>>);

impl Backing for Memory {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<()> {
        into.copy_from_slice(&self.0.borrow()[offset as usize..][..into.len()]);
        Ok(())
    }

    fn write(&mut self, offset: u64, from: &[u8]) -> Result<()> {
        self.0.borrow_mut()[offset as usize..][..from.len()].copy_from_slice(from);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn size(&mut self) -> Result<u64> {
        Ok(self.0.borrow().len() as u64)
    }
}

const ROOT: Caller = Caller { uid: 0, gid: 0, now: syscall::TimeSpec { tv_sec: 0, tv_nsec: 0 } };
const SHARED: MapFlags = MapFlags::MAP_SHARED;

struct Disk {
    system: FileSystem<Store<Memory>>,
    state: State,
}

impl Disk {
    fn new() -> Self {
        let memory = Memory(Rc::new(RefCell::new(vec![0; 24 << 20])));
        let system = FileSystem::create(Store::new(memory), None, 0, 0).expect("there is room");
        let state = State::new(Budget::new(system.allocator()), (0, 0));
        Self { system, state }
    }

    /// One transaction of the daemon.
    fn during<T>(
        &mut self,
        act: impl FnOnce(&mut Tree<'_, '_, Store<Memory>>) -> Result<T>,
    ) -> Result<T> {
        self.state.begin(Budget::new(self.system.allocator()), (0, 0));
        let disk = self.system.disk.clone();
        self.system.tx(|tx| {
            let mut tree = Tree::new(tx, &mut self.state, disk);
            tree.close_waiting();
            let done = act(&mut tree)?;
            tree.write_out_all()?;
            Ok(done)
        })
    }

    /// What is on the disk.
    fn on_disk(&mut self, name: &str) -> Vec<u8> {
        let read = |tx: &mut Transaction<'_, Store<Memory>>| {
            let node = tx.find_node(TreePtr::root(), name)?;
            let mut bytes = vec![0; node.data().size() as usize];
            tx.read_node_inner(&node, 0, &mut bytes)?;
            Ok(bytes)
        };
        self.system.tx(read).expect("it is there")
    }
}

/// As a client does it.
fn store(address: usize, bytes: &[u8]) {
    // SAFETY: the tree has said that so many bytes are mapped there.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), address as *mut u8, bytes.len()) };
}

fn load(address: usize, length: usize) -> Vec<u8> {
    // SAFETY: as above.
    unsafe { std::slice::from_raw_parts(address as *const u8, length) }.to_vec()
}

#[test]
fn what_is_stored_is_read_and_synced() {
    let mut disk = Disk::new();
    let (file, address) = disk
        .during(|tree| {
            let file = tree.open(ROOT_HANDLE, "f", O_RDWR | O_CREAT | 0o644, &ROOT)?;
            tree.write(file, 0, false, &[1; 300_000], &ROOT)?;
            let address = tree.map(file, 4096, 200_000, SHARED)?;
            store(address + 140_000, b"stored");
            let mut bytes = [0; 8];
            tree.read(file, 144_095, &mut bytes)?;
            assert_eq!(&bytes, b"\x01stored\x01");
            tree.write(file, 144_096, false, b"over", &ROOT)?;
            assert_eq!(load(address + 140_000, 6), b"overed");
            Ok((file, address))
        })
        .expect("there is room");
    store(address + 150_000, b"later");
    assert_eq!(&disk.on_disk("f")[144_096..144_102], b"overed");
    assert!(disk.during(|tree| tree.wants_sync()).expect("there is room"), "there is a change");
    assert_eq!(&disk.on_disk("f")[154_096..154_101], b"later");
    store(address, b"last");
    disk.during(|tree| {
        tree.close(file);
        Ok(())
    })
    .expect("there is room");
    assert_eq!(&disk.on_disk("f")[4095..4101], b"\x01last\x01");
}

#[test]
fn nothing_behind_the_end_becomes_the_files() {
    let mut disk = Disk::new();
    disk.during(|tree| {
        let file = tree.open(ROOT_HANDLE, "f", O_RDWR | O_CREAT | 0o644, &ROOT)?;
        tree.write(file, 0, false, b"short", &ROOT)?;
        let address = tree.map(file, 0, 4096, SHARED)?;
        assert_eq!(tree.map(file, 0, 8192, SHARED), Err(Error::new(ENXIO)));
        store(address + 5, b"behind");
        tree.truncate(file, 6000, &ROOT)?;
        assert_eq!(tree.map(file, 4096, 4096, SHARED), Ok(address + 4096), "it has grown");
        assert_eq!(load(address, 12), b"short\0\0\0\0\0\0\0");
        assert_eq!(load(address + 4096, 2000), [0; 2000]);
        store(address + 4, b"T!");
        tree.truncate(file, 2, &ROOT)?;
        tree.truncate(file, 6, &ROOT)?;
        assert_eq!(load(address, 6), b"sh\0\0\0\0");
        tree.close(file);
        Ok(())
    })
    .expect("there is room");
    assert_eq!(disk.on_disk("f"), b"sh\0\0\0\0");
}

#[test]
fn what_cannot_be_mapped_says_so() {
    let mut disk = Disk::new();
    disk.during(|tree| {
        let flags = O_WRONLY | O_CREAT | 0o644;
        let unread = tree.open(ROOT_HANDLE, "f", flags, &ROOT)?;
        assert_eq!(tree.map(unread, 0, 4096, SHARED), Err(Error::new(EACCES)));
        let folder = tree.open(ROOT_HANDLE, "", O_RDONLY | O_DIRECTORY, &ROOT)?;
        assert_eq!(tree.map(folder, 0, 4096, SHARED), Err(Error::new(ENODEV)));
        let file = tree.open(ROOT_HANDLE, "f", O_RDWR, &ROOT)?;
        assert_eq!(tree.map(file, u64::MAX - 4095, 4096, SHARED), Err(Error::new(ENXIO)));
        assert_eq!(tree.map(file, 0, 4096, SHARED), Err(Error::new(ENXIO)), "it is empty");
        Ok(())
    })
    .expect("there is room");
}
