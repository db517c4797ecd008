//! User address spaces: the lower half of a tree of tables.
//!
//! The upper half is the kernel's and the same in all. Every frame that a space uses for tables is
//! on its list, so taking one apart does not search. Tables that have become empty stay until
//! then.

use super::{
    ADDRESS, CACHE_DISABLE, NO_EXECUTE, PRESENT, Table, USER, WRITE, WRITE_THROUGH, frame_of, index,
};
use crate::physical;
use alloc::vec::Vec;
use core::arch::asm;
use kernel_core::machine::Access;
use kernel_core::memory::{Frame, Frames, NoMemory, Page, Pages};

/// Entries of a table that belong to the kernel, in the top-level one.
const KERNEL_HALF: usize = 256;
/// Tables above the last level allow everything; the last level decides.
const INNER: u64 = PRESENT | WRITE | USER;

/// One user address space.
#[derive(Debug)]
pub struct Space {
    root: Frame,
    tables: Vec<Frame>,
}

/// The rights of a last-level entry that allows `access`.
fn rights(access: Access) -> u64 {
    let mut rights = PRESENT;
    if access.intersects(Access::READ | Access::WRITE | Access::EXECUTE) {
        rights |= USER;
    }
    if access.contains(Access::WRITE) {
        rights |= WRITE;
    }
    if !access.contains(Access::EXECUTE) {
        rights |= NO_EXECUTE;
    }
    if access.contains(Access::DEVICE) {
        rights |= CACHE_DISABLE | WRITE_THROUGH;
    }
    rights
}

/// What a last-level entry allows.
#[inline]
fn access_of(entry: u64) -> Access {
    let mut access = Access::empty();
    if entry & USER != 0 {
        access |= Access::READ;
        access.set(Access::WRITE, entry & WRITE != 0);
        access.set(Access::EXECUTE, entry & NO_EXECUTE == 0);
    }
    access.set(Access::DEVICE, entry & CACHE_DISABLE != 0);
    access
}

/// How many of the `count` entries at `from` are 0 before the first that is not.
///
/// # Safety
/// The entries lie in a table.
#[inline]
unsafe fn count_zero(from: *const u64, count: usize) -> usize {
    let left: usize;
    let is_all_zero: u8;
    // SAFETY: the caller's promise; the direction flag is clear in kernel code.
    unsafe {
        asm!(
            // An empty run must read as "all zero".
            "cmp eax, eax",
            "repe scasq",
            "sete {all}",
            all = out(reg_byte) is_all_zero,
            inout("rcx") count => left,
            inout("rdi") from => _,
            in("rax") 0usize,
            options(nostack, readonly)
        );
    }
    if is_all_zero != 0 { count } else { count - left - 1 }
}

impl Space {
    /// An empty space with the kernel's half of `kernel`.
    pub(crate) fn new(frames: &mut Frames, kernel: Frame) -> Result<Self, NoMemory> {
        let mut tables = Vec::new();
        let root = add_table(&mut tables, frames)?;
        let half = KERNEL_HALF * size_of::<u64>();
        // SAFETY: both are top-level tables; the new one belongs to nobody else.
        unsafe {
            let from = physical::frame::<u8>(kernel).add(half);
            physical::copy(from, physical::frame::<u8>(root).add(half), half);
        }
        Ok(Self { root, tables })
    }

    /// The top-level table.
    #[inline]
    pub(crate) fn root(&self) -> Frame {
        self.root
    }

    /// Gives all tables back.
    pub(crate) fn drop(self, frames: &mut Frames) {
        self.tables.into_iter().for_each(|table| frames.release(table));
    }

    /// Maps a page, replacing what was mapped.
    pub(crate) fn map(
        &mut self,
        frames: &mut Frames,
        page: Page,
        frame: Frame,
        access: Access,
    ) -> Result<(), NoMemory> {
        let table = self.make_last_table(frames, page)?;
        // SAFETY: the table is one of this space, borrowed mutably.
        unsafe { write(table, page, frame.start().0 | rights(access)) };
        Ok(())
    }

    /// What a page maps to.
    #[inline]
    pub(crate) fn lookup(&self, page: Page) -> Option<(Frame, Access)> {
        let table = self.last_table(page).ok()?;
        // SAFETY: the table is one of this space.
        let entry = unsafe { (*table)[page.0 & 511] };
        (entry != 0).then(|| (frame_of(entry), access_of(entry)))
    }

    /// The first mapped page in `pages`.
    pub(crate) fn next_mapped(&self, pages: Pages) -> Option<(Page, Frame, Access)> {
        let mut found = None;
        self.visit(pages, |page, entry| {
            found = Some((page, frame_of(*entry), access_of(*entry)));
            false
        });
        found
    }

