//! Pages that are away, in the emergency's store, while their program runs: they stay mapped to
//! their frame, with no access at all. Touching one is refused like touching memory there is none
//! for; when it is back, the next touch finds it so and gives the mapping its rights again.

use super::*;

impl<M: Machine> Space<M> {
    /// Locks the pages that are away, of the next `count` mapped ones from `page` on. Where to go
    /// on; none behind the last. The caller flushes.
    pub fn lock_away(
        &mut self,
        machine: &mut M,
        frames: &Frames,
        page: Page,
        count: usize,
    ) -> Option<Page> {
        let mut rest = Pages { start: page, end: Page(USER_END / PAGE_SIZE) };
        for _ in 0..count {
            let (page, frame, access) = machine.next_mapped(&self.tables, rest)?;
            if !access.contains(Access::DEVICE) && frames.is_away(frame) {
                machine.protect(&mut self.tables, Pages::one(page), Access::empty());
            }
            rest.start = page.next();
        }
        Some(rest.start)
    }

    /// A page that may not be touched, though its region allows it, is or was away. What it
    /// allows now that it is back.
    pub(super) fn unlock(
        &mut self,
        machine: &mut M,
        frames: &mut Frames,
        page: Page,
        region: Region,
        frame: Frame,
    ) -> Result<Access, Errno> {
        if frames.is_away(frame) {
            frames.await_page(frame);
            return Err(Errno(ENOMEM));
        }
        let is_alone = region.kind != Kind::Private || frames.references(frame) == 1;
        let shown = if is_alone { region.access } else { region.access - Access::WRITE };
        machine.protect(&mut self.tables, Pages::one(page), shown);
        machine.flush_here(&self.tables, Pages::one(page));
        Ok(shown)
    }

    /// Changes what mapped pages allow; those that are away stay locked.
    pub(super) fn show(&mut self, machine: &mut M, frames: &Frames, pages: Pages, access: Access) {
        if !frames.has_away {
            return machine.protect(&mut self.tables, pages, access);
        }
        let mut rest = pages;
        while let Some((page, frame, _)) = machine.next_mapped(&self.tables, rest) {
            if !frames.is_away(frame) {
                machine.protect(&mut self.tables, Pages::one(page), access);
            }
            rest.start = page.next();
        }
    }
}
