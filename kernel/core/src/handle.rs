//! `proc:PID/fd` — open files: descriptors, and the descriptions they name.
//!
//! A descriptor is a process's own small number. It names a description, which several
//! descriptors may share after `dup` or `fork`: they share the position and the flags.

use crate::error::{EBADF, EMFILE, Errno};
use crate::scheme::SchemeId;
use abi::FD_MAX;
use abi::redox::flag::{O_ACCMODE, O_NONBLOCK, O_RDONLY, O_WRONLY};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// The index of a description in the kernel's table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DescriptionId(pub usize);

/// An open file.
pub struct Description {
    /// Who serves it.
    pub scheme: SchemeId,
    /// Which of the scheme's files.
    pub number: usize,
    /// `O_*`.
    pub flags: usize,
    /// Where the next read or write is, for positioned files.
    pub offset: u64,
    /// Whether reads and writes have a position.
    pub is_positioned: bool,
    /// Descriptors and others that name it.
    pub references: u32,
    /// Whether its scheme hears when a process closes a descriptor for it.
    pub tells_detach: bool,
    /// How long reading and writing wait, in nanoseconds; 0 is for ever.
    pub timeouts: [u64; 2],
    /// What it was opened as.
    pub path: String,
}

/// What a call that waits for a file does with it: which of its timeouts counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// `F_READ_TIMEOUT`
    Read,
    /// `F_WRITE_TIMEOUT`
    Write,
}

impl Description {
    /// Whether it may be read. A descriptor opened with neither mode is good for everything:
    /// schemes give such ones out through `dup`.
    #[inline]
    pub fn is_readable(&self) -> bool {
        self.flags & O_ACCMODE != O_WRONLY
    }

    /// Whether it may be written.
    #[inline]
    pub fn is_writable(&self) -> bool {
        self.flags & O_ACCMODE != O_RDONLY
    }

    /// Whether calls must not park.
    #[inline]
    pub fn is_nonblocking(&self) -> bool {
        self.flags & O_NONBLOCK != 0
    }
}

/// A descriptor.
#[derive(Clone, Copy, Debug)]
pub struct Fd {
    /// What it names.
    pub description: DescriptionId,
    /// Closed by `exec`.
    pub is_close_on_exec: bool,
}

/// Descriptors in a piece of the table: a page or so, whatever the highest one is. A table in one
/// piece would ask the kernel's heap for a megabyte at once.
const PIECE: usize = 128;

type Piece = Box<[Option<Fd>; PIECE]>;

/// A process's descriptors.
#[derive(Clone)]
pub struct FileTable {
    pieces: Vec<Option<Piece>>,
    /// New descriptors are below it. Those that are there stay.
    limit: usize,
    /// No slot below this one is free.
    first_free: usize,
}

impl Default for FileTable {
    fn default() -> Self {
        Self { pieces: Vec::new(), limit: FD_MAX, first_free: 0 }
    }
}

impl FileTable {
    #[inline]
    fn slot(&self, fd: usize) -> Option<Fd> {
        self.pieces.get(fd / PIECE)?.as_ref()?[fd % PIECE]
    }

    #[inline]
    fn slot_mut(&mut self, fd: usize) -> Option<&mut Option<Fd>> {
        Some(&mut self.pieces.get_mut(fd / PIECE)?.as_mut()?[fd % PIECE])
    }

    /// What `fd` names. `EBADF`.
    pub fn get(&self, fd: usize) -> Result<Fd, Errno> {
        self.slot(fd).ok_or(Errno(EBADF))
    }

    /// Changes close-on-exec. `EBADF`.
    pub fn set_close_on_exec(&mut self, fd: usize, value: bool) -> Result<(), Errno> {
        let slot = self.slot_mut(fd).and_then(Option::as_mut).ok_or(Errno(EBADF))?;
        slot.is_close_on_exec = value;
        Ok(())
    }

    /// The lowest free descriptor at or above `from`. `EMFILE`.
    pub fn find_free(&self, from: usize) -> Result<usize, Errno> {
        let start = from.max(self.first_free);
        let mut fd = start;
        while self.slot(fd).is_some() {
            fd += 1;
        }
        if fd < self.limit { Ok(fd) } else { Err(Errno(EMFILE)) }
    }

