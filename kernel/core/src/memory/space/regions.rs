//! Which pages of a space there may be: its regions, and room for more.
//!
//! Never looks at what is there.

use super::*;

impl<M: Machine> Space<M> {
    /// The region that covers `page`.
    pub fn region(&self, page: Page) -> Option<&Region> {
        let (_, region) = self.regions.range(..=page.0).next_back()?;
        region.pages.contains(page).then_some(region)
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
    pub(super) fn search(&self, count: usize, mut start: Page) -> Option<Pages> {
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

    /// Takes the parts of regions inside `pages` off the table, splitting at the edges.
    pub(super) fn cut(&mut self, pages: Pages) -> Vec<Region> {
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

    pub(super) fn first_touching(&self, pages: Pages) -> Option<Region> {
        let (_, region) = self.regions.range(..pages.end.0).next_back()?;
        (region.pages.end > pages.start).then_some(*region)
    }

    pub(super) fn touching(&self, pages: Pages) -> impl Iterator<Item = &Region> {
        let first = self.region(pages.start).map_or(pages.start.0, |r| r.pages.start.0);
        self.regions.range(first..pages.end.0).map(|(_, region)| region)
    }
}

/// How many pages two runs have in common.
pub(super) fn overlap(a: Pages, b: Pages) -> usize {
    overlapping(a, b).count()
}

/// The pages that two runs have in common.
pub(super) fn overlapping(a: Pages, b: Pages) -> Pages {
    Pages { start: a.start.max(b.start), end: a.end.min(b.end) }
}
