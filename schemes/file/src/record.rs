//! The bytes of a record, in memory that is used again.
//!
//! A record is 128 KiB. To give that back to the allocator and to ask for it anew costs more than to
//! fill it: the pages come from the kernel one by one, each of them zeroed. So records have places in
//! an arena, which is never given back. Records that are made one after the other lie one behind the
//! other there, if they can, and are read or written at once ([`joined`], [`joined_mut`]).
//!
//! A record can be lent to whoever writes it to the disk; when it is changed meanwhile, the change
//! goes to a copy.

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice::{from_raw_parts, from_raw_parts_mut};
use std::sync::{Arc, Mutex, PoisonError};

use redoxfs::{BlockAddr, BlockData, BlockMeta, RECORD_SIZE};

/// Bytes of a record.
pub const LENGTH: usize = RECORD_SIZE as usize;

/// The checksum that RedoxFS keeps of a block's bytes, wherever the block is.
pub fn seal(bytes: &[u8]) -> u64 {
    BlockData::new(BlockAddr::null(BlockMeta::default()), bytes).create_ptr().hash()
}

/// A record as it was read, and the checksum of what was read.
#[derive(Debug)]
pub struct Sealed {
    /// The bytes.
    pub record: Record,
    /// What their pointer must say, if they are what was written.
    pub seal: u64,
}

impl Sealed {
    /// Takes the checksum.
    pub fn new(record: Record) -> Self {
        Self { seal: seal(&record), record }
    }
}

/// Places for records, one behind the other.
struct Arena {
    start: NonNull<u8>,
    used: Vec<bool>,
    /// Where to look first: behind the place that was taken last.
    next: usize,
}

// SAFETY: the memory is nobody's but the arena's, for ever.
unsafe impl Send for Arena {}

static ARENA: Mutex<Option<Arena>> = Mutex::new(None);

