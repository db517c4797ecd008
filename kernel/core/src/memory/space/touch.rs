//! Pages that come when they are touched: filled with zeroes, shown again, or copied because a write
//! must not be seen by others.

use super::*;

impl<M: Machine> Space<M> {
    /// Makes `page` present for `access`, as a processor fault or a copy wants it.
    ///
    /// # Errors
    /// `EFAULT` when no region allows it, `ENOMEM` when there is no frame or its page is away,
    /// `EBUSY` while it is parked.
    pub fn fault(
        &mut self,
        machine: &mut M,
        frames: &mut Frames,
        zero: Frame,
        page: Page,
        access: Access,
    ) -> Result<(), Errno> {
        let region = *self.region(page).ok_or(Errno(EFAULT))?;
        if !region.access.contains(access) {
            return Err(Errno(EFAULT));
        }
        if self.is_away {
            return Err(Errno(EBUSY));
        }
        match machine.lookup(&self.tables, page) {
            None => self.fill(machine, frames, zero, page, region, access),
            Some((_, have)) if have.contains(access) => {
                machine.flush_here(&self.tables, Pages::one(page));
                Ok(())
            }
            Some((frame, have)) => {
                if have.is_empty()
                    && self.unlock(machine, frames, page, region, frame)?.contains(access)
                {
                    return Ok(());
                }
                self.break_sharing(machine, frames, zero, page, region, frame)
            }
        }
    }

    /// First touch. Reading gets the one zero frame of the machine, writing a frame of its own.
    fn fill(
        &mut self,
        machine: &mut M,
        frames: &mut Frames,
        zero: Frame,
        page: Page,
        region: Region,
        access: Access,
    ) -> Result<(), Errno> {
        if region.kind != Kind::Private {
            return Err(Errno(EFAULT));
        }
        if access.contains(Access::WRITE) {
            if !self.may_grow(frames, 1) {
                return Err(Errno(ENOMEM));
            }
            let frame = frames.allocate().ok_or(Errno(ENOMEM))?;
            machine.zero(frame);
            self.map_new(machine, frames, page, frame, region.access)?;
        } else {
            frames.add_reference(zero);
            self.map_new(machine, frames, page, zero, region.access - Access::WRITE)?;
        }
        Ok(())
    }

    /// First write to a page that is mapped read-only because others have it too.
    fn break_sharing(
        &mut self,
        machine: &mut M,
        frames: &mut Frames,
        zero: Frame,
        page: Page,
        region: Region,
        frame: Frame,
    ) -> Result<(), Errno> {
        let alone = region.kind != Kind::Private || frames.references(frame) == 1;
        if alone {
            machine.protect(&mut self.tables, Pages::one(page), region.access);
            machine.flush_here(&self.tables, Pages::one(page));
            return Ok(());
        }
        let own = frames.allocate().ok_or(Errno(ENOMEM))?;
        if frame == zero {
            machine.zero(own);
        } else {
            machine.copy(frame.start(), own.start(), PAGE_SIZE);
        }
        machine.map(frames, &mut self.tables, page, own, region.access)?;
        machine.flush(&self.tables, Pages::one(page));
        frames.release(frame);
        Ok(())
    }

    /// The frame of a page for somebody who may change more than the program itself: sharing is
    /// broken as by a first write, also where the program may only read.
    ///
    /// # Errors
    /// `EFAULT` where there is no memory, `EACCES` where others would see the change, `ENOMEM`,
    /// `EBUSY` while it is parked.
    pub fn own_page(
        &mut self,
        machine: &mut M,
        frames: &mut Frames,
        page: Page,
    ) -> Result<Frame, Errno> {
        let region = *self.region(page).ok_or(Errno(EFAULT))?;
        if region.access.is_empty() || matches!(region.kind, Kind::Device | Kind::Window) {
            return Err(Errno(EFAULT));
        }
        if self.is_away {
            return Err(Errno(EBUSY));
        }
        let found = machine.lookup(&self.tables, page).map(|(frame, _)| frame);
        if let Some(frame) = found.filter(|frame| frames.is_away(*frame)) {
            frames.await_page(frame);
            return Err(Errno(ENOMEM));
        }
        if matches!(region.kind, Kind::Shared | Kind::Wired) {
            let is_open = region.access.contains(Access::WRITE);
            return found.ok_or(Errno(EFAULT)).and_then(|frame| match is_open {
                true => Ok(frame),
                false => Err(Errno(EACCES)),
            });
        }
        if let Some(frame) = found
            && frames.references(frame) == 1
        {
            return Ok(frame);
        }
        let own = frames.allocate().ok_or(Errno(ENOMEM))?;
        match found {
            Some(frame) => {
                machine.copy(frame.start(), own.start(), PAGE_SIZE);
                machine.map(frames, &mut self.tables, page, own, region.access)?;
                machine.flush(&self.tables, Pages::one(page));
                frames.release(frame);
            }
            None => {
                machine.zero(own);
                self.map_new(machine, frames, page, own, region.access)?;
            }
        }
        Ok(own)
    }
}
