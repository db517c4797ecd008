//! `proc:PID/maps` — one address space: what may be there, and what is.
//!
//! Regions say what may be there; the page tables say what is. Pages appear on first touch, are
//! shared copy-on-write by `fork`, and are copied on the first write.

mod away;
mod lent;
mod mapped;
mod regions;
mod touch;

pub use lent::FilePart;
pub use touch::Miss;

use super::address::{Frame, Page, Pages};
use super::budget::BudgetId;
use super::frames::{Frames, NoMemory};
use super::origin::{Origin, Origins};
use crate::error::{EACCES, EBUSY, EFAULT, EINVAL, ENOMEM, Errno};
use crate::handle::DescriptionId;
use crate::machine::{Access, Machine};
use abi::{PAGE_SIZE, USER_END, USER_START};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The index of a space in the kernel's table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SpaceId(pub usize);

/// Where searches for free room start: well above a program's image.
const SEARCH_START: Page = Page(0x1000_0000_0000 / PAGE_SIZE);
/// How many frames are unmapped between two flushes.
const BATCH: usize = 64;
/// Most regions of a space.
const REGIONS_MAX: usize = 16_384;
/// About what a region takes of the kernel's heap.
const REGION_BYTES: usize = 2 * size_of::<Region>();

/// What backs the pages of a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Filled on first touch, with zeroes or from a file; `fork` copies on write.
    Private,
    /// `fork` shares for good. Present from the start, unless a file's: that comes on first touch.
    Shared,
    /// Memory of a device: not counted, not freed.
    Device,
    /// A scheme daemon's request window: not inherited.
    Window,
    /// Memory that devices reach: shared, and never taken away.
    Wired,
}

impl Kind {
    /// Its word in `proc:PID/maps`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Private => "private",
            Kind::Shared => "shared",
            Kind::Device => "device",
            Kind::Window => "window",
            Kind::Wired => "wired",
        }
    }
}

/// A run of pages of the same kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// Which pages.
    pub pages: Pages,
    /// What user code may do there.
    pub access: Access,
    /// What backs them.
    pub kind: Kind,
    /// The daemon's file that is to be seen here. It stays open as long.
    pub file: Option<FilePart>,
}

impl Region {
    /// A region that shows no file.
    pub fn new(pages: Pages, access: Access, kind: Kind) -> Self {
        Self { pages, access, kind, file: None }
    }
}

/// One address space.
pub struct Space<M: Machine> {
    /// The hardware's view.
    pub tables: M::Space,
    /// Keyed by first page; they do not overlap.
    regions: BTreeMap<usize, Region>,
    /// Where they come from.
    origins: Origins,
    /// Pages present and counted.
    pub resident: usize,
    /// The most there were before some of them went.
    peak: usize,
    /// Pages there may be.
    pub limit: usize,
    /// What it shares its memory's limit with.
    pub budget: Option<BudgetId>,
    /// Pages that are in the store, of a parked program.
    pub evacuated: usize,
    /// Nothing of it may be touched until those pages are back.
    pub is_away: bool,
    /// Threads that run in it.
    pub users: usize,
    /// Where the next search for free room begins: behind the last one found, or where room was
    /// made since.
    search_from: Page,
    /// Files that regions name, each once. One reference each belongs to the space.
    held: BTreeSet<DescriptionId>,
}

impl<M: Machine> Space<M> {
    /// An empty space.
    pub fn new(machine: &mut M, frames: &mut Frames) -> Result<Self, NoMemory> {
        let tables = machine.new_space(frames)?;
        Ok(Self {
            tables,
            regions: BTreeMap::new(),
            origins: Origins::default(),
            resident: 0,
            peak: 0,
            limit: usize::MAX,
            budget: None,
            evacuated: 0,
            is_away: false,
            users: 0,
            search_from: SEARCH_START,
            held: BTreeSet::new(),
        })
    }

