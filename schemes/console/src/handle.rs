//! What a handle's number stands for. There is one terminal, so there is no table.

use syscall::error::{EBADF, EEXIST, EINVAL, ENOENT, ENOTDIR, Error, Result};
use syscall::flag::{O_ACCMODE, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_WRONLY};

/// What a handle reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Where paths start.
    Root,
    /// Input and output.
    Terminal,
    /// The settings.
    Settings,
    /// The window size.
    Size,
    /// The foreground group.
    Group,
    /// Discards input when written.
    Flush,
}

const KINDS: [Kind; 6] =
    [Kind::Root, Kind::Terminal, Kind::Settings, Kind::Size, Kind::Group, Kind::Flush];

/// A handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    /// What it reaches.
    pub kind: Kind,
    /// Opened for reading.
    pub read: bool,
    /// Opened for writing.
    pub write: bool,
}

impl Handle {
    /// Where paths start; good for opening only.
    pub const ROOT: Self = Self { kind: Kind::Root, read: false, write: false };

    /// The handle's number.
    pub fn number(self) -> usize {
        (self.kind as usize) << 2 | usize::from(self.write) << 1 | usize::from(self.read)
    }

    /// The handle with this number.
    pub fn from_number(number: usize) -> Result<Self> {
        let kind = *KINDS.get(number >> 2).ok_or(Error::new(EBADF))?;
        Ok(Self { kind, read: number & 1 != 0, write: number >> 1 & 1 != 0 })
    }

    /// Opens the terminal, the only thing there is.
    pub fn open(self, path: &str, flags: usize) -> Result<Self> {
        if self.kind != Kind::Root {
            return Err(Error::new(ENOTDIR));
        }
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
        let (read, write) = (access & O_RDONLY != 0, access & O_WRONLY != 0);
        Ok(Self { kind: Kind::Terminal, read, write })
    }

    /// From the terminal to what belongs to it, by name. Whoever has the terminal open may read
    /// and set all of it, as on other systems.
    pub fn dup(self, name: &[u8]) -> Result<Self> {
        let kind = match (self.kind, name) {
            (_, b"") => return Ok(self),
            (Kind::Terminal, b"termios") => Kind::Settings,
            (Kind::Terminal, b"winsize") => Kind::Size,
            (Kind::Terminal, b"pgrp") => Kind::Group,
            (Kind::Terminal, b"flush") => Kind::Flush,
            _ => return Err(Error::new(EINVAL)),
        };
        Ok(Self { kind, read: true, write: true })
    }

    /// Itself, if it was opened for reading.
    pub fn readable(self) -> Result<Self> {
        if self.read { Ok(self) } else { Err(Error::new(EBADF)) }
    }

    /// Itself, if it was opened for writing.
    pub fn writable(self) -> Result<Self> {
        if self.write { Ok(self) } else { Err(Error::new(EBADF)) }
    }
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
        for number in 0..KINDS.len() << 2 {
            assert_eq!(Handle::from_number(number).map(Handle::number), Ok(number));
        }
        assert_eq!(errno(Handle::from_number(KINDS.len() << 2)), EBADF);
        assert_eq!(errno(Handle::from_number(usize::MAX)), EBADF);
        assert_eq!(Handle::ROOT.number(), 0);
    }

    #[test]
    fn only_the_terminal_has_settings() {
        let terminal = Handle::ROOT.open("", O_RDONLY).expect("the terminal");
        let settings = terminal.dup(b"termios").expect("its settings");
        assert_eq!(settings.kind, Kind::Settings);
        assert!(settings.writable().is_ok());
        assert_eq!(errno(settings.dup(b"termios")), EINVAL);
        assert_eq!(errno(Handle::ROOT.dup(b"pgrp")), EINVAL);
        assert_eq!(errno(terminal.dup(b"nonsense")), EINVAL);
        assert_eq!(errno(terminal.writable()), EBADF);
        assert_eq!(terminal.dup(b""), Ok(terminal));
    }

    #[test]
    fn there_is_nothing_else_to_open() {
        assert_eq!(errno(Handle::ROOT.open("0", O_RDWR)), ENOENT);
        assert_eq!(errno(Handle::ROOT.open("", O_RDWR | O_DIRECTORY)), ENOTDIR);
        let terminal = Handle::ROOT.open("/", O_RDWR).expect("the terminal");
        assert_eq!(errno(terminal.open("", O_RDWR)), ENOTDIR);
    }
}
