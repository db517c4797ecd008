//! Open files.

use super::{Answer, User};
use abi::number::{CHDIR, GETCWD, OPEN, UNLINK};
use abi::redox::data::Stat;
use abi::redox::flag::*;
use abi::redox::number::*;
use abi::{LOWEST_FREE, PATH_MAX};
use kernel_core::error::{EIO, Errno};

/// Bytes of a directory entry before its name (`DirentHeader`).
const ENTRY_HEADER: usize = 19;

impl User {
    /// Opens an absolute path.
    ///
    /// # Errors
    /// As the call.
    pub fn open(&mut self, path: &str, flags: usize) -> Answer {
        self.with(path.as_bytes(), |user, at| user.call(OPEN, [at, path.len(), flags]))
    }

    /// Opens a path inside an open directory.
    ///
    /// # Errors
    /// As the call.
    pub fn open_at(&mut self, directory: usize, path: &str, flags: usize) -> Answer {
        self.with(path.as_bytes(), |user, at| {
            let arguments = [directory, at, path.len(), flags, LOWEST_FREE];
            user.call(SYS_OPENAT_INTO2, arguments)
        })
    }

    /// Closes a descriptor.
    ///
    /// # Errors
    /// As the call.
    pub fn close(&mut self, fd: usize) -> Answer {
        self.call(SYS_CLOSE, [fd])
    }

    /// Reads at most `most` bytes.
    ///
    /// # Errors
    /// As the call.
    pub fn read(&mut self, fd: usize, most: usize) -> Answer<Vec<u8>> {
        self.with_room(most, |user, at| {
            let count = user.call(SYS_READ, [fd, at, most])?;
            assert!(count <= most, "more bytes were read than asked for");
            Ok(user.load(at, count))
        })
    }

    /// Writes bytes; returns how many were taken.
    ///
    /// # Errors
    /// As the call.
    pub fn write(&mut self, fd: usize, bytes: &[u8]) -> Answer {
        self.with(bytes, |user, at| user.call(SYS_WRITE, [fd, at, bytes.len()]))
    }

    /// Another descriptor for the same file, or for what the scheme makes of `what`.
    ///
    /// # Errors
    /// As the call.
    pub fn dup(&mut self, fd: usize, what: &[u8]) -> Answer {
        self.with(what, |user, at| user.call(SYS_DUP_INTO, [fd, at, what.len(), LOWEST_FREE]))
    }

    /// The same at a chosen number.
    ///
    /// # Errors
    /// As the call.
    pub fn dup2(&mut self, fd: usize, wanted: usize) -> Answer {
        self.call(SYS_DUP2, [fd, wanted, 0, 0])
    }

    /// Moves a file's position.
    ///
    /// # Errors
    /// As the call.
    pub fn seek(&mut self, fd: usize, offset: isize, whence: usize) -> Answer {
        self.call(SYS_LSEEK, [fd, offset as usize, whence])
    }

    /// Sets a file's flags.
    ///
    /// # Errors
    /// As the call.
    pub fn set_flags(&mut self, fd: usize, flags: usize) -> Answer {
        self.call(SYS_FCNTL, [fd, F_SETFL, flags])
    }

    /// The mode and size of a file.
    ///
    /// # Errors
    /// As the call.
    pub fn stat(&mut self, fd: usize) -> Answer<Stat> {
        let mut stat = Stat::default();
        let length = stat.len();
        self.with_room(length, |user, at| {
            user.call(SYS_FSTAT, [fd, at, length])?;
            stat.copy_from_slice(&user.load(at, length));
            Ok(stat)
        })
    }

    /// The path of an open file.
    ///
    /// # Errors
    /// As the call.
    pub fn path(&mut self, fd: usize) -> Answer<String> {
        self.with_room(PATH_MAX, |user, at| {
            let length = user.call(SYS_FPATH, [fd, at, PATH_MAX])?;
            Ok(String::from_utf8_lossy(&user.load(at, length)).into_owned())
        })
    }

    /// Removes a name.
    ///
    /// # Errors
    /// As the call.
    pub fn unlink(&mut self, path: &str) -> Answer {
        self.with(path.as_bytes(), |user, at| user.call(UNLINK, [at, path.len(), 0]))
    }