    /// Whether `fd` may be used at all.
    pub fn is_in_range(&self, fd: usize) -> bool {
        fd < self.limit
    }

    /// How many descriptors there may be.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Sets how many there may be. False when there never can be so many.
    pub fn set_limit(&mut self, limit: usize) -> bool {
        let is_possible = limit <= FD_MAX;
        if is_possible {
            self.limit = limit;
        }
        is_possible
    }

    /// Puts `value` at `fd`, returning what was there.
    pub fn put(&mut self, fd: usize, value: Fd) -> Option<Fd> {
        let index = fd / PIECE;
        if index >= self.pieces.len() {
            self.pieces.resize(index + 1, None);
        }
        let piece = self.pieces[index].get_or_insert_with(|| Box::new([None; PIECE]));
        let old = piece[fd % PIECE].replace(value);
        while self.slot(self.first_free).is_some() {
            self.first_free += 1;
        }
        old
    }

    /// Empties `fd`. `EBADF`.
    pub fn take(&mut self, fd: usize) -> Result<Fd, Errno> {
        let taken = self.slot_mut(fd).and_then(Option::take).ok_or(Errno(EBADF))?;
        self.first_free = self.first_free.min(fd);
        Ok(taken)
    }

    /// About what a copy takes of the kernel's heap.
    pub fn heap_bytes(&self) -> usize {
        let pieces = self.pieces.iter().flatten().count();
        pieces * size_of::<[Option<Fd>; PIECE]>() + self.pieces.len() * size_of::<Option<Piece>>()
    }

    /// Every open descriptor.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Fd)> + '_ {
        let pieces = self.pieces.iter().enumerate();
        let pieces = pieces.filter_map(|(index, piece)| Some((index * PIECE, piece.as_deref()?)));
        pieces.flat_map(|(first, piece)| {
            let slots = piece.iter().enumerate();
            slots.filter_map(move |(place, slot)| slot.map(|slot| (first + place, slot)))
        })
    }

    /// Has every descriptor that names one description name another. Returns how many there were.
    pub fn replace(&mut self, old: DescriptionId, new: DescriptionId) -> u32 {
        let slots = self.pieces.iter_mut().flatten().flat_map(|piece| piece.iter_mut().flatten());
        let mut count = 0;
        for fd in slots.filter(|fd| fd.description == old) {
            fd.description = new;
            count += 1;
        }
        count
    }

    /// The first open descriptor that `wanted` picks.
    pub fn find(&self, wanted: impl Fn(&Fd) -> bool) -> Option<usize> {
        self.iter().find(|(_, fd)| wanted(fd)).map(|(number, _)| number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FD: Fd = Fd { description: DescriptionId(7), is_close_on_exec: false };

    #[test]
    fn the_lowest_free_descriptor_is_given_out() {
        let mut table = FileTable::default();
        for want in 0..5 {
            let fd = table.find_free(0).expect("there is room");
            assert_eq!(fd, want);
            table.put(fd, FD);
        }
        table.take(3).expect("3 is open");
        table.take(1).expect("1 is open");
        assert_eq!(table.find_free(0), Ok(1));
        assert_eq!(table.find_free(2), Ok(3));
        assert_eq!(table.find_free(4), Ok(5));
    }

    #[test]
    fn far_apart_descriptors_are_found_in_order() {
        let mut table = FileTable::default();
        for fd in [FD_MAX - 1, 3, PIECE, 40 * PIECE + 1] {
            assert!(table.put(fd, FD).is_none());
            assert!(table.put(fd, FD).is_some());
        }
        let found: Vec<usize> = table.iter().map(|(fd, _)| fd).collect();
        assert_eq!(found, [3, PIECE, 40 * PIECE + 1, FD_MAX - 1]);
        assert_eq!(table.find_free(FD_MAX - 1), Err(Errno(EMFILE)));
        assert_eq!(table.get(PIECE + 1).err(), Some(Errno(EBADF)));
    }

    #[test]
    fn a_closed_descriptor_is_bad() {
        let mut table = FileTable::default();
        table.put(0, FD);
        assert!(table.take(0).is_ok());
        assert_eq!(table.take(0).err(), Some(Errno(EBADF)));
        assert_eq!(table.get(usize::MAX).err(), Some(Errno(EBADF)));
    }
}
