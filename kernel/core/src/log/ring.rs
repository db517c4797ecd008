//! The memory that lines are kept in, and reading from it.

use super::line::{LINE_MAX, Level, Line};
use alloc::boxed::Box;
use alloc::vec;
use core::ops::Range;

/// The newest lines.
#[derive(Debug)]
pub struct Log {
    bytes: Box<[u8]>,
    /// Position of the oldest byte still kept: always the start of a line.
    start: u64,
    /// Position after the newest byte.
    end: u64,
    /// Lines above this level are not kept.
    pub level: Level,
    /// Lines above this level are kept but not shown on the console.
    pub console_level: Level,
}

/// What a reader got.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Bytes copied; 0 when there is nothing newer yet.
    pub count: usize,
    /// Where to go on.
    pub next: u64,
    /// Bytes that were gone before they could be read.
    pub missed: u64,
}

impl Log {
    /// A log of `capacity` bytes, or of four of the longest lines if that is more.
    pub fn new(capacity: usize) -> Self {
        Self {
            bytes: vec![0; capacity.max(4 * (LINE_MAX + 1))].into_boxed_slice(),
            start: 0,
            end: 0,
            level: Level::Debug,
            console_level: Level::Info,
        }
    }

    /// Keeps a line. Returns where it now is if the console should show it.
    pub fn write(&mut self, line: &Line<'_>) -> Option<Range<u64>> {
        if line.level > self.level {
            return None;
        }
        let from = self.end;
        line.render(&mut |c| {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                self.push(byte);
            }
        });
        // A message longer than the whole log has pushed out its own first lines.
        let range = from.max(self.start)..self.end;
        (line.level <= self.console_level && !range.is_empty()).then_some(range)
    }

    /// The position of the oldest line.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// The position that the next line will have.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Copies what is kept from `position` on. A reader that fell behind goes on at the oldest
    /// line; one that is ahead of everything gets nothing.
    pub fn read(&self, position: u64, into: &mut [u8]) -> Piece {
        let from = position.max(self.start);
        let available = usize::try_from(self.end.saturating_sub(from)).unwrap_or(usize::MAX);
        let count = available.min(into.len());
        for (position, byte) in (from..self.end).zip(&mut into[..count]) {
            *byte = self.bytes[self.index(position)];
        }
        Piece { count, next: from + count as u64, missed: from - position }
    }

    fn push(&mut self, byte: u8) {
        if self.end - self.start == self.bytes.len() as u64 {
            self.drop_oldest_line();
        }
        let index = self.index(self.end);
        self.bytes[index] = byte;
        self.end += 1;
    }

    /// There is one that is complete: the log holds four of the longest.
    fn drop_oldest_line(&mut self) {
        while self.start < self.end {
            let byte = self.bytes[self.index(self.start)];
            self.start += 1;
            if byte == b'\n' {
                break;
            }
        }
    }

    fn index(&self, position: u64) -> usize {
        (position % self.bytes.len() as u64) as usize
    }
}
