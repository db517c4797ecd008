//! `sys:mem`, `sys:zones` — which frames are free, and who shares the others.
//!
//! A buddy allocator in two zones with one 8-byte record per frame. Records are written only when
//! their 4 MiB chunk is first needed, so boot costs the same on a small and on a large machine.
//! Single frames, the common case, come from a small stack of recently freed ones.
//!
//! The last frames are a reserve: whoever asks for one frame does not get them, so that the kernel
//! can finish what it began. Being refused is noted, because it starts an emergency.
//!
//! It never touches the memory itself: zeroing is the caller's business.

mod buddy;

use super::address::Frame;
use super::budget::Budgets;
use alloc::vec;
use alloc::vec::Vec;

/// Frames in a chunk, the largest block: 4 MiB.
const CHUNK: u32 = 1 << MAX_ORDER;
/// The largest block is `1 << MAX_ORDER` frames.
const MAX_ORDER: usize = 10;
/// Marks the end of a free list.
const NONE: u32 = (1 << LINK_BITS) - 1;
/// In `tail` of a frame in use: its page is away, in the store.
const AWAY: u32 = 1 << 31;
/// A record has room for frame numbers of this many bits: 512 GiB of memory.
const LINK_BITS: u32 = 27;
/// How many recently freed frames each zone keeps at hand.
const HOT: usize = 128;
/// The DMA zone ends here: devices on the old bus reach 16 MiB.
const DMA_END: u32 = (16 << 20) / 4096;

/// The reserve is this part of all frames, but no more than [`RESERVE_MOST`].
const RESERVE_PART: usize = 128;
const RESERVE_MOST: usize = 1024;

/// There is no frame left to give.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoMemory;

/// What is known of one frame. Any bit pattern is valid: unwritten records are never read.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub struct FrameInfo {
    /// State in the top bits; reference count or next free block below.
    head: u32,
    /// Order in the top bits, previous free block below; for frames in use, a tally and [`AWAY`].
    tail: u32,
}

/// The states a frame can be in, as stored in the top bits of `head`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not memory, or not the first frame of a free block.
    Other = 0,
    /// The first frame of a free block.
    Free = 1,
    /// In use; `head` counts the references.
    Used = 2,
}

impl FrameInfo {
    fn new(state: State, link: u32, order: usize, back: u32) -> Self {
        Self { head: (state as u32) << LINK_BITS | link, tail: (order as u32) << LINK_BITS | back }
    }

    fn is(self, state: State) -> bool {
        self.head >> LINK_BITS == state as u32
    }

    fn link(self) -> u32 {
        self.head & NONE
    }

    fn back(self) -> u32 {
        self.tail & NONE
    }

    fn order(self) -> usize {
        (self.tail >> LINK_BITS) as usize
    }
}

/// Usable memory: frames `start` up to, not including, `end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// The first.
    pub start: u32,
    /// One past the last.
    pub end: u32,
}

/// Kinds of memory by what can reach it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Zone {
    /// Below 16 MiB.
    Dma = 0,
    /// All the rest.
    Normal = 1,
    /// What a kernel cannot map directly: nothing on 64-bit machines.
    High = 2,
}

impl Zone {
    /// All zones, in the order of addresses.
    pub const ALL: [Zone; 3] = [Zone::Dma, Zone::Normal, Zone::High];

    /// Its name in `sys:zones`.
    pub fn name(self) -> &'static str {
        match self {
            Zone::Dma => "DMA",
            Zone::Normal => "Normal",
            Zone::High => "High",
        }
    }

    fn of(frame: u32) -> Self {
        if frame < DMA_END { Zone::Dma } else { Zone::Normal }
    }
}

/// How much a zone has, in frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ZoneCounts {
    /// Handed to the allocator at boot.
    pub total: usize,
    /// Not in use.
    pub free: usize,
}

/// One zone's free blocks.
struct Lists {
    /// First block of each order.
    first: [u32; MAX_ORDER + 1],
    /// Single frames freed lately; the top is given out next.
    hot: [u32; HOT],
    hot_count: usize,
    /// The next chunk whose records have not been written.
    next_chunk: u32,
    end_chunk: u32,
    counts: ZoneCounts,
}

