//! Pipes: bytes in at one end, out at the other.

use crate::handle::DescriptionId;
use crate::scheme::Packets;
use crate::table::Table;
use crate::task::QueueId;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;

/// The most bytes a pipe holds.
pub const CAPACITY: usize = 64 << 10;
/// Writes of up to this many bytes go in as one piece.
pub const ATOMIC: usize = 4096;

/// One pipe.
pub struct Pipe {
    /// Grows from one page to [`CAPACITY`]; always a power of two.
    bytes: Vec<u8>,
    start: usize,
    /// Bytes waiting.
    pub length: usize,
    /// Open read ends.
    pub readers: usize,
    /// Open write ends.
    pub writers: usize,
    /// Readers wait here.
    pub readable: QueueId,
    /// Writers wait here.
    pub writable: QueueId,
    /// Whether it was shut down: no bytes go in, and those that are in still come out.
    pub is_shut: bool,
    /// Whether its ends come and go; then nobody gets one end from the other.
    pub is_fifo: bool,
    /// Whether it stays when it has no ends.
    pub is_kept: bool,
    /// Whether nobody has written since the last reader came: then no writers are no end yet.
    pub awaits_writer: bool,
    /// Files that travel with the bytes, first to last.
    passed: VecDeque<Passed>,
}

/// Files that arrive with one byte.
struct Passed {
    /// How many bytes are before that one.
    before: usize,
    files: Vec<DescriptionId>,
}

/// Most groups of files that a pipe holds.
const PASSED_MAX: usize = 256;

impl Pipe {
    /// An empty pipe without ends.
    pub fn new(readable: QueueId, writable: QueueId) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            length: 0,
            readers: 0,
            writers: 0,
            readable,
            writable,
            is_shut: false,
            is_fifo: false,
            is_kept: false,
            awaits_writer: false,
            passed: VecDeque::new(),
        }
    }

    /// Whether what is written can never be read.
    pub fn is_broken(&self) -> bool {
        self.readers == 0 || self.is_shut
    }

    /// Whether nothing more will come.
    pub fn has_ended(&self) -> bool {
        self.writers == 0 || self.is_shut
    }

    /// Whether files travel with the bytes.
    pub fn has_files(&self) -> bool {
        !self.passed.is_empty()
    }

    /// The files that travel with the bytes.
    pub fn files(&self) -> impl Iterator<Item = DescriptionId> + '_ {
        self.passed.iter().flat_map(|passed| passed.files.iter().copied())
    }

    /// Whether more files may.
    pub fn has_room_for_files(&self) -> bool {
        self.passed.len() < PASSED_MAX
    }

    /// Has files travel with the next byte that is written.
    pub fn pass(&mut self, files: Vec<DescriptionId>) {
        self.passed.push_back(Passed { before: self.length, files });
    }

    /// How many files come with the next byte, and how many bytes there are before those with which
    /// others come.
    pub fn next_files(&self) -> (usize, usize) {
        let mut passed = self.passed.iter();
        match passed.next() {
            None => (0, self.length),
            Some(Passed { before: 0, files }) => {
                (files.len(), passed.next().map_or(self.length, |next| next.before))
            }
            Some(Passed { before, .. }) => (0, *before),
        }
    }

    /// Takes the files of the next `count` bytes, or of all.
    pub fn take_files(&mut self, count: usize) -> Vec<DescriptionId> {
        let mut taken = Vec::new();
        while self.passed.front().is_some_and(|next| next.before < count) {
            taken.extend(self.passed.pop_front().into_iter().flat_map(|next| next.files));
        }
        self.passed.iter_mut().for_each(|rest| rest.before -= count);
        taken
    }

    /// Bytes it still takes.
    pub fn room(&self) -> usize {
        CAPACITY - self.length
    }

    /// The next contiguous piece to read, at most `most` bytes, `skip` bytes from the start.
    pub fn filled(&self, skip: usize, most: usize) -> &[u8] {
        let most = most.min(self.length - skip);
        if most == 0 {
            return &[];
        }
        let start = (self.start + skip) & (self.bytes.len() - 1);
        &self.bytes[start..self.bytes.len().min(start + most)]
    }

    /// Takes `count` bytes off the start.
    pub fn consume(&mut self, count: usize) {
        self.length -= count;
        self.start = match self.length {
            0 => 0,
            _ => (self.start + count) & (self.bytes.len() - 1),
        };
    }

    /// Drops all bytes, and the memory they were in.
    pub fn clear(&mut self) {
        (self.bytes, self.start, self.length) = (Vec::new(), 0, 0);
    }

    /// The next contiguous free piece, at most `most` bytes, `skip` bytes behind the end. The
    /// caller has reserved room.
    pub fn free(&mut self, skip: usize, most: usize) -> &mut [u8] {
        let size = self.bytes.len();
        let start = (self.start + self.length + skip) & (size - 1);
        &mut self.bytes[start..size.min(start + most)]
    }

    /// Adds `count` bytes that were written into [`Pipe::free`].
    pub fn produce(&mut self, count: usize) {
        self.length += count;
    }

    /// Makes the buffer large enough for `more` bytes.
    #[inline]
    pub fn reserve(&mut self, more: usize) {
        if self.length + more > self.bytes.len() {
            self.grow(more);
        }
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        let wanted = (self.length + more).next_power_of_two().clamp(4096, CAPACITY);
        let mut larger = vec![0; wanted];
        let mut done = 0;
        while done < self.length {
            let piece = self.filled(done, self.length - done);
            larger[done..done + piece.len()].copy_from_slice(piece);
            done += piece.len();
        }
        self.bytes = larger;
        self.start = 0;
    }
}