    /// The regions, lowest first.
    pub fn regions(&self) -> impl Iterator<Item = &Region> {
        self.regions.values()
    }

    /// Notes where pages come from, for `proc:PID/maps`.
    pub fn note_origin(&mut self, pages: Pages, name: &Arc<str>, offset: u64) {
        self.origins.add(Origin { pages, name: name.clone(), offset });
    }

    /// The pieces of a region that come from one place each.
    pub fn pieces(&self, region: &Region) -> impl Iterator<Item = (Pages, Option<Origin>)> {
        self.origins.pieces(region.pages)
    }

    /// Bytes covered by regions, present or not.
    pub fn virtual_bytes(&self) -> usize {
        self.regions.values().map(|r| r.pages.count() * PAGE_SIZE).sum()
    }

    /// About what a copy takes of the kernel's heap.
    pub fn heap_bytes(&self) -> usize {
        2 * self.regions.len() * REGION_BYTES
    }

    /// Whether so many pages more are within the limits of the space and of its job.
    #[inline]
    pub fn may_grow(&self, frames: &Frames, pages: usize) -> bool {
        self.limit.saturating_sub(self.resident) >= pages
            && frames.budgets.may_add(self.budget, pages)
    }

    fn grew(&mut self, frames: &mut Frames, pages: usize) {
        self.resident += pages;
        frames.budgets.add(self.budget, pages);
    }

    fn shrank(&mut self, frames: &mut Frames, pages: usize) {
        self.peak = self.peak();
        self.resident -= pages;
        frames.budgets.give_back(self.budget, pages);
    }

    /// The most pages that were present at once.
    pub fn peak(&self) -> usize {
        self.peak.max(self.resident)
    }

    /// Its program follows one that had so many.
    pub fn follows(&mut self, peak: usize) {
        self.peak = peak;
    }

    /// Counts for another budget from now on, whatever its limit.
    pub fn move_to(&mut self, frames: &mut Frames, budget: Option<BudgetId>) {
        let before = core::mem::replace(&mut self.budget, budget);
        frames.budgets.join(budget, self.resident);
        frames.budgets.leave(before, self.resident);
    }

    /// A copy for `fork`: private pages copy-on-write, shared ones shared, windows left out.
    /// Files stay held: a reference to each of [`Space::held`] is the caller's to add. On failure the
    /// half-made copy has been taken apart again.
    pub fn fork(&mut self, machine: &mut M, frames: &mut Frames) -> Result<Self, NoMemory> {
        if !frames.budgets.may_add(self.budget, self.resident) {
            return Err(NoMemory);
        }
        let mut child = Self::new(machine, frames)?;
        child.held.clone_from(&self.held);
        (child.limit, child.budget) = (self.limit, self.budget);
        frames.budgets.join(child.budget, 0);
        let kept: Vec<Region> =
            self.regions.values().filter(|r| r.kind != Kind::Window).copied().collect();
        child.origins = self.origins.clone();
        let mut result = Ok(());
        for region in &kept {
            child.regions.insert(region.pages.start.0, *region);
            if result.is_ok() && region.kind != Kind::Device {
                let (from, to) = (&mut self.tables, &mut child.tables);
                let copy_on_write = region.kind == Kind::Private;
                let shared = machine.share(frames, from, to, region.pages, copy_on_write);
                result = shared.map(|count| child.grew(frames, count));
            }
        }
        machine.flush(&self.tables, Pages::USER);
        if let Err(no_memory) = result {
            child.clear(machine, frames);
            frames.budgets.leave(child.budget, child.resident);
            machine.drop_space(frames, child.tables);
            return Err(no_memory);
        }
        Ok(child)
    }

    /// Gives back every frame; only the empty tables stay.
    pub fn clear(&mut self, machine: &mut M, frames: &mut Frames) {
        let regions = core::mem::take(&mut self.regions);
        for region in regions.into_values() {
            self.unmap_region(machine, frames, region);
        }
    }
}
