//! Moving bytes between programs and the kernel.
//!
//! A program's memory is reached page by page through its page tables and the physical map, never
//! through its own addresses, so a bad pointer costs the caller an `EFAULT` and the kernel
//! nothing. A page that is allowed but absent is brought first.

use super::Kernel;
use crate::error::*;
use crate::machine::{Access, Machine};
use crate::memory::{Frame, Miss, Page, PhysicalAddress, SpaceId, UserSlice};
use abi::PAGE_SIZE;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

impl<M: Machine> Kernel<M> {
    /// Where the first byte of `slice` is for reading, and how many follow in the same frame.
    #[inline]
    pub(crate) fn readable_at(
        &mut self,
        space: SpaceId,
        slice: UserSlice,
    ) -> Outcome<(PhysicalAddress, usize)> {
        self.physical_at(space, slice, Access::READ)
    }

    /// The same for writing.
    #[inline]
    pub(crate) fn writable_at(
        &mut self,
        space: SpaceId,
        slice: UserSlice,
    ) -> Outcome<(PhysicalAddress, usize)> {
        self.physical_at(space, slice, Access::WRITE)
    }

    #[inline(always)]
    fn physical_at(
        &mut self,
        space: SpaceId,
        slice: UserSlice,
        access: Access,
    ) -> Outcome<(PhysicalAddress, usize)> {
        let tables = &self.spaces[space.0].tables;
        match self.machine.lookup(tables, Page::containing(slice.address)) {
            Some((frame, have)) if have.contains(access) && is_memory(have) => {
                Ok(start_of(slice, frame))
            }
            _ => self.physical_after_bringing(space, slice, access),
        }
    }

    #[cold]
    #[inline(never)]
    fn physical_after_bringing(
        &mut self,
        space: SpaceId,
        slice: UserSlice,
        access: Access,
    ) -> Outcome<(PhysicalAddress, usize)> {
        let page = Page::containing(slice.address);
        self.bring_page(space, page, access)?;
        let tables = &self.spaces[space.0].tables;
        let found = self.machine.lookup(tables, page);
        let (frame, _) = found.filter(|(_, have)| is_memory(*have)).ok_or(Errno(EFAULT))?;
        Ok(start_of(slice, frame))
    }

    /// Makes a page present, as a fault would.
    #[cold]
    pub(crate) fn bring_page(
        &mut self,
        space: SpaceId,
        page: Page,
        access: Access,
    ) -> Result<(), Errno> {
        loop {
            let tables = &mut self.spaces[space.0];
            match tables.fault(&mut self.machine, &mut self.frames, self.zero, page, access) {
                Ok(()) => return Ok(()),
                Err(Miss::Refused(errno)) => return Err(errno),
                Err(Miss::InFile) => self.bring_from_file(space, page)?,
            }
        }
    }

    /// The frame of a page for somebody who may change more than the program itself.
    pub(crate) fn own_page(&mut self, space: SpaceId, page: Page) -> Result<Frame, Errno> {
        loop {
            let tables = &mut self.spaces[space.0];
            match tables.own_page(&mut self.machine, &mut self.frames, page) {
                Ok(frame) => return Ok(frame),
                Err(Miss::Refused(errno)) => return Err(errno),
                Err(Miss::InFile) => self.bring_from_file(space, page)?,
            }
        }
    }

    /// Copies from a program. `into` is at most as long as `from`. Nearly all that is copied so lies
    /// in one page.
    #[inline]
    pub fn copy_in(&mut self, space: SpaceId, from: UserSlice, into: &mut [u8]) -> Outcome<()> {
        let length = into.len().min(from.length);
        if length == 0 {
            return Ok(());
        }
        let (at, count) = self.readable_at(space, from.part(0, length))?;
        self.machine.read(at, &mut into[..count]);
        if count == length {
            return Ok(());
        }
        self.copy_in_rest(space, from.part(count, length - count), &mut into[count..length])
    }

