//! `proc:PID/maps` — one address space: what may be there, and what is.
//!
//! Regions say what may be there; the page tables say what is. Pages appear on first touch, are
//! shared copy-on-write by `fork`, and are copied on the first write.

mod away;
mod lent;
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

    /// The region that covers `page`.
    pub fn region(&self, page: Page) -> Option<&Region> {
        let (_, region) = self.regions.range(..=page.0).next_back()?;
        region.pages.contains(page).then_some(region)
    }

    /// About what a copy takes of the kernel's heap.
    pub fn heap_bytes(&self) -> usize {
        2 * self.regions.len() * REGION_BYTES
    }

    /// Whether there are as many regions as there may be.
    pub fn is_crowded(&self) -> bool {
        self.regions.len() >= REGIONS_MAX
    }

    /// Whether taking `pages` out would leave more regions than there may be.
    pub fn would_crowd(&self, pages: Pages) -> bool {
        let is_inside =
            |page: Page| self.region(page).is_some_and(|region| region.pages.start < page);
        self.is_crowded() && (is_inside(pages.start) || is_inside(pages.end))
    }

    /// Whether no region touches `pages`.
    pub fn is_free(&self, pages: Pages) -> bool {
        let before = self.regions.range(..pages.end.0).next_back();
        before.is_none_or(|(_, region)| region.pages.end <= pages.start)
    }

    /// Whether the kernel itself uses some of `pages`: a daemon's request window is not the
    /// daemon's to change.
    pub fn is_reserved(&self, pages: Pages) -> bool {
        self.touching(pages).any(|region| region.kind == Kind::Window)
    }

    /// Adds a region where there is none. `EEXIST` is the caller's to find out with
    /// [`Space::is_free`].
    pub fn add(&mut self, region: Region) {
        debug_assert!(self.is_free(region.pages), "regions overlap");
        // One big region instead of many small ones where the kinds agree.
        let mut pages = region.pages;
        if region.kind == Kind::Private {
            let before = self.regions.range(..pages.start.0).next_back().map(|(_, r)| *r);
            if let Some(b) = before
                && b.pages.end == pages.start
                && (b.access, b.kind, b.file) == (region.access, region.kind, region.file)
            {
                pages.start = b.pages.start;
            }
        }
        self.regions.insert(pages.start.0, Region { pages, ..region });
    }

    /// Whether every page of `pages` is in a region.
    pub fn is_covered(&self, pages: Pages) -> bool {
        let covered: usize = self.touching(pages).map(|r| overlap(r.pages, pages)).sum();
        covered == pages.count()
    }

    /// A free run of `count` pages: at `hint` if there is one, else wherever there is room.
    pub fn find_free(&mut self, count: usize, hint: Page) -> Option<Pages> {
        let wanted = Pages { start: hint, end: Page(hint.0.checked_add(count)?) };
        if hint.start() >= USER_START
            && wanted.end.0 <= USER_END / PAGE_SIZE
            && self.is_free(wanted)
        {
            return Some(wanted);
        }
        let found =
            self.search(count, self.search_from).or_else(|| self.search(count, SEARCH_START))?;
        self.search_from = found.end;
        Some(found)
    }

    /// The lowest free run of `count` pages at or above `start`.
    fn search(&self, count: usize, mut start: Page) -> Option<Pages> {
        let covering = self.region(start).map_or(start.0, |region| region.pages.start.0);
        for region in self.regions.range(covering..).map(|(_, region)| region) {
            if region.pages.start.0 >= start.0 + count {
                break;
            }
            start = start.max(region.pages.end);
        }
        let found = Pages { start, end: Page(start.0.checked_add(count)?) };
        (found.end.0 <= USER_END / PAGE_SIZE).then_some(found)
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

    /// How many pages of regions of these kinds are there.
    pub fn present_of(&self, machine: &M, kinds: &[Kind]) -> usize {
        let wanted = self.regions.values().filter(|region| kinds.contains(&region.kind));
        wanted.map(|region| self.present_in(machine, region.pages)).sum()
    }

    /// Maps a frame whose reference the space takes over; gives it back when there is no memory
    /// for tables, or the limit is reached.
    fn map_new(
        &mut self,
        machine: &mut M,
        frames: &mut Frames,
        page: Page,
        frame: Frame,
        access: Access,
    ) -> Result<(), NoMemory> {
        if !self.may_grow(frames, 1) {
            frames.release(frame);
            return Err(NoMemory);
        }
        match machine.map(frames, &mut self.tables, page, frame, access) {
            Ok(()) => {
                self.grew(frames, 1);
                Ok(())
            }
            Err(no_memory) => {
                frames.release(frame);
                Err(no_memory)
            }
        }
    }

    /// Maps `frame` at `page` of an existing region, taking over one reference (none for device
    /// memory).
    pub fn place(
        &mut self,
        machine: &mut M,
        frames: &mut Frames,
        page: Page,
        frame: Frame,
        access: Access,
    ) -> Result<(), NoMemory> {
        self.map_new(machine, frames, page, frame, access)
    }

    /// Maps device memory over an existing device region.
    pub fn place_device(
        &mut self,
        machine: &mut M,
        frames: &mut Frames,
        page: Page,
        frame: Frame,
        access: Access,
    ) -> Result<(), NoMemory> {
        machine.map(frames, &mut self.tables, page, frame, access | Access::DEVICE)
    }

    /// Removes whatever is in `pages`: regions, mappings, frames.
    pub fn remove(&mut self, machine: &mut M, frames: &mut Frames, pages: Pages) {
        if pages.start >= SEARCH_START {
            self.search_from = self.search_from.min(pages.start);
        }
        self.origins.remove(pages);
        for region in self.cut(pages) {
            self.unmap_region(machine, frames, region);
        }
    }

    /// Gives back the frames of private pages: their next touch finds zeroes, or what is in the file.
    /// Not those of a program, whose bytes are nowhere else.
    ///
    /// # Errors
    /// `ENOMEM` where there is no region, `EINVAL` for pages of another kind.
    pub fn renew(
        &mut self,
        machine: &mut M,
        frames: &mut Frames,
        pages: Pages,
    ) -> Result<(), Errno> {
        if !self.is_covered(pages) {
            return Err(Errno(ENOMEM));
        }
        let has_origin = |pages| self.origins.pieces(pages).any(|(_, origin)| origin.is_some());
        let may_come_again = |region: &Region| {
            let inside = overlapping(region.pages, pages);
            region.kind == Kind::Private && (region.file.is_some() || !has_origin(inside))
        };
        if !self.touching(pages).all(may_come_again) {
            return Err(Errno(EINVAL));
        }
        self.unmap_region(machine, frames, Region::new(pages, Access::empty(), Kind::Private));
        Ok(())
    }

    /// Takes the parts of regions inside `pages` off the table, splitting at the edges.
    fn cut(&mut self, pages: Pages) -> Vec<Region> {
        let mut taken = Vec::new();
        while let Some(region) = self.first_touching(pages) {
            self.regions.remove(&region.pages.start.0);
            let inside = overlapping(region.pages, pages);
            let before = Pages { start: region.pages.start, end: inside.start };
            let after = Pages { start: inside.end, end: region.pages.end };
            for rest in [before, after].into_iter().filter(|rest| rest.count() > 0) {
                self.regions.insert(rest.start.0, Region { pages: rest, ..region });
            }
            taken.push(Region { pages: inside, ..region });
        }
        taken
    }

    fn first_touching(&self, pages: Pages) -> Option<Region> {
        let (_, region) = self.regions.range(..pages.end.0).next_back()?;
        (region.pages.end > pages.start).then_some(*region)
    }

    fn unmap_region(&mut self, machine: &mut M, frames: &mut Frames, region: Region) {
        let mut rest = region.pages;
        while rest.count() > 0 {
            let mut removed = [Frame(0); BATCH];
            let (count, next) = machine.unmap(&mut self.tables, rest, &mut removed);
            if count > 0 {
                machine.flush(&self.tables, Pages { start: rest.start, end: next });
            }
            if region.kind != Kind::Device {
                removed[..count].iter().for_each(|frame| frames.release(*frame));
                // Of a copy that failed half-way, not all that is there has been counted.
                self.shrank(frames, count.min(self.resident));
            }
            rest.start = next;
        }
    }

    /// Gives back every frame of the program's own, because the program will not run again. Its
    /// regions stay until the space goes. Allocates nothing.
    pub fn discard(&mut self, machine: &mut M, frames: &mut Frames) {
        let mut next = Page(0);
        while let Some((_, region)) = self.regions.range(next.0..).next() {
            let region = *region;
            next = region.pages.end;
            if matches!(region.kind, Kind::Private | Kind::Shared | Kind::Wired) {
                self.unmap_region(machine, frames, region);
            }
        }
    }

    /// Gives up the frame of a page that is in the store now. Allocates nothing.
    pub fn evict(&mut self, machine: &mut M, frames: &mut Frames, page: Page) {
        let mut removed = [Frame(0)];
        let (count, _) = machine.unmap(&mut self.tables, Pages::one(page), &mut removed);
        if count == 1 {
            machine.flush(&self.tables, Pages::one(page));
            frames.release(removed[0]);
            self.shrank(frames, 1);
            self.evacuated += 1;
        }
    }

    /// Maps the frame that a page has come back to, taking over its reference.
    pub fn bring_home(
        &mut self,
        machine: &mut M,
        frames: &mut Frames,
        page: Page,
        frame: Frame,
    ) -> Result<(), NoMemory> {
        let access = self.region(page).map_or(Access::empty(), |region| region.access);
        self.map_new(machine, frames, page, frame, access)?;
        self.evacuated -= 1;
        Ok(())
    }

    /// How many of `pages` are there.
    pub fn present_in(&self, machine: &M, pages: Pages) -> usize {
        let mut rest = pages;
        let mut count = 0;
        while let Some((page, ..)) = machine.next_mapped(&self.tables, rest) {
            rest.start = page.next();
            count += 1;
        }
        count
    }

    /// Whether any frame that the space maps is among the `wanted`.
    pub fn maps_any(&self, machine: &M, wanted: impl Fn(Frame) -> bool) -> bool {
        let mut rest = Pages::USER;
        while let Some((page, frame, access)) = machine.next_mapped(&self.tables, rest) {
            if !access.contains(Access::DEVICE) && wanted(frame) {
                return true;
            }
            rest.start = page.next();
        }
        false
    }

    /// Changes what `pages` allow. `ENOMEM` when part of them is no region, as POSIX has it.
    pub fn protect(
        &mut self,
        machine: &mut M,
        frames: &Frames,
        pages: Pages,
        access: Access,
    ) -> Result<(), Errno> {
        if !self.is_covered(pages) {
            return Err(Errno(ENOMEM));
        }
        // What is not mapped no CPU remembers.
        let is_mapped = machine.next_mapped(&self.tables, pages).is_some();
        for region in self.cut(pages) {
            // Shared frames stay read-only until the first write finds out whose they are.
            let shown = match region.kind {
                Kind::Private => access - Access::WRITE,
                _ => access,
            };
            self.show(machine, frames, region.pages, shown);
            self.regions.insert(region.pages.start.0, Region { access, ..region });
        }
        if is_mapped {
            machine.flush(&self.tables, pages);
        }
        Ok(())
    }

    fn touching(&self, pages: Pages) -> impl Iterator<Item = &Region> {
        let first = self.region(pages.start).map_or(pages.start.0, |r| r.pages.start.0);
        self.regions.range(first..pages.end.0).map(|(_, region)| region)
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

/// How many pages two runs have in common.
fn overlap(a: Pages, b: Pages) -> usize {
    overlapping(a, b).count()
}

/// The pages that two runs have in common.
fn overlapping(a: Pages, b: Pages) -> Pages {
    Pages { start: a.start.max(b.start), end: a.end.min(b.end) }
}
