//! Which memory is free, while nothing but arithmetic is there to keep the list.

/// Most pieces of free memory. The smallest are forgotten when there are more.
const MAX: usize = 64;

/// A piece of memory in bytes: `start` up to, not including, `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Region {
    /// First byte.
    pub(crate) start: u64,
    /// One past the last.
    pub(crate) end: u64,
}

impl Region {
    fn size(self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// Free memory, in pieces that do not overlap.
pub(crate) struct Regions {
    list: [Region; MAX],
    count: usize,
}

impl Regions {
    /// No memory.
    pub(crate) const fn new() -> Self {
        Self { list: [Region { start: 0, end: 0 }; MAX], count: 0 }
    }

    /// The pieces, in no special order.
    pub(crate) fn as_slice(&self) -> &[Region] {
        &self.list[..self.count]
    }

    /// Adds memory, whole frames only. What is in the list already counts once.
    pub(crate) fn add(&mut self, region: Region) {
        let region =
            Region { start: region.start.next_multiple_of(4096), end: region.end & !0xFFF };
        if region.start >= region.end {
            return;
        }
        self.remove(region);
        self.push(region);
    }

    /// Takes memory out, whole frames, as many as `region` touches.
    pub(crate) fn remove(&mut self, region: Region) {
        let hole = Region { start: region.start & !0xFFF, end: region.end.next_multiple_of(4096) };
        if hole.start >= hole.end {
            return;
        }
        let mut index = 0;
        while index < self.count {
            let piece = self.list[index];
            if piece.end <= hole.start || hole.end <= piece.start {
                index += 1;
                continue;
            }
            self.count -= 1;
            self.list[index] = self.list[self.count];
            self.push(Region { start: piece.start, end: piece.end.min(hole.start) });
            self.push(Region { start: piece.start.max(hole.end), end: piece.end });
            // What was pushed does not touch the hole: looking at it again does no harm.
        }
    }

    /// Takes `size` bytes, a multiple of a frame, off the end of the largest piece that ends at
    /// or below `limit`.
    pub(crate) fn take(&mut self, size: u64, limit: u64) -> Option<u64> {
        let pieces = self.list[..self.count].iter_mut();
        let largest = pieces.filter(|piece| piece.end <= limit).max_by_key(|piece| piece.size())?;
        if largest.size() < size {
            return None;
        }
        largest.end -= size;
        Some(largest.end)
    }

    fn push(&mut self, region: Region) {
        if region.size() == 0 || region.start > region.end {
            return;
        }
        if self.count < MAX {
            self.list[self.count] = region;
            self.count += 1;
            return;
        }
        if let Some(smallest) = self.list.iter_mut().min_by_key(|piece| piece.size())
            && smallest.size() < region.size()
        {
            *smallest = region;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(regions: &Regions) -> Vec<(u64, u64)> {
        let mut list: Vec<_> = regions.as_slice().iter().map(|r| (r.start, r.end)).collect();
        list.sort();
        list
    }

    #[test]
    fn a_hole_splits_a_piece_and_takes_whole_frames() {
        let mut regions = Regions::new();
        regions.add(Region { start: 0x1000, end: 0x9000 });
        regions.remove(Region { start: 0x3001, end: 0x4001 });
        assert_eq!(sorted(&regions), [(0x1000, 0x3000), (0x5000, 0x9000)]);
    }

    #[test]
    fn overlapping_memory_counts_once() {
        let mut regions = Regions::new();
        regions.add(Region { start: 0x1000, end: 0x5000 });
        regions.add(Region { start: 0x3000, end: 0x8000 });
        assert_eq!(sorted(&regions), [(0x1000, 0x3000), (0x3000, 0x8000)]);
    }

    #[test]
    fn a_hole_over_everything_leaves_nothing() {
        let mut regions = Regions::new();
        regions.add(Region { start: 0x1000, end: 0x2000 });
        regions.add(Region { start: 0x8000, end: 0xA000 });
        regions.remove(Region { start: 0, end: 0x10_0000 });
        assert_eq!(sorted(&regions), []);
    }

    #[test]
    fn part_of_a_frame_is_not_memory() {
        let mut regions = Regions::new();
        regions.add(Region { start: 0x1001, end: 0x2FFF });
        assert_eq!(sorted(&regions), []);
    }

    #[test]
    fn memory_is_taken_from_the_end_of_the_largest_piece_in_reach() {
        let mut regions = Regions::new();
        regions.add(Region { start: 0x1000, end: 0x4000 });
        regions.add(Region { start: 0x10_0000, end: 0x20_0000 });
        regions.add(Region { start: 0x1_0000_0000, end: 0x8_0000_0000 });
        assert_eq!(regions.take(0x2000, 0x1_0000_0000), Some(0x1F_E000));
        assert_eq!(regions.take(0x10_0000, 0x1_0000_0000), None);
    }

    #[test]
    fn too_many_pieces_drop_the_smallest() {
        let mut regions = Regions::new();
        for index in 0..MAX as u64 {
            regions.add(Region { start: index * 0x10_000, end: index * 0x10_000 + 0x2000 });
        }
        regions.add(Region { start: 0x4000_0000, end: 0x8000_0000 });
        assert_eq!(regions.as_slice().len(), MAX);
        assert!(regions.as_slice().contains(&Region { start: 0x4000_0000, end: 0x8000_0000 }));
    }
}