    #[cold]
    #[inline(never)]
    fn copy_in_rest(&mut self, space: SpaceId, from: UserSlice, into: &mut [u8]) -> Outcome<()> {
        let mut done = 0;
        while done < into.len() {
            let (at, count) = self.readable_at(space, from.part(done, from.length))?;
            self.machine.read(at, &mut into[done..done + count]);
            done += count;
        }
        Ok(())
    }

    /// Copies to a program. `from` is at most as long as `into`.
    #[inline]
    pub fn copy_out(&mut self, space: SpaceId, into: UserSlice, from: &[u8]) -> Outcome<()> {
        let length = from.len().min(into.length);
        if length == 0 {
            return Ok(());
        }
        let (at, count) = self.writable_at(space, into.part(0, length))?;
        self.machine.write(at, &from[..count]);
        if count == length {
            return Ok(());
        }
        self.copy_out_rest(space, into.part(count, length - count), &from[count..length])
    }

    #[cold]
    #[inline(never)]
    fn copy_out_rest(&mut self, space: SpaceId, into: UserSlice, from: &[u8]) -> Outcome<()> {
        let mut done = 0;
        while done < from.len() {
            let (at, count) = self.writable_at(space, into.part(done, into.length))?;
            self.machine.write(at, &from[done..done + count]);
            done += count;
        }
        Ok(())
    }

    /// Copies a whole piece of a program's memory into the kernel. The caller has limited its
    /// length.
    pub fn copy_in_vec(&mut self, space: SpaceId, from: UserSlice) -> Outcome<Vec<u8>> {
        let mut bytes = vec![0; from.length];
        self.copy_in(space, from, &mut bytes)?;
        Ok(bytes)
    }

    /// Copies a path. `ENAMETOOLONG`, `EINVAL` when it is not UTF-8 or has a NUL.
    pub fn copy_path(&mut self, space: SpaceId, address: usize, length: usize) -> Outcome<String> {
        if length > abi::PATH_MAX {
            return fail(ENAMETOOLONG);
        }
        let bytes = self.copy_in_vec(space, UserSlice::new(address, length)?)?;
        if bytes.contains(&0) {
            return fail(EINVAL);
        }
        String::from_utf8(bytes).map_err(|_| Stop::Error(Errno(EINVAL)))
    }

    /// Copies a whole value out, if the program has room for all of it.
    pub fn copy_out_exact(&mut self, space: SpaceId, address: usize, from: &[u8]) -> Outcome<()> {
        self.copy_out(space, UserSlice::new(address, from.len())?, from)
    }

    /// Copies a whole value in.
    pub fn copy_in_exact(
        &mut self,
        space: SpaceId,
        address: usize,
        into: &mut [u8],
    ) -> Outcome<()> {
        self.copy_in(space, UserSlice::new(address, into.len())?, into)
    }

    /// Copies `N` machine words in: most of the interface's structures are nothing else.
    pub fn copy_in_words<const N: usize>(
        &mut self,
        space: SpaceId,
        address: usize,
    ) -> Outcome<[usize; N]> {
        let mut words = [0; N];
        for (index, word) in words.iter_mut().enumerate() {
            let mut bytes = [0; 8];
            self.copy_in_exact(space, address.wrapping_add(index * 8), &mut bytes)?;
            *word = usize::from_ne_bytes(bytes);
        }
        Ok(words)
    }
}

/// Where a slice begins in the frame of its first page, and how much of it is there.
#[inline(always)]
fn start_of(slice: UserSlice, frame: Frame) -> (PhysicalAddress, usize) {
    let inside = slice.address % PAGE_SIZE;
    (frame.at(inside), slice.length.min(PAGE_SIZE - inside))
}

/// Whether what is mapped so is memory. A device's registers are not: reading them may change
/// them, and the physical map need not have them.
fn is_memory(have: Access) -> bool {
    !have.contains(Access::DEVICE)
}
