//! Pages that come when they are touched: filled with zeroes, shown again, or copied because a write
//! must not be seen by others.

use super::*;

/// Why a page cannot be had now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Miss {
    /// It may not be had, or there is no memory for it.
    Refused(Errno),
    /// Its bytes are in a file, and the file's daemon has yet to bring them.
    InFile,
}

impl From<Errno> for Miss {
    fn from(errno: Errno) -> Self {
        Miss::Refused(errno)
    }
}

impl From<NoMemory> for Miss {
    fn from(no_memory: NoMemory) -> Self {
        Miss::Refused(no_memory.into())
    }
}

impl<M: Machine> Space<M> {
    /// Makes `page` present for `access`, as a processor fault or a copy wants it.
    ///
    /// # Errors
    /// [`Miss::InFile`], or: `EFAULT` when no region allows it, `ENOMEM` when there is no frame or its
    /// page is away, `EBUSY` while it is parked.
    pub fn fault(
        &mut self,
        machine: &mut M,
        frames: &mut Frames,
        zero: Frame,
        page: Page,
        access: Access,
    ) -> Result<(), Miss> {
        let region = *self.region(page).ok_or(Errno(EFAULT))?;
        if !region.access.contains(access) {
            return Err(Errno(EFAULT).into());
        }
        if self.is_away {
            return Err(Errno(EBUSY).into());
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
                Ok(self.break_sharing(machine, frames, zero, page, region, frame)?)
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
    ) -> Result<(), Miss> {
        if region.file.is_some() {
            return Err(Miss::InFile);
        }
        if region.kind != Kind::Private {
            return Err(Errno(EFAULT).into());
        }
        if access.contains(Access::WRITE) {
            if !self.may_grow(frames, 1) {
                return Err(Errno(ENOMEM).into());
            }
            let frame = frames.allocate().ok_or(Errno(ENOMEM))?;
            machine.zero(frame);
            self.place(machine, frames, page, frame, region.access)?;
        } else {
            frames.add_reference(zero);
            self.place(machine, frames, page, zero, region.access - Access::WRITE)?;
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
    /// [`Miss::InFile`], or: `EFAULT` where there is no memory, `EACCES` where others would see the
    /// change, `ENOMEM`, `EBUSY` while it is parked.
    pub fn own_page(
        &mut self,
        machine: &mut M,
        frames: &mut Frames,
        page: Page,
    ) -> Result<Frame, Miss> {
        let region = *self.region(page).ok_or(Errno(EFAULT))?;
        if region.access.is_empty() || matches!(region.kind, Kind::Device | Kind::Window) {
            return Err(Errno(EFAULT).into());
        }
        if self.is_away {
            return Err(Errno(EBUSY).into());
        }
        let found = machine.lookup(&self.tables, page).map(|(frame, _)| frame);
        if let Some(frame) = found.filter(|frame| frames.is_away(*frame)) {
            frames.await_page(frame);
            return Err(Errno(ENOMEM).into());
        }
        if found.is_none() && region.file.is_some() {
            return Err(Miss::InFile);
        }
        if matches!(region.kind, Kind::Shared | Kind::Wired) {
            let is_open = region.access.contains(Access::WRITE);
            let frame = found.ok_or(Errno(EFAULT))?;
            return if is_open { Ok(frame) } else { Err(Errno(EACCES).into()) };
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
                self.place(machine, frames, page, own, region.access)?;
            }
        }
        Ok(own)
    }
}
