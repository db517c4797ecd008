//! Pages that a daemon lends: files that regions show, and what becomes of the daemon's own pages
//! when somebody else sees them too.

use super::regions::overlapping;
use super::*;

/// Which bytes of a daemon's file a region shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FilePart {
    /// The open file.
    pub file: DescriptionId,
    /// What to add to an address for the place in the file. It wraps, and is the same for all parts
    /// that the region is cut into.
    shift: u64,
}

impl FilePart {
    /// `file`, with its byte `offset` at `page`.
    pub fn new(file: DescriptionId, page: Page, offset: u64) -> Self {
        Self { file, shift: offset.wrapping_sub(page.start() as u64) }
    }

    /// Where in the file a page's first byte is.
    pub fn offset(&self, page: Page) -> u64 {
        (page.start() as u64).wrapping_add(self.shift)
    }
}

impl<M: Machine> Space<M> {
    /// Notes that regions name a file. Whether that is new, and takes a reference over.
    pub fn hold(&mut self, file: DescriptionId) -> bool {
        self.held.insert(file)
    }

    /// Files that some region names.
    pub fn held(&self) -> impl Iterator<Item = DescriptionId> {
        self.held.iter().copied()
    }

    /// The files that are to be seen in `pages`, each once.
    pub fn files_in(&self, pages: Pages) -> BTreeSet<DescriptionId> {
        if self.held.is_empty() {
            return BTreeSet::new();
        }
        self.touching(pages).filter_map(|region| Some(region.file?.file)).collect()
    }

    /// Forgets a file if no region names it any more. Its reference is the caller's to drop then.
    pub fn lets_go(&mut self, file: DescriptionId) -> bool {
        let is_shown = |region: &Region| region.file.is_some_and(|part| part.file == file);
        !self.regions.values().any(is_shown) && self.held.remove(&file)
    }

    /// Takes an empty space apart. The files that it held are the caller's to release.
    pub fn into_held(self, machine: &mut M, frames: &mut Frames) -> BTreeSet<DescriptionId> {
        machine.drop_space(frames, self.tables);
        self.held
    }

    /// The parts of `pages` where what is written is a file's, lowest first.
    pub fn shared_files(&self, pages: Pages) -> impl Iterator<Item = (Pages, DescriptionId)> {
        let shared = self.touching(pages).filter(|region| region.kind == Kind::Shared);
        shared.filter_map(|region| Some((region.pages, region.file?.file)))
    }

    /// Of `window`, the pages around `page` that show the same file and are not there.
    pub fn missing_around(&self, machine: &M, page: Page, window: Pages) -> Pages {
        let Some(region) = self.region(page) else { return Pages::one(page) };
        let is_missing = |page: &Page| machine.lookup(&self.tables, *page).is_none();
        let first = window.start.max(region.pages.start).0;
        let last = window.end.min(region.pages.end).0;
        let start = (first..page.0).rev().map(Page).take_while(is_missing).last();
        let end = (page.0 + 1..last).map(Page).take_while(is_missing).last();
        Pages { start: start.unwrap_or(page), end: end.unwrap_or(page).next() }
    }

    /// Turns private pages into shared ones, because somebody else has got them for good.
    pub fn mark_shared(&mut self, pages: Pages) {
        for region in self.cut(pages) {
            let kind = if region.kind == Kind::Private { Kind::Shared } else { region.kind };
            self.insert_joined(Region { kind, ..region });
        }
    }

    /// One region instead of many where neighbours are of a kind: a file is lent piece by piece.
    fn insert_joined(&mut self, mut region: Region) {
        let is_alike = |other: &Region| Region { pages: region.pages, ..*other } == region;
        let before = self.regions.range(..region.pages.start.0).next_back().map(|(_, r)| *r);
        let before = before.filter(|b| b.pages.end == region.pages.start && is_alike(b));
        let after = self.regions.get(&region.pages.end.0).copied().filter(is_alike);
        if let Some(after) = after {
            self.regions.remove(&after.pages.start.0);
            region.pages.end = after.pages.end;
        }
        if let Some(before) = before {
            region.pages.start = before.pages.start;
        }
        self.regions.insert(region.pages.start.0, region);
    }

    /// Makes the next write to `pages` break sharing, because somebody else sees them too.
    pub fn forbid_writing(&mut self, machine: &mut M, frames: &Frames, pages: Pages) {
        let private = self.touching(pages).filter(|r| r.kind == Kind::Private);
        for region in private.copied().collect::<Vec<_>>() {
            let inside = overlapping(region.pages, pages);
            self.show(machine, frames, inside, region.access - Access::WRITE);
        }
        machine.flush(&self.tables, pages);
    }
}
