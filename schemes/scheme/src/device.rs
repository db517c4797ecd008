//! Character devices: one file, no directory, every byte handled at once.
//!
//! Keeps no table: a handle's number says which device it is and what it was opened for, so there
//! is nothing to run out of, and nothing to clean up when a client dies.

use syscall::error::{EBADF, EEXIST, EINVAL, ENOENT, ENOTDIR, Error, Result};
use syscall::flag::{
    EventFlags, MODE_CHR, O_ACCMODE, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_WRONLY,
};

/// One or more devices of the same kind, told apart by their index.
pub trait Devices {
    /// The scheme names; a device's index is its place here.
    const NAMES: &'static [&'static str];

    /// Fills the buffer, or its beginning.
    fn read(&mut self, index: usize, buffer: &mut [u8]) -> Result<usize>;

    /// Takes the bytes, or the first of them.
    fn write(&mut self, index: usize, buffer: &[u8]) -> Result<usize>;
}

/// What a handle's number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    /// Which device.
    pub index: usize,
    /// Opened for reading.
    pub read: bool,
    /// Opened for writing.
    pub write: bool,
}

impl Handle {
    /// Where paths of a device start; good for opening only.
    pub fn root(index: usize) -> Self {
        Self { index, read: false, write: false }
    }

    /// The handle's number.
    pub fn number(self) -> usize {
        self.index << 2 | usize::from(self.write) << 1 | usize::from(self.read)
    }

    /// The handle with this number, among so many devices.
    pub fn from_number(number: usize, devices: usize) -> Result<Self> {
        let handle =
            Self { index: number >> 2, read: number & 1 != 0, write: number >> 1 & 1 != 0 };
        if handle.index < devices { Ok(handle) } else { Err(Error::new(EBADF)) }
    }

    /// Opens the device: it has no files and is no directory.
    pub fn open(self, path: &str, flags: usize) -> Result<Self> {
        if !path.trim_matches('/').is_empty() {
            return Err(Error::new(ENOENT));
        }
        if flags & O_CREAT != 0 && flags & O_EXCL != 0 {
            return Err(Error::new(EEXIST));
        }
        if flags & O_DIRECTORY != 0 {
            return Err(Error::new(ENOTDIR));
        }
        let access = flags & O_ACCMODE;
        Ok(Self { index: self.index, read: access & O_RDONLY != 0, write: access & O_WRONLY != 0 })
    }

    /// Another handle like this one. There is nothing else to ask a device for.
    pub fn dup(self, what: &[u8]) -> Result<Self> {
        if what.is_empty() { Ok(self) } else { Err(Error::new(EINVAL)) }
    }

    /// The handle, if it was opened for reading.
    pub fn readable(self) -> Result<Self> {
        if self.read { Ok(self) } else { Err(Error::new(EBADF)) }
    }

    /// The handle, if it was opened for writing.
    pub fn writable(self) -> Result<Self> {
        if self.write { Ok(self) } else { Err(Error::new(EBADF)) }
    }

    /// Of the wanted readiness, what holds now: always all that the handle is open for.
    pub fn ready(self, wanted: EventFlags) -> EventFlags {
        let mut ready = EventFlags::empty();
        ready.set(EventFlags::EVENT_READ, self.read);
        ready.set(EventFlags::EVENT_WRITE, self.write);
        ready & wanted
    }
}

/// Type and permissions of every device: anyone may read and write.
pub const MODE: u16 = MODE_CHR | 0o666;

/// Writes `/scheme/NAME/rest`, as much of it as fits; what `fpath` answers.
pub fn write_path(name: &str, rest: &str, buffer: &mut [u8]) -> usize {
    let separator = if rest.is_empty() { "" } else { "/" };
    let path = format!("/scheme/{name}{separator}{rest}");
    let length = path.len().min(buffer.len());
    buffer[..length].copy_from_slice(&path.as_bytes()[..length]);
    length
}

#[cfg(test)]
mod tests {
    use super::*;
    use syscall::flag::O_RDWR;

    fn errno<T>(result: Result<T>) -> i32 {
        result.err().map_or(0, |error| error.errno)
    }

    #[test]
    fn numbers_and_handles_are_the_same_thing() {
        for number in 0..8 {
            assert_eq!(Handle::from_number(number, 2).map(Handle::number), Ok(number));
        }
        assert_eq!(errno(Handle::from_number(8, 2)), EBADF);
        assert_eq!(errno(Handle::from_number(usize::MAX, 2)), EBADF);
    }

    #[test]
    fn only_what_it_was_opened_for_is_allowed() {
        let root = Handle::root(1);
        let open = |flags| root.open("", flags).expect("the device opens");
        assert_eq!(errno(root.readable()), EBADF);
        assert_eq!(errno(open(O_WRONLY).readable()), EBADF);
        assert_eq!(errno(open(O_RDONLY).writable()), EBADF);
        assert!(open(O_RDWR).readable().and_then(Handle::writable).is_ok());
    }

    #[test]
    fn there_is_nothing_below_a_device() {
        let root = Handle::root(0);
        assert_eq!(errno(root.open("x", O_RDONLY)), ENOENT);
        assert_eq!(errno(root.open("", O_RDONLY | O_DIRECTORY)), ENOTDIR);
        assert_eq!(errno(root.open("", O_RDWR | O_CREAT | O_EXCL)), EEXIST);
        assert_eq!(root.open("/", O_RDWR | O_CREAT), root.open("", O_RDWR));
        assert_eq!(errno(root.dup(b"termios")), EINVAL);
    }

    #[test]
    fn it_is_always_ready() {
        let both = EventFlags::EVENT_READ | EventFlags::EVENT_WRITE;
        let ready = |flags| Handle::root(0).open("", flags).map(|handle| handle.ready(both));
        assert_eq!(ready(O_RDWR), Ok(both));
        assert_eq!(ready(O_RDONLY), Ok(EventFlags::EVENT_READ));
    }

    #[test]
    fn a_short_buffer_gets_a_short_path() {
        let mut buffer = [b'.'; 16];
        assert_eq!(write_path("zero", "", &mut buffer), 12);
        assert_eq!(&buffer, b"/scheme/zero....");
        assert_eq!(write_path("ram", "a/b", &mut buffer), 15);
        assert_eq!(&buffer, b"/scheme/ram/a/b.");
        assert_eq!(write_path("zero", "", &mut buffer[..3]), 3);
    }
}
