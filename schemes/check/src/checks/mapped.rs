//! Long mappings of files, for `ram:` and `file:`: pages come when they are touched, and those that
//! the file does not have are a `SIGBUS`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::ram::{leave, room};
use super::{Checked, ok, same};

const PAGE: usize = 4096;

/// A mapping of this check's own.
struct Mapping {
    start: *mut u8,
    pages: usize,
}

impl Mapping {
    fn new(file: &File, pages: usize, flags: i32) -> Result<Self, String> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let (null, fd) = (std::ptr::null_mut(), file.as_raw_fd());
        // SAFETY: a new mapping where the kernel likes.
        let start = unsafe { libc::mmap(null, pages * PAGE, protection, flags, fd, 0) };
        if start == libc::MAP_FAILED {
            return Err(format!("mmap: {}", std::io::Error::last_os_error()));
        }
        Ok(Self { start: start.cast(), pages })
    }

    fn address(&self, page: usize) -> *mut u8 {
        assert!(page < self.pages);
        // SAFETY: the page is inside the mapping.
        unsafe { self.start.add(page * PAGE) }
    }

    fn load(&self, page: usize) -> u8 {
        // SAFETY: the page is mapped, and bytes have no wrong values.
        unsafe { self.address(page).read_volatile() }
    }

    fn store(&self, page: usize, byte: u8) {
        // SAFETY: as in `load`, and the mapping is writable.
        unsafe { self.address(page).write_volatile(byte) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nothing refers to the mapping any more.
        unsafe { libc::munmap(self.start.cast(), self.pages * PAGE) };
    }
}

fn create(path: &Path) -> Result<File, String> {
    ok("create", OpenOptions::new().read(true).write(true).create_new(true).open(path))
}

/// KiB of memory that this process has.
fn resident() -> Result<i64, String> {
    // SAFETY: zero is a value of this structure of integers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the structure is ours.
    same("getrusage", unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) }, 0)?;
    Ok(usage.ru_maxrss)
}

/// A mapping of 32 MiB takes the memory of what is touched.
pub(super) fn long() -> Checked {
    const PAGES: usize = 8192;
    let room = room("long")?;
    let file = create(&room.join("file"))?;
    ok("grow", file.set_len((PAGES * PAGE) as u64))?;
    for page in (0..PAGES).step_by(1000) {
        ok("write", file.write_all_at(&[page as u8 + 1], (page * PAGE) as u64))?;
    }
    let before = resident()?;
    let shared = Mapping::new(&file, PAGES, libc::MAP_SHARED)?;
    let private = Mapping::new(&file, PAGES, libc::MAP_PRIVATE)?;
    for page in (0..PAGES).step_by(1000).rev() {
        same("shared", shared.load(page), page as u8 + 1)?;
        same("private", private.load(page), page as u8 + 1)?;
        private.store(page, 99);
        shared.store(page + 1, 7);
        same("between", private.load(page + 2), 0)?;
    }
    let grown = resident()? - before;
    same("memory taken", grown < 4 << 10, true)?;
    let mut byte = [0];
    ok("read", file.read_exact_at(&mut byte, (5001 * PAGE) as u64))?;
    same("stored", byte, [7])?;
    ok("read", file.read_exact_at(&mut byte, (5000 * PAGE) as u64))?;
    same("kept", byte, [5000_usize as u8 + 1])?;
    leave(room)
}

/// A mapping may be longer than its file, which may grow into it.
pub(super) fn beyond() -> Checked {
    let room = room("beyond")?;
    let file = create(&room.join("file"))?;
    let map = Mapping::new(&file, 4000, libc::MAP_SHARED)?;
    same("empty", signal_of_touching(&map, 0)?, libc::SIGBUS)?;
    ok("write", file.write_all_at(b"123", 2 * PAGE as u64))?;
    same("first", (map.load(0), map.load(2)), (0, b'1'))?;
    same("behind the end", signal_of_touching(&map, 3)?, libc::SIGBUS)?;
    ok("grow", file.set_len(1000 * PAGE as u64))?;
    same("grown", (map.load(3), map.load(999)), (0, 0))?;
    same("behind the end", signal_of_touching(&map, 1000)?, libc::SIGBUS)?;
    leave(room)
}

/// The signal that ends a child that touches a page; 0 when none does.
fn signal_of_touching(map: &Mapping, page: usize) -> Result<i32, String> {
    // SAFETY: the child only reads memory and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        map.load(page);
        // SAFETY: ends the process.
        unsafe { libc::_exit(0) };
    }
    let mut status = 0;
    // SAFETY: the status is ours.
    same("waitpid", unsafe { libc::waitpid(child, &mut status, 0) }, child)?;
    Ok(if libc::WIFSIGNALED(status) { libc::WTERMSIG(status) } else { 0 })
}

/// Calls fetch pages as the program itself does.
pub(super) fn by_calls() -> Checked {
    let room = room("by_calls")?;
    let path = room.join("file");
    let file = create(&path)?;
    ok("write", file.write_all_at(b"here", 100 * PAGE as u64))?;
    let map = Mapping::new(&file, 200, libc::MAP_PRIVATE)?;
    // SAFETY: four bytes of the mapping.
    let bytes = unsafe { std::slice::from_raw_parts(map.address(100), 4) };
    let mut copy = create(&room.join("copy"))?;
    ok("write from it", copy.write_all(bytes))?;
    // SAFETY: four other bytes of the mapping, which nobody else uses.
    let into = unsafe { std::slice::from_raw_parts_mut(map.address(50), 4) };
    ok("read into it", copy.read_exact_at(into, 0))?;
    same("read", &*into, b"here")?;
    // SAFETY: the range is no slice's; nothing is read from it but by the call.
    let none = unsafe { libc::write(copy.as_raw_fd(), map.address(150).cast(), 1) };
    same("behind the end", none, -1)?;
    same("why", std::io::Error::last_os_error().raw_os_error(), Some(libc::EIO))?;
    leave(room)
}

/// Private pages that are given up are the file's again.
pub(super) fn given_up() -> Checked {
    let room = room("given_up")?;
    let file = create(&room.join("file"))?;
    ok("write", file.write_all_at(&[1; 64 * PAGE], 0))?;
    let map = Mapping::new(&file, 64, libc::MAP_PRIVATE)?;
    map.store(40, 2);
    // SAFETY: what was stored there is not needed.
    let done = unsafe { libc::madvise(map.address(32).cast(), 16 * PAGE, libc::MADV_DONTNEED) };
    same("madvise", done, 0)?;
    same("again", map.load(40), 1)?;
    leave(room)
}