fn with_arena<R>(act: impl FnOnce(&mut Option<Arena>) -> R) -> R {
    // Whatever has happened to others, the list is right.
    act(&mut ARENA.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Makes an arena for so many records, unless there is one. When it is full, records lie elsewhere.
pub fn reserve(records: usize) {
    with_arena(|arena| {
        arena.get_or_insert_with(|| Arena {
            start: NonNull::from(vec![0; records * LENGTH].leak()).cast(),
            used: vec![false; records],
            next: 0,
        });
    });
}

impl Arena {
    /// Takes so many free places in a row.
    fn take(&mut self, count: usize) -> Option<usize> {
        let all = self.used.len();
        let is_free = |at: &usize| self.used[*at..*at + count].iter().all(|used| !used);
        let last = (all + 1).checked_sub(count)?;
        let place = (self.next.min(last)..last).chain(0..last).find(is_free)?;
        self.used[place..place + count].fill(true);
        self.next = place + count;
        Some(place)
    }

    fn buffer(&self, place: usize) -> Buffer {
        assert!(place < self.used.len(), "outside");
        // SAFETY: the arena is that long.
        Buffer { start: unsafe { self.start.add(place * LENGTH) }, place: Some(place) }
    }
}

/// The memory of a record, which is this value's alone.
#[derive(Debug)]
struct Buffer {
    start: NonNull<u8>,
    /// Its place in the arena, if it is there.
    place: Option<usize>,
}

// SAFETY: it owns the memory.
unsafe impl Send for Buffer {}
// SAFETY: whoever shares it can only read.
unsafe impl Sync for Buffer {}

impl Buffer {
    fn unfilled() -> Self {
        let inside = with_arena(|arena| {
            let arena = arena.as_mut()?;
            arena.take(1).map(|place| arena.buffer(place))
        });
        inside.unwrap_or_else(|| Self {
            start: NonNull::from(vec![0; LENGTH].leak()).cast(),
            place: None,
        })
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the memory is as long, initialised, and nobody can change it meanwhile.
        unsafe { from_raw_parts(self.start.as_ptr(), LENGTH) }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and nobody else can look at it meanwhile.
        unsafe { from_raw_parts_mut(self.start.as_ptr(), LENGTH) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        match self.place {
            Some(place) => with_arena(|arena| {
                if let Some(arena) = arena {
                    arena.used[place] = false;
                }
            }),
            // SAFETY: it was leaked with this length when the buffer was made, and nobody has it.
            None => drop(unsafe { Box::from_raw(std::ptr::from_mut(self.bytes_mut())) }),
        }
    }
}

/// A record's bytes.
#[derive(Debug)]
pub struct Record(Arc<Buffer>);

impl Record {
    /// One that holds anything, to be filled.
    pub fn unfilled() -> Self {
        Self(Arc::new(Buffer::unfilled()))
    }

    /// At most so many of them, at least one, that are [joined](joined_mut).
    pub fn unfilled_run(most: usize) -> Vec<Self> {
        let run = with_arena(|arena| {
            let arena = arena.as_mut()?;
            let (place, count) =
                (1..=most).rev().find_map(|count| Some((arena.take(count)?, count)))?;
            let record = |place| Self(Arc::new(arena.buffer(place)));
            Some((place..place + count).map(record).collect())
        });
        run.unwrap_or_else(|| vec![Self::unfilled()])
    }

    /// One that holds zeroes.
    pub fn zeroed() -> Self {
        let mut record = Self::unfilled();
        record.fill(0);
        record
    }

    /// The same bytes, for somebody who only reads them.
    pub fn lend(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// Whether the other one lies right behind this one.
    pub fn is_before(&self, other: &Self) -> bool {
        let (this, other) = (self.0.place, other.0.place);
        this.zip(other).is_some_and(|(this, other)| this + 1 == other)
    }
}

/// The bytes of records that lie one behind the other; those of the first, if they do not.
pub fn joined(records: &[Record]) -> &[u8] {
    let Some(first) = records.first() else { return &[] };
    if !records.is_sorted_by(Record::is_before) {
        return first;
    }
    // SAFETY: they are neighbours in the arena, all borrowed, and each is initialised.
    unsafe { from_raw_parts(first.0.start.as_ptr(), records.len() * LENGTH) }
}

/// The same to be changed: those of none, if they do not lie so, or are lent.
pub fn joined_mut(records: &mut [Record]) -> &mut [u8] {
    let is_own = records.iter_mut().all(|record| Arc::get_mut(&mut record.0).is_some());
    if !is_own || !records.is_sorted_by(Record::is_before) {
        return &mut [];
    }
    let length = records.len() * LENGTH;
    let Some(first) = records.first() else { return &mut [] };
    // SAFETY: they are neighbours in the arena, each initialised, and nobody else has any of them.
    unsafe { from_raw_parts_mut(first.0.start.as_ptr(), length) }
}

impl Deref for Record {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl DerefMut for Record {
    fn deref_mut(&mut self) -> &mut [u8] {
        if Arc::get_mut(&mut self.0).is_none() {
            let mut copy = Buffer::unfilled();
            copy.bytes_mut().copy_from_slice(self.0.bytes());
            self.0 = Arc::new(copy);
        }
        Arc::get_mut(&mut self.0).map_or(&mut [], Buffer::bytes_mut)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lent_stays_as_it_was() {
        let mut record = Record::zeroed();
        let lent = record.lend();
        assert_eq!(lent.as_ptr(), record.as_ptr());
        record[5] = 1;
        assert_eq!((lent[5], record[5], record.len()), (0, 1, LENGTH));
        drop(lent);
        let place = record.as_ptr();
        record[6] = 1;
        assert_eq!(record.as_ptr(), place, "nobody has it");
    }

    #[test]
    fn records_in_a_row_are_one_run_of_bytes() {
        reserve(64);
        let mut run = Record::unfilled_run(3);
        let length = run.len() * LENGTH;
        joined_mut(&mut run).iter_mut().zip(0..).for_each(|(byte, at): (_, u32)| {
            *byte = (at / RECORD_SIZE as u32) as u8;
        });
        assert_eq!(joined(&run).len(), length);
        assert!(run.iter().zip(0..).all(|(record, at)| record.iter().all(|byte| *byte == at)));
        let lent = run[0].lend();
        assert_eq!((joined(&run).len(), joined_mut(&mut run).len()), (length, 0), "one is lent");
        drop(lent);
        run.reverse();
        assert!(run.len() == 1 || joined(&run).len() == LENGTH, "not in a row");
    }

    #[test]
    fn zeroed_is_zeroed_also_in_used_memory() {
        reserve(64);
        // More than there is room for in the arena.
        let mut records: Vec<Record> = (0..70).map(|_| Record::unfilled()).collect();
        records.iter_mut().for_each(|record| record.fill(7));
        drop(records);
        assert!((0..3).all(|_| Record::zeroed().iter().all(|byte| *byte == 0)));
    }
}