/// The frames of the machine.
pub struct Frames {
    infos: &'static mut [FrameInfo],
    ranges: Vec<Range>,
    /// One bit per chunk whose records have been written.
    known: Vec<u64>,
    zones: [Lists; 2],
    /// Free frames that [`Frames::allocate`] leaves alone.
    reserve: usize,
    /// Who may have how many.
    pub budgets: Budgets,
    /// With so few free frames, or fewer, the pressure has changed.
    alarm: usize,
    /// Somebody should look at the pressure.
    pub(crate) is_alarmed: bool,
    /// Somebody was refused a frame since this was last cleared.
    pub(crate) is_refused: bool,
    /// The frame that they were refused, because its page is away.
    pub(crate) awaited: Option<Frame>,
    /// Programs run while pages are away.
    pub(crate) has_away: bool,
}

impl Frames {
    /// Takes over `ranges`, which do not overlap, with one record for every frame up to the
    /// highest.
    pub fn new(infos: &'static mut [FrameInfo], ranges: &[Range]) -> Self {
        let limit = infos.len().min(NONE as usize) as u32;
        let clip = |r: &Range| Range { start: r.start.max(1), end: r.end.min(limit) };
        let ranges: Vec<Range> = ranges.iter().map(clip).filter(|r| r.start < r.end).collect();
        let chunks = limit.div_ceil(CHUNK);
        let dma_chunks = (DMA_END / CHUNK).min(chunks);
        let zone = |next_chunk, end_chunk, low, high| Lists {
            first: [NONE; MAX_ORDER + 1],
            hot: [NONE; HOT],
            hot_count: 0,
            next_chunk,
            end_chunk,
            counts: count(&ranges, low, high),
        };
        let zones = [zone(0, dma_chunks, 0, DMA_END), zone(dma_chunks, chunks, DMA_END, u32::MAX)];
        let known = vec![0; chunks.div_ceil(64) as usize];
        let mut frames = Self {
            infos,
            known,
            ranges,
            zones,
            reserve: 0,
            budgets: Budgets::default(),
            alarm: 0,
            is_alarmed: false,
            is_refused: false,
            awaited: None,
            has_away: false,
        };
        frames.reserve = (frames.totals().total / RESERVE_PART).min(RESERVE_MOST);
        frames
    }

    /// One past the highest frame there is a record of.
    pub fn limit(&self) -> usize {
        self.infos.len()
    }

    /// Free frames that are not for programs.
    pub fn reserve(&self) -> usize {
        self.reserve
    }

    /// Lends three quarters of the reserve to programs, or takes it back.
    pub(crate) fn lend_reserve(&mut self, is_lent: bool) {
        let whole = (self.totals().total / RESERVE_PART).min(RESERVE_MOST);
        self.reserve = if is_lent { whole / 4 } else { whole };
    }

    /// Rings the alarm when no more than `free` frames are left.
    pub(crate) fn set_alarm(&mut self, free: usize) {
        self.alarm = free.max(self.reserve);
        self.is_alarmed = false;
    }

    /// One frame, from the Normal zone while it lasts. Its contents are whatever they were.
    /// Refused when only the reserve is left.
    pub fn allocate(&mut self) -> Option<Frame> {
        let free = self.zones[0].counts.free + self.zones[1].counts.free;
        if free <= self.alarm && !self.may_allocate(free) {
            return None;
        }
        self.take_one(Zone::Normal).or_else(|| self.take_one(Zone::Dma))
    }

    #[cold]
    fn may_allocate(&mut self, free: usize) -> bool {
        self.is_alarmed = true;
        let may = free > self.reserve;
        self.is_refused |= !may;
        may
    }

    /// `1 << order` contiguous frames inside `zone`, aligned to their size.
    pub fn allocate_run(&mut self, order: usize, zone: Zone) -> Option<Frame> {
        if zone == Zone::High || order > MAX_ORDER {
            return None;
        }
        let first = self.take_block(zone, order)?;
        for frame in first..first + (1 << order) {
            self.set(frame, FrameInfo::new(State::Used, 1, 0, 0));
        }
        self.zones[zone as usize].counts.free -= 1 << order;
        Some(Frame(first))
    }

    /// One more reference to a frame in use.
    pub fn add_reference(&mut self, frame: Frame) {
        let info = &mut self.infos[frame.0 as usize];
        debug_assert!(info.is(State::Used), "a reference to a free frame");
        info.head += 1;
    }

    /// How many references a frame in use has; 0 for a free one.
    pub fn references(&self, frame: Frame) -> u32 {
        let info = self.infos[frame.0 as usize];
        if info.is(State::Used) { info.link() } else { 0 }
    }

