//! Reading directories: `opendir`, `readdir`.

use super::open::open_path;
use super::path;
use crate::errno::{self, Answer};
use crate::sys::file::{self, File};
use crate::sys::{Error, Result, error};
use abi::number::O_CLOEXEC;
use abi::redox::data::Stat;
use abi::redox::flag::{MODE_DIR, MODE_TYPE, O_DIRECTORY, O_RDONLY, StdFsCallKind};
use alloc::alloc::{Layout, alloc_zeroed};
use alloc::boxed::Box;
use core::ffi::c_char;
use core::ptr::null_mut;
use libc::{c_int, c_long, dirent};
use logic::dirent::{self as records, HEADER, Malformed, Record};

/// Room for records.
const ROOM: usize = 4096;

/// An open directory; C calls it `DIR`.
struct Directory {
    file: File,
    records: [u8; ROOM],
    /// Records in use, and how far they have been read.
    length: usize,
    at: usize,
    /// Where the scheme goes on.
    cookie: u64,
    /// What `readdir` gives out.
    entry: dirent,
}

impl Directory {
    fn open(file: File, stat: &Stat) -> Result<*mut Self> {
        if stat.st_mode & MODE_TYPE != MODE_DIR {
            return error(libc::ENOTDIR);
        }
        // SAFETY: the layout has a size. Zero is a valid value for every field but the file.
        let directory = unsafe { alloc_zeroed(Layout::new::<Self>()) }.cast::<Self>();
        if directory.is_null() {
            return error(libc::ENOMEM);
        }
        // SAFETY: fresh, zeroed memory; the field held no file that would have to be closed.
        unsafe { (&raw mut (*directory).file).write(file) };
        Ok(directory)
    }

    /// The next entry; `None` at the end.
    fn next(&mut self) -> Result<Option<&mut dirent>> {
        if self.at >= self.length && !self.refill()? {
            return Ok(None);
        }
        let record = match records::next(&self.records[self.at..self.length]) {
            Ok(Some(record)) => record,
            // The scheme's fault, not the caller's.
            Ok(None) | Err(Malformed) => return error(libc::EIO),
        };
        self.at += record.length;
        self.cookie = record.cookie;
        fill(&mut self.entry, &record);
        Ok(Some(&mut self.entry))
    }

    /// Asks the scheme for more; false at the end.
    fn refill(&mut self) -> Result<bool> {
        let kind = StdFsCallKind::Getdents;
        let fd = self.file.fd();
        let length = file::operation(fd, kind, &mut self.records, self.cookie, HEADER as u64)?;
        self.at = 0;
        self.length = length.min(ROOM);
        Ok(length != 0)
    }

    fn seek(&mut self, cookie: u64) {
        self.cookie = cookie;
        self.length = 0;
        self.at = 0;
    }
}

/// Calls `each` with the name of every entry of a directory.
pub(crate) fn for_each(path: &[u8], mut each: impl FnMut(&[u8])) -> Result<()> {
    let file = File::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)?;
    let (mut room, mut cookie) = ([0; ROOM], 0);
    loop {
        let kind = StdFsCallKind::Getdents;
        let length = file::operation(file.fd(), kind, &mut room, cookie, HEADER as u64)?;
        if length == 0 {
            return Ok(());
        }
        let mut at = 0;
        while at < length.min(ROOM) {
            let Ok(Some(record)) = records::next(&room[at..length.min(ROOM)]) else {
                return error(libc::EIO);
            };
            each(record.name);
            at += record.length;
            cookie = record.cookie;
        }
    }
}

/// The C form of a record.
fn fill(entry: &mut dirent, record: &Record<'_>) {
    entry.d_ino = record.inode;
    entry.d_off = record.cookie as i64;
    entry.d_reclen = size_of::<dirent>() as u16;
    entry.d_type = record.kind;
    for (place, &letter) in entry.d_name.iter_mut().zip(record.name.iter().chain(&[0])) {
        *place = letter as c_char;
    }
}

fn opened(directory: Result<*mut Directory>) -> *mut Directory {
    directory.unwrap_or_else(|error| {
        errno::set(error.errno);
        null_mut()
    })
}

/// Opens a directory.
#[unsafe(no_mangle)]
unsafe extern "C" fn opendir(path: *const c_char) -> *mut Directory {
    // SAFETY: the caller's string is NUL-terminated.
    opened(unsafe { path::from_c(path) }.with(|path| {
        let file = open_path(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)?;
        let stat = file.stat()?;
        Directory::open(file, &stat)
    }))
}

/// Makes a directory of a descriptor, which is taken over.
#[unsafe(no_mangle)]
extern "C" fn fdopendir(fd: c_int) -> *mut Directory {
    let open = || {
        let fd = file::number(fd)?;
        let stat = file::stat(fd)?;
        if stat.st_mode & MODE_TYPE != MODE_DIR {
            // The descriptor stays the caller's.
            return error(libc::ENOTDIR);
        }
        Directory::open(File::adopt(fd), &stat)
    };
    opened(open())
}

/// The next entry, valid until the next call; null at the end and on an error.
#[unsafe(no_mangle)]
unsafe extern "C" fn readdir(directory: *mut Directory) -> *mut dirent {
    // SAFETY: the caller's directory came from `opendir` and is used by one thread at a time.
    match unsafe { (*directory).next() } {
        Ok(entry) => entry.map_or(null_mut(), |entry| entry),
        Err(error) => {
            errno::set(error.errno);
            null_mut()
        }
    }
}

/// The next entry in the caller's memory. Returns an error number; `result` is null at the end.
#[unsafe(no_mangle)]
unsafe extern "C" fn readdir_r(
    directory: *mut Directory,
    place: *mut dirent,
    result: *mut *mut dirent,
) -> c_int {
    // SAFETY: the same contract as `readdir`; the caller gave places for the answers.
    unsafe {
        match (*directory).next() {
            Ok(Some(entry)) => {
                place.write(*entry);
                result.write(place);
            }
            Ok(None) => result.write(null_mut()),
            Err(Error { errno, .. }) => return errno,
        }
    }
    0
}

/// Closes a directory.
#[unsafe(no_mangle)]
unsafe extern "C" fn closedir(directory: *mut Directory) -> c_int {
    // SAFETY: the caller's directory came from `opendir`, and is not used any more. Taking it out
    // of its box frees the memory and leaves the file to be closed here.
    let Directory { file, .. } = *unsafe { Box::from_raw(directory) };
    file::close(file.into_fd()).zero()
}

/// The descriptor of a directory.
#[unsafe(no_mangle)]
unsafe extern "C" fn dirfd(directory: *mut Directory) -> c_int {
    // SAFETY: the caller's directory came from `opendir`.
    unsafe { (*directory).file.fd() as c_int }
}

/// Back to the beginning.
#[unsafe(no_mangle)]
unsafe extern "C" fn rewinddir(directory: *mut Directory) {
    // SAFETY: the caller's directory came from `opendir`.
    unsafe { (*directory).seek(0) }
}

/// Where the next entry is.
#[unsafe(no_mangle)]
unsafe extern "C" fn telldir(directory: *mut Directory) -> c_long {
    // SAFETY: the caller's directory came from `opendir`.
    unsafe { (*directory).cookie as c_long }
}

/// Back to where `telldir` was.
#[unsafe(no_mangle)]
unsafe extern "C" fn seekdir(directory: *mut Directory, place: c_long) {
    // SAFETY: the caller's directory came from `opendir`.
    unsafe { (*directory).seek(place as u64) }
}
