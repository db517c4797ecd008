//! Which pages of a space are there: mapping them, taking them away, and what they allow.

use super::regions::overlapping;
use super::*;

impl<M: Machine> Space<M> {
    /// How many pages of regions of these kinds are there.
    pub fn present_of(&self, machine: &M, kinds: &[Kind]) -> usize {
        let wanted = self.regions.values().filter(|region| kinds.contains(&region.kind));
        wanted.map(|region| self.present_in(machine, region.pages)).sum()
    }

    /// Maps a frame at a page of a region, and takes its reference over; gives that back when there is no memory
    /// for tables, or the limit is reached.
    pub fn place(
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

    pub(super) fn unmap_region(&mut self, machine: &mut M, frames: &mut Frames, region: Region) {
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
        self.place(machine, frames, page, frame, access)?;
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
}
