//! Moving bytes between programs and the kernel.
//!
//! A program's memory is reached page by page through its page tables and the physical map, never
//! through its own addresses, so a bad pointer costs the caller an `EFAULT` and the kernel
//! nothing. A page that is allowed but absent is brought first.

use super::Kernel;
use crate::error::*;
use crate::machine::{Access, Machine};
use crate::memory::{Page, PhysicalAddress, SpaceId, UserSlice};
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

    #[inline]
    fn physical_at(
        &mut self,
        space: SpaceId,
        slice: UserSlice,
        access: Access,
    ) -> Outcome<(PhysicalAddress, usize)> {
        let page = Page::containing(slice.address);
        let inside = slice.address % PAGE_SIZE;
        let length = slice.length.min(PAGE_SIZE - inside);
        let tables = &self.spaces[space.0].tables;
        if let Some((frame, have)) = self.machine.lookup(tables, page)
            && have.contains(access)
            && is_memory(have)
        {
            return Ok((frame.at(inside), length));
        }
        self.bring_page(space, page, access)?;
        let tables = &self.spaces[space.0].tables;
        let found = self.machine.lookup(tables, page);
        let (frame, _) = found.filter(|(_, have)| is_memory(*have)).ok_or(Errno(EFAULT))?;
        Ok((frame.at(inside), length))
    }

    /// Makes a page present, as a fault would.
    #[cold]
    pub(crate) fn bring_page(
        &mut self,
        space: SpaceId,
        page: Page,
        access: Access,
    ) -> Result<(), Errno> {
        let space = &mut self.spaces[space.0];
        space.fault(&mut self.machine, &mut self.frames, self.zero, page, access)
    }

    /// Copies from a program. `into` is at most as long as `from`.
    pub fn copy_in(&mut self, space: SpaceId, from: UserSlice, into: &mut [u8]) -> Outcome<()> {
        let length = into.len().min(from.length);
        let mut done = 0;
        while done < length {
            let (at, count) = self.readable_at(space, from.part(done, length - done))?;
            self.machine.read(at, &mut into[done..done + count]);
            done += count;
        }
        Ok(())
    }

    /// Copies to a program. `from` is at most as long as `into`.
    pub fn copy_out(&mut self, space: SpaceId, into: UserSlice, from: &[u8]) -> Outcome<()> {
        let length = from.len().min(into.length);
        let mut done = 0;
        while done < length {
            let (at, count) = self.writable_at(space, into.part(done, length - done))?;
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

/// Whether what is mapped so is memory. A device's registers are not: reading them may change
/// them, and the physical map need not have them.
fn is_memory(have: Access) -> bool {
    !have.contains(Access::DEVICE)
}