    /// Counts a mapping met on a walk over programs; returns how many have been met. Together with
    /// [`Frames::references`] it tells whether all of them belong to those walked over.
    pub fn tally(&mut self, frame: Frame) -> u32 {
        let info = &mut self.infos[frame.0 as usize];
        info.tail += 1;
        info.tail & !AWAY
    }

    /// Forgets what was counted.
    pub fn forget_tally(&mut self, frame: Frame) {
        self.infos[frame.0 as usize].tail &= AWAY;
    }

    /// The page of a frame in use is in the store: until it is back nobody may touch the frame.
    pub fn send_away(&mut self, frame: Frame) {
        self.infos[frame.0 as usize].tail |= AWAY;
    }

    /// The page is back.
    pub fn come_back(&mut self, frame: Frame) {
        self.infos[frame.0 as usize].tail &= !AWAY;
    }

    /// Whether the page of a frame is in the store. A frame that is freed forgets it.
    pub fn is_away(&self, frame: Frame) -> bool {
        let info = self.infos.get(frame.0 as usize).copied().unwrap_or_default();
        info.is(State::Used) && info.tail & AWAY != 0
    }

    /// Somebody needs a page that is away, and is refused as if there were no memory.
    pub(crate) fn await_page(&mut self, frame: Frame) {
        self.awaited = Some(frame);
        self.is_refused = true;
    }

    /// Drops one reference; the last one frees the frame.
    ///
    /// # Panics
    /// When the frame is free already: the kernel lost count.
    pub fn release(&mut self, frame: Frame) {
        let info = &mut self.infos[frame.0 as usize];
        assert!(info.is(State::Used), "{frame:?} released twice");
        info.head -= 1;
        if info.link() == 0 {
            self.put_one(frame.0);
        }
    }

    /// Counts references to `count` frames that the machine reserved at boot (the boot archive),
    /// so that they can be mapped like any other. They start with one reference and so are never
    /// freed.
    pub fn adopt(&mut self, first: Frame, count: u32) {
        let end = (first.0 + count).min(self.infos.len() as u32);
        for frame in first.0..end {
            self.learn(frame / CHUNK);
            self.set(frame, FrameInfo::new(State::Used, 1, 0, 0));
        }
    }

    /// Whether any of the frames `[start, end)` is memory: free, in use, or the kernel's own.
    /// Everything below the highest usable frame counts as memory but for the hole that PCs have
    /// between 640 KiB and 1 MiB.
    pub fn is_memory(&self, start: u32, end: u32) -> bool {
        const HOLE: Range = Range { start: 0xA0, end: 0x100 };
        let is_hole = start >= HOLE.start && end <= HOLE.end;
        let touches = |range: &Range| start < range.end && end > range.start;
        !is_hole && (self.ranges.iter().any(touches) || self.is_between(start, end))
    }

    /// Whether the frames lie between two usable ranges that are close together, where the kernel
    /// and the boot archive are; large gaps are for devices.
    fn is_between(&self, start: u32, end: u32) -> bool {
        const GAP: u32 = (64 << 20) / 4096;
        self.ranges.iter().any(|low| {
            let after = self.ranges.iter().filter(|high| high.start >= low.end);
            let next = after.map(|high| high.start).min();
            next.is_some_and(|next| next - low.end < GAP && start < next && end > low.end)
        })
    }

    /// Totals of one zone.
    pub fn counts(&self, zone: Zone) -> ZoneCounts {
        self.zones.get(zone as usize).map_or(ZoneCounts::default(), |lists| lists.counts)
    }

    /// Frames in all, and frames free.
    pub fn totals(&self) -> ZoneCounts {
        self.zones.iter().fold(ZoneCounts::default(), |sum, lists| ZoneCounts {
            total: sum.total + lists.counts.total,
            free: sum.free + lists.counts.free,
        })
    }

    fn set(&mut self, frame: u32, info: FrameInfo) {
        self.infos[frame as usize] = info;
    }
}

/// The frames of `ranges` between `low` and `high`.
fn count(ranges: &[Range], low: u32, high: u32) -> ZoneCounts {
    let inside = |r: &Range| r.end.min(high).saturating_sub(r.start.max(low)) as usize;
    let total = ranges.iter().map(inside).sum();
    ZoneCounts { total, free: total }
}

#[cfg(test)]
mod tests;
