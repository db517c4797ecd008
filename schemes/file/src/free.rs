//! Which blocks of a file system are free, from the log that RedoxFS keeps of them.
//!
//! RedoxFS would follow the log block by block when it opens a file system, 450 instructions for each:
//! more than all else that happens at boot. Here the log's ranges are added up first, and its allocator
//! is told of them in the largest pieces there are. What a damaged log says is refused, not believed.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use redoxfs::{
    AllocList, BLOCK_SIZE, BlockAddr, BlockMeta, BlockPtr, Disk, FileSystem, HEADER_RING,
};
use syscall::error::{EIO, Error, Result};

/// The largest piece that a [`BlockAddr`] can name, as a power of two of blocks.
const LEVEL_MAX: u32 = 15;

/// Ranges of free blocks that neither overlap nor touch: where each begins, and where it ends.
#[derive(Default)]
struct Free(BTreeMap<u64, u64>);

impl Free {
    /// Blocks are free from now on.
    fn add(&mut self, Range { mut start, mut end }: Range<u64>) {
        while let Some((&other, &other_end)) = self.0.range(..=end).next_back() {
            if other_end < start {
                break;
            }
            self.0.remove(&other);
            (start, end) = (start.min(other), end.max(other_end));
        }
        self.0.insert(start, end);
    }

    /// Blocks are in use from now on. `EIO` when they are already.
    fn take(&mut self, Range { start, end }: Range<u64>) -> Result<()> {
        let held = self.0.range(..=start).next_back().map(|(&from, &to)| from..to);
        let Range { start: from, end: to } =
            held.filter(|held| held.end >= end).ok_or(Error::new(EIO))?;
        self.0.remove(&from);
        if from < start {
            self.0.insert(from, start);
        }
        if end < to {
            self.0.insert(end, to);
        }
        Ok(())
    }

    /// The ranges in pieces whose length is a power of two that their place is a multiple of: each
    /// piece's first block, and the power.
    fn pieces(&self) -> impl Iterator<Item = (u64, u8)> {
        self.0.iter().flat_map(|(&start, &end)| {
            let mut at = start;
            std::iter::from_fn(move || {
                let longest = (end - at).checked_ilog2()?;
                let level = at.trailing_zeros().min(longest).min(LEVEL_MAX);
                let piece = (at, level as u8);
                at += 1 << level;
                Some(piece)
            })
        })
    }
}

/// Fills the allocator of a file system that was opened without its log.
///
/// # Errors
/// `EIO`: the log is damaged. What the disk says.
pub(crate) fn restore<D: Disk>(system: &mut FileSystem<D>) -> Result<()> {
    let blocks = system.header.size() / BLOCK_SIZE;
    let mut free = Free::default();
    for list in read_log(system)?.iter().rev() {
        for &(first, count) in list {
            let end = first.checked_add(count.unsigned_abs());
            let end = end.filter(|end| first >= HEADER_RING && *end <= blocks);
            let range = first..end.ok_or(Error::new(EIO))?;
            if count < 0 { free.take(range)? } else { free.add(range) }
        }
    }
    // SAFETY: the blocks are free by the log, and the allocator knows of none yet.
    let allocator = unsafe { system.allocator_mut() };
    for (first, level) in free.pieces() {
        let level = BlockPtr::<AllocList>::marker(level).addr().level();
        // SAFETY: the blocks lie in the file system.
        allocator.deallocate(unsafe { BlockAddr::new(first, BlockMeta::new(level)) });
    }
    Ok(())
}

/// The entries of the log's blocks, the latest block first: first block and count, negative for
/// blocks that were taken.
fn read_log<D: Disk>(system: &mut FileSystem<D>) -> Result<Vec<Vec<(u64, i64)>>> {
    system.tx(|tx| {
        let (mut lists, mut seen) = (Vec::new(), BTreeSet::new());
        let mut next = tx.header.alloc;
        while !next.is_null() {
            if !seen.insert(next.addr().index()) {
                // It leads in a circle.
                return Err(Error::new(EIO));
            }
            let list = tx.read_block(next)?;
            next = list.data().prev;
            let entries = list.data().entries.iter().filter(|entry| !entry.is_null());
            lists.push(entries.map(|entry| (entry.index(), entry.count())).collect());
        }
        Ok(lists)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranges_are_what_single_blocks_are(
            steps in prop::collection::vec((0u64..200, 1u64..40, any::<bool>()), 1..60)
        ) {
            let (mut free, mut blocks) = (Free::default(), BTreeSet::new());
            for (first, count, adds) in steps {
                let range = first..first + count;
                if adds {
                    free.add(range.clone());
                    blocks.extend(range);
                } else {
                    let are_free = range.clone().all(|block| blocks.contains(&block));
                    prop_assert_eq!(free.take(range.clone()).is_ok(), are_free);
                    if are_free {
                        blocks.retain(|block| !range.contains(block));
                    }
                }
            }
            let pieces = || free.pieces();
            prop_assert!(pieces().all(|(at, level)| at % (1 << level) == 0));
            let told: Vec<u64> = pieces().flat_map(|(at, level)| at..at + (1 << level)).collect();
            prop_assert!(told.iter().eq(&blocks));
        }
    }
}