    /// Changes the working directory.
    ///
    /// # Errors
    /// As the call.
    pub fn change_directory(&mut self, path: &str) -> Answer {
        self.with(path.as_bytes(), |user, at| user.call(CHDIR, [at, path.len()]))
    }

    /// The working directory.
    ///
    /// # Errors
    /// As the call.
    pub fn directory(&mut self) -> Answer<String> {
        self.with_room(PATH_MAX, |user, at| {
            let length = user.call(GETCWD, [at, PATH_MAX])?;
            Ok(String::from_utf8_lossy(&user.load(at, length)).into_owned())
        })
    }

    /// Everything in a file, as text.
    ///
    /// # Errors
    /// As opening and reading.
    pub fn read_text(&mut self, path: &str) -> Answer<String> {
        let fd = self.open(path, O_RDONLY)?;
        let mut all = Vec::new();
        let result = loop {
            match self.read(fd, 4096) {
                Ok(piece) if piece.is_empty() => break Ok(()),
                Ok(piece) => all.extend(piece),
                Err(errno) => break Err(errno),
            }
        };
        self.close(fd)?;
        result?;
        String::from_utf8(all).map_err(|_| Errno(EIO))
    }

    /// Writes text to a file that is there.
    ///
    /// # Errors
    /// As opening and writing.
    pub fn write_text(&mut self, path: &str, text: &str) -> Answer {
        let fd = self.open(path, O_WRONLY)?;
        let result = self.write(fd, text.as_bytes());
        self.close(fd)?;
        result
    }

    /// The names in a directory.
    ///
    /// # Errors
    /// As opening and listing.
    pub fn list(&mut self, path: &str) -> Answer<Vec<String>> {
        let fd = self.open(path, O_RDONLY | O_DIRECTORY)?;
        let names = self.list_open(fd);
        self.close(fd)?;
        names
    }

    /// The names in an open directory.
    ///
    /// # Errors
    /// As the call.
    pub fn list_open(&mut self, fd: usize) -> Answer<Vec<String>> {
        let mut names = Vec::new();
        let mut next = 0;
        loop {
            let (piece, after) = self.list_piece(fd, next, 1024)?;
            if piece.is_empty() {
                return Ok(names);
            }
            names.extend(piece);
            next = after;
        }
    }

    /// As many names of an open directory as fit into `most` bytes, from place `start` on, and
    /// the place behind them.
    ///
    /// # Errors
    /// As the call.
    pub fn list_piece(
        &mut self,
        fd: usize,
        start: usize,
        most: usize,
    ) -> Answer<(Vec<String>, usize)> {
        let piece = self.read_entries(fd, start, most)?;
        let (mut names, mut next) = (Vec::new(), start);
        let mut rest = &piece[..];
        while !rest.is_empty() {
            let length = usize::from(u16::from_ne_bytes([rest[16], rest[17]]));
            let name = rest[ENTRY_HEADER..length].split(|byte| *byte == 0).next();
            names.push(String::from_utf8_lossy(name.unwrap_or_default()).into_owned());
            next = u64::from_ne_bytes(rest[8..16].try_into().expect("8 bytes")) as usize;
            rest = &rest[length..];
        }
        Ok((names, next))
    }

    fn read_entries(&mut self, fd: usize, start: usize, most: usize) -> Answer<Vec<u8>> {
        let metadata = [StdFsCallKind::Getdents as usize, start, ENTRY_HEADER];
        let words: Vec<u8> = metadata.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let flags = (CallFlags::STD_FS | CallFlags::READ).bits() | metadata.len();
        self.with(&words, |user, metadata| {
            user.with_room(most, |user, at| {
                let length = user.call(SYS_CALL, [fd, at, most, flags, metadata])?;
                Ok(user.load(at, length))
            })
        })
    }

    /// A pipe: where to read, where to write.
    pub fn pipe(&mut self) -> (usize, usize) {
        let reader = self.open("pipe:", O_RDONLY).expect("a pipe can be made");
        let writer = self.dup(reader, b"write").expect("a pipe has a write end");
        (reader, writer)
    }
}
