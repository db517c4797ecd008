//! `null:` and `zero:` — the endless sink and the endless source of zero bytes.
//!
//! Keeps nothing at all: a handle's number says which device it is and what it was opened for, so
//! there is no table, nothing to run out of, and nothing to clean up when a client dies.

use syscall::error::{EBADF, EEXIST, EINVAL, ENOENT, ENOTDIR, Error, Result};
use syscall::flag::{
    EventFlags, MODE_CHR, O_ACCMODE, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_WRONLY,
};

/// The two devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// `null:` is at its end at once.
    Null,
    /// `zero:` never ends.
    Zero,
}

impl Device {
    /// The scheme's name.
    pub fn name(self) -> &'static str {
        match self {
            Device::Null => "null",
            Device::Zero => "zero",
        }
    }
}

/// What a handle's number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    /// Which device.
    pub device: Device,
    /// Opened for reading.
    pub read: bool,
    /// Opened for writing.
    pub write: bool,
}

const ZERO: usize = 1;
const READ: usize = 2;
const WRITE: usize = 4;

impl Handle {
    /// Where paths of a device start; good for opening only.
    pub fn root(device: Device) -> Self {
        Self { device, read: false, write: false }
    }

    /// The handle's number.
    pub fn number(self) -> usize {
        let bit = |set, bit| if set { bit } else { 0 };
        bit(self.device == Device::Zero, ZERO) | bit(self.read, READ) | bit(self.write, WRITE)
    }

    /// The handle with this number.
    pub fn from_number(number: usize) -> Result<Self> {
        if number > (ZERO | READ | WRITE) {
            return Err(Error::new(EBADF));
        }
        let device = if number & ZERO == 0 { Device::Null } else { Device::Zero };
        Ok(Self { device, read: number & READ != 0, write: number & WRITE != 0 })
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
        Ok(Self {
            device: self.device,
            read: access & O_RDONLY != 0,
            write: access & O_WRONLY != 0,
        })
    }

    /// Another handle like this one. There is nothing else to ask a device for.
    pub fn dup(self, what: &[u8]) -> Result<Self> {
        if what.is_empty() { Ok(self) } else { Err(Error::new(EINVAL)) }
    }

    /// Nothing from `null:`, zeros from `zero:`.
    pub fn read(self, buffer: &mut [u8]) -> Result<usize> {
        if !self.read {
            return Err(Error::new(EBADF));
        }
        match self.device {
            Device::Null => Ok(0),
            Device::Zero => {
                buffer.fill(0);
                Ok(buffer.len())
            }
        }
    }

    /// Swallows everything.
    pub fn write(self, buffer: &[u8]) -> Result<usize> {
        if self.write { Ok(buffer.len()) } else { Err(Error::new(EBADF)) }
    }

    /// Of the wanted readiness, what holds now: always all that the handle is open for.
    pub fn ready(self, wanted: EventFlags) -> EventFlags {
        let mut ready = EventFlags::empty();
        ready.set(EventFlags::EVENT_READ, self.read);
        ready.set(EventFlags::EVENT_WRITE, self.write);
        ready & wanted
    }

    /// Type and permissions, as `fstat` gives them.
    pub fn mode(self) -> u16 {
        MODE_CHR | 0o666
    }

    /// The path that opens this device, as much of it as fits.
    pub fn path(self, buffer: &mut [u8]) -> usize {
        let path = format!("/scheme/{}", self.device.name());
        let length = path.len().min(buffer.len());
        buffer[..length].copy_from_slice(&path.as_bytes()[..length]);
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syscall::flag::O_RDWR;

    fn open(device: Device, flags: usize) -> Handle {
        Handle::root(device).open("", flags).expect("the device opens")
    }

    fn errno<T>(result: Result<T>) -> i32 {
        result.err().map_or(0, |error| error.errno)
    }

    #[test]
    fn null_is_empty_and_swallows_everything() {
        let null = open(Device::Null, O_RDWR);
        let mut buffer = *b"kept";
        assert_eq!(null.read(&mut buffer), Ok(0));
        assert_eq!(&buffer, b"kept");
        assert_eq!(null.write(&[1; 1000]), Ok(1000));
    }

    #[test]
    fn zero_fills_the_whole_buffer() {
        let zero = open(Device::Zero, O_RDWR);
        let mut buffer = [7; 300];
        assert_eq!(zero.read(&mut buffer), Ok(300));
        assert_eq!(buffer, [0; 300]);
        assert_eq!(zero.write(b"gone"), Ok(4));
    }

    #[test]
    fn numbers_and_handles_are_the_same_thing() {
        for number in 0..8 {
            assert_eq!(Handle::from_number(number).map(Handle::number), Ok(number));
        }
        assert_eq!(errno(Handle::from_number(8)), EBADF);
        assert_eq!(errno(Handle::from_number(usize::MAX)), EBADF);
    }

    #[test]
    fn only_what_it_was_opened_for_is_allowed() {
        assert_eq!(errno(open(Device::Zero, O_WRONLY).read(&mut [0])), EBADF);
        assert_eq!(errno(open(Device::Zero, O_RDONLY).write(&[0])), EBADF);
        assert_eq!(errno(Handle::root(Device::Null).read(&mut [])), EBADF);
    }

    #[test]
    fn there_is_nothing_below_a_device() {
        let root = Handle::root(Device::Null);
        assert_eq!(errno(root.open("x", O_RDONLY)), ENOENT);
        assert_eq!(errno(root.open("", O_RDONLY | O_DIRECTORY)), ENOTDIR);
        assert_eq!(errno(root.open("", O_RDWR | O_CREAT | O_EXCL)), EEXIST);
        assert_eq!(root.open("/", O_RDWR | O_CREAT), Ok(open(Device::Null, O_RDWR)));
        assert_eq!(errno(root.dup(b"termios")), EINVAL);
    }

    #[test]
    fn it_is_always_ready() {
        let both = EventFlags::EVENT_READ | EventFlags::EVENT_WRITE;
        assert_eq!(open(Device::Zero, O_RDWR).ready(both), both);
        assert_eq!(open(Device::Zero, O_RDONLY).ready(both), EventFlags::EVENT_READ);
    }

    #[test]
    fn a_short_buffer_gets_a_short_path() {
        let mut buffer = [b'.'; 16];
        assert_eq!(open(Device::Zero, O_RDONLY).path(&mut buffer), 12);
        assert_eq!(&buffer, b"/scheme/zero....");
        assert_eq!(open(Device::Zero, O_RDONLY).path(&mut buffer[..3]), 3);
    }
}
