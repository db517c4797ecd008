//! A partition of the image as a file of its own.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use super::table::Place;

/// A partition.
pub(super) struct Part {
    file: File,
    place: Place,
    at: u64,
}

impl Part {
    pub(super) fn new(file: &File, place: Place) -> io::Result<Self> {
        Ok(Self { file: file.try_clone()?, place, at: 0 })
    }

    /// Bytes of it.
    pub(super) fn size(&self) -> u64 {
        self.place.size
    }

    /// Makes it zeroes where it is not.
    pub(super) fn erase(&mut self) -> io::Result<()> {
        let mut piece = vec![0; 1 << 16];
        let mut at = 0;
        while at < self.place.size {
            self.seek(SeekFrom::Start(at))?;
            let count = self.read(&mut piece)?;
            if count == 0 {
                break;
            }
            if piece[..count].iter().any(|byte| *byte != 0) {
                self.seek(SeekFrom::Start(at))?;
                self.write_all(&vec![0; count])?;
            }
            at += count as u64;
        }
        Ok(())
    }

    fn clip(&self, length: usize) -> usize {
        usize::try_from(self.place.size.saturating_sub(self.at)).map_or(length, |r| r.min(length))
    }
}

impl Read for Part {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let length = self.clip(into.len());
        let read = self.file.read_at(&mut into[..length], self.place.start + self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Write for Part {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        let length = self.clip(from.len());
        let written = self.file.write_at(&from[..length], self.place.start + self.at)?;
        self.at += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Part {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let moved = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.place.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = moved.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
