//! Room for a shared transaction.
//!
//! RedoxFS cannot take back half of an operation, only a whole transaction. So an operation may
//! join others only when it cannot run out of space, whatever it needs at worst. What a
//! transaction frees can be used again only after its commit, so room only shrinks until then.
//! When it is not enough, the transaction is committed first; and when it is not enough even then,
//! the operation gets a transaction of its own, which may fail.

use redoxfs::{Allocator, RECORD_LEVEL};

/// Blocks of a record.
const RECORD: u64 = 1 << RECORD_LEVEL;
/// Kept for the allocator's own log at the commit.
const RESERVE: u64 = 64 * RECORD;
/// The most blocks that an operation needs for what leads to the data: five levels of the tree
/// for each of three nodes, the levels of a directory, four levels of pointers.
const STRUCTURE: u64 = 40;

/// Room that is left, in runs of blocks as long as a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    runs: u64,
}

impl Budget {
    /// What is free. Only whole runs count: space in pieces is no room for a record.
    pub fn new(allocator: &Allocator) -> Self {
        let levels = allocator.levels().iter().enumerate().skip(RECORD_LEVEL);
        let runs: u64 =
            levels.map(|(level, free)| (free.len() as u64) << (level - RECORD_LEVEL)).sum();
        Self { runs: runs.saturating_sub(RESERVE / RECORD) }
    }

    /// Takes the room of an operation that writes so many records; false, taking nothing, when
    /// there is not enough.
    pub fn take(&mut self, records: u64) -> bool {
        // Every record may need four blocks of pointers of its own.
        let wanted = records + (STRUCTURE + 4 * records).div_ceil(RECORD);
        match self.runs.checked_sub(wanted) {
            Some(rest) => {
                self.runs = rest;
                true
            }
            None => false,
        }
    }
}