/// All pipes.
#[derive(Default)]
pub struct Pipes {
    /// By number.
    pub table: Table<Pipe>,
    /// Two-way pipes.
    pub pairs: Table<Pair>,
    /// Two-way pipes of packets.
    pub packets: Table<Packets>,
}

/// A two-way pipe.
pub struct Pair {
    /// Each end reads its own and writes the other's.
    pub pipes: [usize; 2],
    /// What else there is to say of the ends.
    pub ends: Ends,
}

/// The ends of a two-way pipe, of bytes or of packets.
#[derive(Default)]
pub struct Ends {
    /// What they are called.
    pub names: [Vec<u8>; 2],
    /// Process, user and group of who has made, or connected, each.
    pub ids: [[u32; 3]; 2],
    /// How often one of them travels through another pipe.
    pub travels: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::WaitQueues;
    use alloc::collections::VecDeque;
    use proptest::prelude::*;

    fn put(pipe: &mut Pipe, bytes: &[u8]) {
        pipe.reserve(bytes.len());
        let mut done = 0;
        while done < bytes.len() {
            let piece = pipe.free(done, bytes.len() - done);
            piece.copy_from_slice(&bytes[done..done + piece.len()]);
            done += piece.len();
        }
        pipe.produce(bytes.len());
    }

    fn get(pipe: &mut Pipe, count: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while out.len() < count.min(pipe.length) {
            out.extend_from_slice(pipe.filled(out.len(), count - out.len()));
        }
        pipe.consume(out.len());
        out
    }

    proptest! {
        #[test]
        fn bytes_come_out_as_they_went_in(steps in prop::collection::vec((any::<bool>(), 0usize..9_000), 1..60)) {
            let mut queues = WaitQueues::default();
            let mut pipe = Pipe::new(queues.create(), queues.create());
            let mut model = VecDeque::new();
            let mut next = 0u8;
            for (writes, size) in steps {
                if writes {
                    let count = size.min(pipe.room());
                    let bytes: Vec<u8> = (0..count).map(|_| { next = next.wrapping_add(1); next }).collect();
                    put(&mut pipe, &bytes);
                    model.extend(bytes);
                } else {
                    let want: Vec<u8> = model.drain(..size.min(model.len())).collect();
                    prop_assert_eq!(get(&mut pipe, size), want);
                }
                prop_assert_eq!(pipe.length, model.len());
            }
        }
    }
}
