//! Large things, which the stories in QEMU have no room for.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{Duration, Instant};

use filed::budget::Budget;
use filed::store::{Backing, Store, mount};
use filed::tree::{Caller, ROOT_HANDLE, State, Tree};
use redoxfs::{BLOCK_SIZE, FileSystem};
use syscall::error::{EACCES, ENOSPC, EPERM, EWOULDBLOCK, Error, Result};
use syscall::flag::{O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR};

/// A disk that takes memory only for blocks that were written.
#[derive(Clone)]
struct Sparse {
    blocks: Rc<RefCell<std::collections::BTreeMap<u64, Vec<u8>>>>,
    size: u64,
}

impl Sparse {
    fn new(size: u64) -> Self {
        Self { blocks: Rc::default(), size }
    }
}

impl Backing for Sparse {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<()> {
        let blocks = self.blocks.borrow();
        for (at, into) in (offset / BLOCK_SIZE..).zip(into.chunks_mut(BLOCK_SIZE as usize)) {
            match blocks.get(&at) {
                Some(block) => into.copy_from_slice(&block[..into.len()]),
                None => into.fill(0),
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u64, from: &[u8]) -> Result<()> {
        let mut blocks = self.blocks.borrow_mut();
        for (at, from) in (offset / BLOCK_SIZE..).zip(from.chunks(BLOCK_SIZE as usize)) {
            blocks.insert(at, from.to_vec());
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    fn size(&mut self) -> Result<u64> {
        Ok(self.size)
    }
}

const ROOT: Caller = Caller { uid: 0, gid: 0, now: syscall::TimeSpec { tv_sec: 0, tv_nsec: 0 } };

/// A byte of noise, which cannot be compressed (the finalizer of SplitMix64).
fn noise_at(at: usize) -> u8 {
    let mut noise = (at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    noise = (noise ^ (noise >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    noise = (noise ^ (noise >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (noise >> 24) as u8
}

struct Disk {
    system: FileSystem<Store<Sparse>>,
    state: State,
}

impl Disk {
    fn new(size: u64) -> Self {
        let disk = Sparse::new(size);
        FileSystem::create(Store::new(disk.clone()), None, 0, 0).expect("there is room");
        let system = mount(disk, true).expect("it is sound");
        let state = State::new(Budget::new(system.allocator()), (0, 0));
        Self { system, state }
    }

    /// One request, in as many transactions as it takes, as the daemon serves it.
    fn serve<T>(
        &mut self,
        mut act: impl FnMut(&mut Tree<'_, '_, Store<Sparse>>) -> Result<T>,
    ) -> Result<T> {
        loop {
            let allocator = self.system.allocator();
            self.state.begin(Budget::new(allocator), (0, allocator.free()));
            let mut done = Err(Error::new(EWOULDBLOCK));
            let state = &mut self.state;
            let disk = self.system.disk.clone();
            let outcome = self.system.tx(|tx| {
                let mut tree = Tree::new(tx, state, disk);
                done = act(&mut tree);
                if tree.state().is_broken { Err(Error::new(ENOSPC)) } else { tree.write_out_all() }
            });
            if outcome.is_err() {
                self.state.cache.clear();
            }
            if !matches!(done, Err(Error { errno: EWOULDBLOCK })) {
                return done;
            }
        }
    }
}

#[test]
fn a_directory_holds_100_000_names() {
    const NAMES: u32 = 100_000;
    /// Half a minute on a quiet machine, without optimisation.
    const LIMIT: Duration = Duration::from_secs(300);
    let mut disk = Disk::new(2 << 30);
    let begun = Instant::now();
    let mut number = 0;
    let made = disk.serve(|tree| {
        while number < NAMES {
            let name = format!("name{number}");
            let flags = O_CREAT | O_EXCL | O_RDWR | 0o644;
            let file = tree.open(ROOT_HANDLE, &name, flags, &ROOT)?;
            tree.close(file);
            number += 1;
        }
        Ok(())
    });
    made.expect("there is room");
    let after_making = begun.elapsed();
    let found = disk.serve(|tree| {
        for number in (0..NAMES).rev() {
            let file = tree.open(ROOT_HANDLE, &format!("name{number}"), O_RDONLY, &ROOT)?;
            tree.close(file);
        }
        Ok(())
    });
    found.expect("all are there");
    let after_finding = begun.elapsed();
    let listed = disk.serve(|tree| {
        let root = tree.open(ROOT_HANDLE, "", O_RDONLY | O_DIRECTORY, &ROOT)?;
        let (mut names, mut after) = (BTreeSet::new(), 0);
        loop {
            let mut some = 0;
            tree.list(root, after, |listed| {
                assert!(names.insert(listed.name), "it is listed once");
                (some, after) = (some + 1, listed.number);
                some < 100
            })?;
            if some == 0 {
                return Ok(names.len());
            }
        }
    });
    assert_eq!(listed, Ok(NAMES as usize));
    let after_listing = begun.elapsed();
    let mut number = 0;
    let removed = disk.serve(|tree| {
        while number < NAMES {
            tree.unlink(ROOT_HANDLE, &format!("name{number}"), false, &ROOT)?;
            number += 1;
        }
        let root = tree.open(ROOT_HANDLE, "", O_RDONLY | O_DIRECTORY, &ROOT)?;
        let mut left = 0;
        tree.list(root, 0, |_| {
            left += 1;
            true
        })?;
        Ok(left)
    });
    assert_eq!(removed, Ok(0));
    println!(
        "made {after_making:?}, found {:?}, listed {:?}, removed {:?}",
        after_finding - after_making,
        after_listing - after_finding,
        begun.elapsed() - after_listing
    );
    assert!(begun.elapsed() < LIMIT, "{:?}", begun.elapsed());
}

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    let mut disk = Disk::new(16 << 20);
    let write = |disk: &mut Disk, name: &str, fill: u8, length: usize| {
        let (mut file, mut done) = (None, 0);
        let bytes = vec![fill; 50_000];
        let written = disk.serve(|tree| {
            let flags = O_CREAT | O_RDWR | 0o644;
            let handle = match file {
                Some(handle) => handle,
                None => *file.insert(tree.open(ROOT_HANDLE, name, flags, &ROOT)?),
            };
            while done < length {
                let noise: Vec<u8> =
                    (done..).zip(&bytes).map(|(at, fill)| noise_at(at) ^ fill).collect();
                done += tree.write(handle, done as u64, false, &noise, &ROOT)?;
            }
            Ok(())
        });
        let closed = disk.serve(|tree| {
            file.into_iter().for_each(|handle| tree.close(handle));
            Ok(())
        });
        closed.expect("closing needs no room");
        written.map_err(|error| (error.errno, done))
    };
    write(&mut disk, "kept", 3, 1_000_000).expect("there is room");
    let (errno, written) = write(&mut disk, "large", 5, 100_000_000).expect_err("it is too much");
    assert_eq!(errno, ENOSPC);
    assert!(written > 4_000_000, "most of the disk can be used: {written}");
    let read = |disk: &mut Disk, name: &str, fill: u8, length: usize| {
        disk.serve(|tree| {
            let file = tree.open(ROOT_HANDLE, name, O_RDONLY, &ROOT)?;
            let mut bytes = vec![0; 50_000];
            for at in (0..length).step_by(bytes.len()) {
                assert_eq!(tree.read(file, at as u64, &mut bytes)?, bytes.len());
                let is_same = |(at, byte): (usize, &u8)| *byte == noise_at(at) ^ fill;
                assert!((at..).zip(&bytes).all(is_same), "{name} at {at}");
            }
            tree.close(file);
            Ok(())
        })
    };
    read(&mut disk, "kept", 3, 1_000_000).expect("it is kept");
    read(&mut disk, "large", 5, written).expect("what was taken is there");
    disk.serve(|tree| tree.unlink(ROOT_HANDLE, "large", false, &ROOT)).expect("there is room to");
    write(&mut disk, "again", 9, 2_000_000).expect("there is room again");
    read(&mut disk, "kept", 3, 1_000_000).expect("it is still kept");
    // What is on the disk itself, without anything that is in memory.
    let again = mount(disk.system.disk.backing().clone(), true).expect("it is sound");
    disk.state = State::new(Budget::new(again.allocator()), (0, 0));
    disk.system = again;
    read(&mut disk, "again", 9, 2_000_000).expect("it was committed");
    read(&mut disk, "kept", 3, 1_000_000).expect("it was committed");
}

#[test]
fn a_file_of_5_gib_is_mostly_a_hole() {
    const FAR: u64 = 5 << 30;
    let mut disk = Disk::new(64 << 20);
    let done = disk.serve(|tree| {
        let file = tree.open(ROOT_HANDLE, "sparse", O_CREAT | O_RDWR | 0o644, &ROOT)?;
        tree.write(file, FAR, false, b"far", &ROOT)?;
        assert_eq!(tree.size(file)?, FAR + 3);
        let mut bytes = [1; 8];
        assert_eq!(tree.read(file, FAR - 5, &mut bytes)?, 8);
        assert_eq!(&bytes, b"\0\0\0\0\0far");
        tree.truncate(file, FAR / 2, &ROOT)?;
        tree.truncate(file, FAR + 3, &ROOT)?;
        assert_eq!(tree.read(file, FAR - 5, &mut bytes)?, 8);
        assert_eq!(bytes, [0; 8]);
        tree.unlink(ROOT_HANDLE, "sparse", false, &ROOT)?;
        tree.close(file);
        Ok(())
    });
    done.expect("there is room");
}

#[test]
fn others_may_what_modes_and_owners_say() {
    let mut disk = Disk::new(16 << 20);
    let other = Caller { uid: 7, gid: 8, ..ROOT };
    let friend = Caller { uid: 9, gid: 8, ..ROOT };
    let done = disk.serve(|tree| {
        let secret = tree.open(ROOT_HANDLE, "secret", O_CREAT | O_RDWR | 0o600, &ROOT)?;
        assert_eq!(tree.open(ROOT_HANDLE, "secret", O_RDONLY, &other), Err(Error::new(EACCES)));
        assert_eq!(tree.set_mode(secret, 0o644, &other), Err(Error::new(EPERM)));
        assert_eq!(tree.set_owner(secret, 7, 8, &other), Err(Error::new(EPERM)));
        assert_eq!(tree.unlink(ROOT_HANDLE, "secret", false, &other), Err(Error::new(EACCES)));
        let new = tree.open(ROOT_HANDLE, "new", O_CREAT | O_RDWR | 0o600, &other);
        assert_eq!(new, Err(Error::new(EACCES)));
        tree.set_owner(secret, 7, 8, &ROOT)?;
        tree.set_mode(secret, 0o640, &other)?;
        tree.open(ROOT_HANDLE, "secret", O_RDONLY, &friend)?;
        assert_eq!(tree.open(ROOT_HANDLE, "secret", O_RDWR, &friend), Err(Error::new(EACCES)));
        let folder = O_CREAT | O_DIRECTORY;
        let open = tree.open(ROOT_HANDLE, "open", folder | 0o777, &ROOT)?;
        tree.set_mode(open, 0o1777, &ROOT)?;
        tree.open(ROOT_HANDLE, "open/mine", O_CREAT | O_RDWR | 0o666, &other)?;
        let stolen = tree.unlink(ROOT_HANDLE, "open/mine", false, &friend);
        assert_eq!(stolen, Err(Error::new(EPERM)));
        tree.open(ROOT_HANDLE, "closed", folder | 0o700, &ROOT)?;
        tree.open(ROOT_HANDLE, "closed/x", O_CREAT | O_RDWR | 0o666, &ROOT)?;
        assert_eq!(tree.open(ROOT_HANDLE, "closed/x", O_RDONLY, &other), Err(Error::new(EACCES)));
        Ok(())
    });
    done.expect("there is room");
}

#[test]
fn a_listing_goes_on_while_its_names_are_removed() {
    let mut disk = Disk::new(512 << 20);
    let left = disk.serve(|tree| {
        let file = tree.open(ROOT_HANDLE, "0", O_CREAT | O_RDWR | 0o644, &ROOT)?;
        for number in 1..200 {
            tree.link(file, &number.to_string(), &ROOT)?;
        }
        let root = tree.open(ROOT_HANDLE, "", O_RDONLY | O_DIRECTORY, &ROOT)?;
        let (mut after, mut removed) = (0, 0);
        loop {
            let mut some = Vec::new();
            tree.list(root, after, |listed| {
                after = listed.number;
                some.push(listed.name);
                some.len() < 7
            })?;
            if some.is_empty() {
                return Ok(removed);
            }
            for name in some {
                tree.unlink(ROOT_HANDLE, &name, false, &ROOT)?;
                removed += 1;
            }
        }
    });
    assert_eq!(left, Ok(200), "names of one file are names each");
}

#[test]
fn a_file_without_names_lives_while_it_is_open_and_then_frees_its_room() {
    let mut disk = Disk::new(64 << 20);
    let before = disk.system.allocator().free();
    let noise: Vec<u8> = (0..500_000).map(noise_at).collect();
    let file = disk.serve(|tree| {
        let file = tree.open(ROOT_HANDLE, "f", O_CREAT | O_RDWR | 0o644, &ROOT)?;
        tree.write(file, 0, false, &noise, &ROOT)?;
        Ok(file)
    });
    let file = file.expect("there is room");
    let unlinked = disk.serve(|tree| tree.unlink(ROOT_HANDLE, "f", false, &ROOT));
    unlinked.expect("it is there");
    let read = disk.serve(|tree| {
        assert_eq!(tree.stat(file)?.st_nlink, 0);
        let mut bytes = vec![0; noise.len()];
        tree.read(file, 0, &mut bytes)?;
        Ok(bytes == noise)
    });
    assert_eq!(read, Ok(true));
    let during = disk.system.allocator().free();
    let closed = disk.serve(|tree| {
        tree.close(file);
        Ok(())
    });
    closed.expect("closing needs no room");
    let after = disk.system.allocator().free();
    assert!(during + 100 < before && before <= after + 20, "{before} {during} {after}");
}