    /// Unmaps the lowest pages of `pages`, as many as `removed` has room for.
    pub(crate) fn unmap(&mut self, pages: Pages, removed: &mut [Frame]) -> (usize, Page) {
        let mut count = 0;
        let mut next = pages.end;
        self.visit(pages, |page, entry| {
            if count == removed.len() {
                next = page;
                return false;
            }
            removed[count] = frame_of(*entry);
            count += 1;
            *entry = 0;
            true
        });
        (count, next)
    }

    /// Changes what mapped pages allow. Device memory stays that.
    pub(crate) fn protect(&mut self, pages: Pages, access: Access) {
        let rights = rights(access);
        self.visit(pages, |_, entry| {
            let device = *entry & (CACHE_DISABLE | WRITE_THROUGH);
            *entry = *entry & ADDRESS | rights | device;
            true
        });
    }

    /// Maps what `self` maps in `pages` into `to` as well.
    pub(crate) fn share(
        &mut self,
        frames: &mut Frames,
        to: &mut Space,
        pages: Pages,
        copy_on_write: bool,
    ) -> Result<usize, NoMemory> {
        let kept = if copy_on_write { !WRITE } else { u64::MAX };
        // The table of `to` that takes the entries, and which pages it covers.
        let (mut table, mut covered) = (core::ptr::null_mut(), usize::MAX);
        let mut has_memory = true;
        let mut count = 0;
        self.visit(pages, |page, entry| {
            if covered != page.0 >> 9 {
                match to.make_last_table(frames, page) {
                    Ok(made) => (table, covered) = (made, page.0 >> 9),
                    Err(NoMemory) => {
                        has_memory = false;
                        return false;
                    }
                }
            }
            *entry &= kept;
            frames.add_reference(frame_of(*entry));
            // SAFETY: the table is one of `to`, borrowed mutably.
            unsafe { write(table, page, *entry) };
            count += 1;
            true
        });
        if has_memory { Ok(count) } else { Err(NoMemory) }
    }

    /// Calls `act` for each mapped page of `pages`, lowest first, until it says false.
    #[inline]
    fn visit(&self, pages: Pages, mut act: impl FnMut(Page, &mut u64) -> bool) {
        let mut page = pages.start;
        while page < pages.end {
            let table = match self.last_table(page) {
                Ok(table) => table,
                Err(next) => {
                    page = next;
                    continue;
                }
            };
            let mut slot = page.0 & 511;
            let base = page.0 - slot;
            let end = (pages.end.0 - base).min(512);
            while slot < end {
                // SAFETY: the table is one of this space, and `slot < end <= 512`. Callers that
                // change entries have borrowed the space mutably.
                let keeps_on = unsafe {
                    let entry = table.cast::<u64>().add(slot);
                    // Mapped pages stand together, and so do those that are not.
                    if *entry == 0 {
                        slot += count_zero(entry, end - slot);
                        continue;
                    }
                    act(Page(base + slot), &mut *entry)
                };
                if !keeps_on {
                    return;
                }
                slot += 1;
            }
            page = Page(base + 512);
        }
    }

    /// The last-level table that covers `page`, or the first page that the table missing at some
    /// level does not cover.
    #[inline]
    fn last_table(&self, page: Page) -> Result<*mut Table, Page> {
        let mut table = physical::frame::<Table>(self.root);
        for level in [4, 3, 2] {
            // SAFETY: the table is one of this space.
            let entry = unsafe { (*table)[index(page.start(), level)] };
            if entry == 0 {
                let covered = 1 << (9 * (level - 1));
                return Err(Page((page.0 | (covered - 1)) + 1));
            }
            table = physical::frame::<Table>(frame_of(entry));
        }
        Ok(table)
    }

    /// The last-level table that covers `page`, making what is missing.
    fn make_last_table(&mut self, frames: &mut Frames, page: Page) -> Result<*mut Table, NoMemory> {
        let mut table = physical::frame::<Table>(self.root);
        for level in [4, 3, 2] {
            // SAFETY: the table is one of this space, borrowed mutably.
            let entry = unsafe { &mut (*table)[index(page.start(), level)] };
            if *entry == 0 {
                *entry = add_table(&mut self.tables, frames)?.start().0 | INNER;
            }
            table = physical::frame::<Table>(frame_of(*entry));
        }
        Ok(table)
    }
}

/// Writes the entry of `page`. In one store: other CPUs walk the tables at any time.
///
/// # Safety
/// `table` covers `page` and belongs to the caller.
unsafe fn write(table: *mut Table, page: Page, entry: u64) {
    // SAFETY: the caller's promise.
    unsafe { (&raw mut (*table)[page.0 & 511]).write_volatile(entry) };
}

/// A fresh table of zeroes, noted in the list.
fn add_table(tables: &mut Vec<Frame>, frames: &mut Frames) -> Result<Frame, NoMemory> {
    tables.try_reserve(1).map_err(|_| NoMemory)?;
    let table = frames.allocate().ok_or(NoMemory)?;
    // SAFETY: the frame was just allocated.
    unsafe { physical::zero(table) };
    tables.push(table);
    Ok(table)
}
