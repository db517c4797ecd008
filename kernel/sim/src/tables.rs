//! Page tables, and the translation cache that each CPU keeps of them.

use kernel_core::machine::Access;
use kernel_core::memory::{Frame, Frames, NoMemory, Page, Pages};
use std::collections::{BTreeMap, BTreeSet};

/// Entries of one table, as a power of two (SDM 3, 4.5: 512 entries of 8 bytes).
const ENTRIES_BITS: usize = 9;
/// Levels below the root.
const LEVELS: usize = 3;

/// One address space as the hardware sees it.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pages: BTreeMap<Page, (Frame, Access)>,
    /// The frames that real tables would take, by level and place.
    present: BTreeSet<(usize, usize)>,
    /// One for the root and one for every table.
    pub(crate) frames: Vec<Frame>,
}

impl Tables {
    pub(crate) fn new(frames: &mut Frames) -> Result<Self, NoMemory> {
        let root = frames.allocate().ok_or(NoMemory)?;
        Ok(Self { frames: vec![root], ..Self::default() })
    }

    pub(crate) fn give_back(self, frames: &mut Frames) {
        assert!(self.pages.is_empty(), "a space is dropped with {} pages mapped", self.pages.len());
        self.frames.into_iter().for_each(|frame| frames.release(frame));
    }

    /// Like hardware, tables stay once they are there.
    fn add_tables(&mut self, frames: &mut Frames, page: Page) -> Result<(), NoMemory> {
        for level in (1..=LEVELS).rev() {
            let place = (level, page.0 >> (level * ENTRIES_BITS));
            if !self.present.contains(&place) {
                self.frames.push(frames.allocate().ok_or(NoMemory)?);
                self.present.insert(place);
            }
        }
        Ok(())
    }

    pub(crate) fn map(
        &mut self,
        frames: &mut Frames,
        page: Page,
        frame: Frame,
        access: Access,
    ) -> Result<(), NoMemory> {
        let both = Access::WRITE | Access::EXECUTE;
        assert!(!access.contains(both), "{page:?} would be writable code");
        self.add_tables(frames, page)?;
        self.pages.insert(page, (frame, access));
        Ok(())
    }

    pub(crate) fn lookup(&self, page: Page) -> Option<(Frame, Access)> {
        self.pages.get(&page).copied()
    }

    pub(crate) fn mapped(&self, pages: Pages) -> impl Iterator<Item = (Page, Frame, Access)> + '_ {
        let range = self.pages.range(pages.start..pages.end);
        range.map(|(page, (frame, access))| (*page, *frame, *access))
    }

    pub(crate) fn unmap(&mut self, pages: Pages, removed: &mut [Frame]) -> (usize, Page) {
        let found: Vec<(Page, Frame)> = self
            .mapped(pages)
            .take(removed.len() + 1)
            .map(|(page, frame, _)| (page, frame))
            .collect();
        let count = found.len().min(removed.len());
        for (place, (page, frame)) in removed.iter_mut().zip(&found) {
            *place = *frame;
            self.pages.remove(page);
        }
        (count, found.get(count).map_or(pages.end, |(page, _)| *page))
    }

    pub(crate) fn protect(&mut self, pages: Pages, access: Access) {
        for (_, (_, have)) in self.pages.range_mut(pages.start..pages.end) {
            *have = access | *have & Access::DEVICE;
        }
    }
}

/// What a CPU remembers of the tables of the space it runs. It forgets only when told to.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    pages: BTreeMap<Page, (Frame, Access)>,
}

impl Cache {
    pub(crate) fn get(&self, page: Page) -> Option<(Frame, Access)> {
        self.pages.get(&page).copied()
    }

    pub(crate) fn keep(&mut self, page: Page, frame: Frame, access: Access) {
        self.pages.insert(page, (frame, access));
    }

    pub(crate) fn forget(&mut self, pages: Pages) {
        self.pages.retain(|page, _| !pages.contains(*page));
    }
}
