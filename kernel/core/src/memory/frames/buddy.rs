//! The free blocks of a zone: a buddy allocator, with a small stack of single frames before it.
//!
//! A chunk's records are written when its frames are first needed.

use super::*;

impl Frames {
    pub(super) fn take_one(&mut self, zone: Zone) -> Option<Frame> {
        let lists = &mut self.zones[zone as usize];
        if lists.hot_count == 0 {
            self.refill(zone)?;
        }
        let lists = &mut self.zones[zone as usize];
        lists.hot_count -= 1;
        let frame = lists.hot[lists.hot_count];
        lists.counts.free -= 1;
        self.set(frame, FrameInfo::new(State::Used, 1, 0, 0));
        Some(Frame(frame))
    }

    pub(super) fn put_one(&mut self, frame: u32) {
        let zone = Zone::of(frame);
        if self.zones[zone as usize].hot_count == HOT {
            self.drain(zone);
        }
        self.set(frame, FrameInfo::new(State::Other, 0, 0, 0));
        let lists = &mut self.zones[zone as usize];
        lists.hot[lists.hot_count] = frame;
        lists.hot_count += 1;
        lists.counts.free += 1;
    }

    /// Moves frames from the buddy lists to the hot stack: as many as one middling block has.
    fn refill(&mut self, zone: Zone) -> Option<()> {
        let order = (0..=5).rev().find(|order| 1 << order <= HOT / 2).unwrap_or(0);
        let (first, order) = match self.take_block(zone, order) {
            Some(first) => (first, order),
            None => (self.take_block(zone, 0)?, 0),
        };
        let lists = &mut self.zones[zone as usize];
        for frame in (first..first + (1 << order)).rev() {
            lists.hot[lists.hot_count] = frame;
            lists.hot_count += 1;
        }
        Some(())
    }

    /// Moves the whole hot stack back to the buddy lists. False when it was empty.
    fn merge_hot(&mut self, zone: Zone) -> bool {
        let count = core::mem::take(&mut self.zones[zone as usize].hot_count);
        for slot in 0..count {
            let frame = self.zones[zone as usize].hot[slot];
            self.put_block(frame, 0);
        }
        count > 0
    }

    /// Moves half of the hot stack back to the buddy lists, where they can merge.
    fn drain(&mut self, zone: Zone) {
        for slot in 0..HOT / 2 {
            let frame = self.zones[zone as usize].hot[slot];
            self.put_block(frame, 0);
        }
        let lists = &mut self.zones[zone as usize];
        lists.hot.copy_within(HOT / 2.., 0);
        lists.hot_count = HOT / 2;
    }

    /// Takes a block of `order` off the lists, splitting a larger one if need be. When only the
    /// hot stack has frames left, they are merged back first.
    pub(super) fn take_block(&mut self, zone: Zone, order: usize) -> Option<u32> {
        loop {
            let found = (order..=MAX_ORDER).find(|&o| self.zones[zone as usize].first[o] != NONE);
            if let Some(mut have) = found {
                let block = self.zones[zone as usize].first[have];
                self.unlink(block, have);
                while have > order {
                    have -= 1;
                    self.link(block + (1 << have), have);
                }
                return Some(block);
            }
            let merged = order > 0 && self.merge_hot(zone);
            if !merged && !self.learn_next(zone) {
                return None;
            }
        }
    }

    /// Puts a block on the lists, merged with its free neighbours.
    pub(super) fn put_block(&mut self, mut block: u32, mut order: usize) {
        while order < MAX_ORDER {
            let buddy = block ^ (1 << order);
            let info = self.infos.get(buddy as usize).copied().unwrap_or_default();
            if !info.is(State::Free) || info.order() != order {
                break;
            }
            self.unlink(buddy, order);
            block &= !(1 << order);
            order += 1;
        }
        self.link(block, order);
    }

    fn link(&mut self, block: u32, order: usize) {
        let lists = &mut self.zones[Zone::of(block) as usize];
        let next = core::mem::replace(&mut lists.first[order], block);
        if next != NONE {
            let info = self.infos[next as usize];
            self.set(next, FrameInfo::new(State::Free, info.link(), order, block));
        }
        self.set(block, FrameInfo::new(State::Free, next, order, NONE));
    }

    fn unlink(&mut self, block: u32, order: usize) {
        let info = self.infos[block as usize];
        let (next, back) = (info.link(), info.back());
        if back == NONE {
            self.zones[Zone::of(block) as usize].first[order] = next;
        } else {
            let before = self.infos[back as usize];
            self.set(back, FrameInfo::new(State::Free, next, order, before.back()));
        }
        if next != NONE {
            let after = self.infos[next as usize];
            self.set(next, FrameInfo::new(State::Free, after.link(), order, back));
        }
        self.set(block, FrameInfo::new(State::Other, 0, 0, 0));
    }

    /// Writes the records of the zone's next chunk. False when there is none.
    fn learn_next(&mut self, zone: Zone) -> bool {
        let lists = &mut self.zones[zone as usize];
        if lists.next_chunk == lists.end_chunk {
            return false;
        }
        let chunk = lists.next_chunk;
        lists.next_chunk += 1;
        self.learn(chunk);
        true
    }

    /// Writes a chunk's records, if that has not been done, and frees what is memory in it.
    pub(super) fn learn(&mut self, chunk: u32) {
        let (word, bit) = (chunk as usize / 64, 1 << (chunk % 64));
        if self.known[word] & bit != 0 {
            return;
        }
        self.known[word] |= bit;
        let start = chunk * CHUNK;
        let end = (start + CHUNK).min(self.infos.len() as u32);
        self.infos[start as usize..end as usize].fill(FrameInfo::default());
        for index in 0..self.ranges.len() {
            let range = self.ranges[index];
            self.free_range(range.start.max(start), range.end.min(end));
        }
    }

    /// Frees `[start, end)` as the largest aligned blocks.
    fn free_range(&mut self, mut start: u32, end: u32) {
        while start < end {
            let aligned = (start.trailing_zeros() as usize).min(MAX_ORDER);
            let fits = (end - start).ilog2() as usize;
            let order = aligned.min(fits);
            self.put_block(start, order);
            start += 1 << order;
        }
    }
}
