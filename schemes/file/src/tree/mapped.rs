//! Files that clients have mapped.
//!
//! A mapped file has an area of this process's memory, as long as anybody has the file open; the
//! kernel keeps it open while it is mapped to be shared. What is mapped is loaded into the area
//! first, piece by piece as clients touch their pages, and the kernel shows the area's pages to them.
//! From then on those records are read
//! from the area, writes go to it as well, and what clients stored there is found by comparing: on
//! `fsync` and `msync` of any file, and when the last handle is closed.

use std::collections::BTreeSet;
use std::rc::Rc;

use redoxfs::RECORD_SIZE;
use scheme::area::{Area, PAGE};
use syscall::error::{EACCES, ENODEV, ENOMEM, ENXIO, Error, Result};
use syscall::flag::MapFlags;

use super::Tree;
use crate::store::Records;

const RECORD: usize = RECORD_SIZE as usize;
/// Addresses are reserved for a file to grow while it is mapped: at least so many bytes, or four
/// times its length.
const ROOM: u64 = 1 << 30;
const GROWTH: u64 = 4;

/// A mapped file.
pub(super) struct Mapped {
    area: Area,
    /// Records that are in the area.
    loaded: BTreeSet<u64>,
    /// Some client may store to the pages.
    is_written: bool,
}

impl Mapped {
    fn record(&self, index: u64) -> Option<&[u8]> {
        if !self.loaded.contains(&index) {
            return None;
        }
        let start = index as usize * RECORD;
        self.area.bytes().get(start..start + RECORD)
    }

    fn record_mut(&mut self, index: u64) -> Option<&mut [u8]> {
        if !self.loaded.contains(&index) {
            return None;
        }
        let start = index as usize * RECORD;
        self.area.bytes_mut().get_mut(start..start + RECORD)
    }
}

impl<D: Records> Tree<'_, '_, D> {
    /// Where in this process's memory some pages of a file are. `ENXIO` when the file does not have
    /// all of them.
    pub fn map(
        &mut self,
        handle: usize,
        offset: u64,
        length: usize,
        flags: MapFlags,
    ) -> Result<usize> {
        let open = self.state.handle(handle)?;
        let (id, read, write) = (open.node, open.read, open.write);
        if !read {
            return Err(Error::new(EACCES));
        }
        let node = self.node(id)?;
        if !node.data().is_file() {
            return Err(Error::new(ENODEV));
        }
        let size = node.data().size();
        let end = offset.checked_add(length as u64).ok_or(Error::new(ENXIO))?;
        if end > size.next_multiple_of(PAGE as u64) {
            return Err(Error::new(ENXIO));
        }
        self.reserve(id, size)?;
        for index in offset / RECORD_SIZE..end.div_ceil(RECORD_SIZE) {
            if self.mapped_record(id, index).is_none() {
                self.load(&node, index)?;
                self.show_record(id, index);
            }
        }
        let mapped = self.state.mapped.get_mut(&id).ok_or(Error::new(ENOMEM))?;
        mapped.is_written |= write && flags.contains(MapFlags::MAP_SHARED);
        Ok(mapped.area.address() + offset as usize)
    }

    /// Makes sure that there are addresses for a file of this length.
    fn reserve(&mut self, id: u32, size: u64) -> Result<()> {
        if let Some(mapped) = self.state.mapped.get(&id) {
            let is_enough = size.div_ceil(PAGE as u64) <= mapped.area.pages() as u64;
            return if is_enough { Ok(()) } else { Err(Error::new(ENOMEM)) };
        }
        let wanted = size.checked_mul(GROWTH).ok_or(Error::new(ENOMEM))?.max(ROOM);
        let area = Area::reserve(wanted.next_multiple_of(RECORD_SIZE) as usize / PAGE)?;
        let mapped = Mapped { area, loaded: BTreeSet::new(), is_written: false };
        self.state.mapped.insert(id, mapped);
        Ok(())
    }

    fn mapped_record(&self, id: u32, index: u64) -> Option<&[u8]> {
        self.state.mapped.get(&id)?.record(index)
    }

    /// Puts a record from the cache into the area.
    fn show_record(&mut self, id: u32, index: u64) {
        let Some(mapped) = self.state.mapped.get_mut(&id) else { return };
        mapped.loaded.insert(index);
        let record = self.state.cache.record((id, index)).unwrap_or_default();
        let Some(shown) = mapped.record_mut(index) else { return };
        // Pages of zeroes need no memory.
        let pages = shown.chunks_exact_mut(PAGE).zip(record.chunks_exact(PAGE));
        pages.filter(|(_, page)| page.iter().any(|&byte| byte != 0)).for_each(|(shown, page)| {
            shown.copy_from_slice(page);
        });
    }

    /// Reads from the area, if the record is there.
    pub(super) fn read_mapped(&self, id: u32, index: u64, start: usize, into: &mut [u8]) -> bool {
        if self.state.mapped.is_empty() {
            return false;
        }
        match self.mapped_record(id, index) {
            Some(record) => {
                into.copy_from_slice(&record[start..start + into.len()]);
                true
            }
            None => false,
        }
    }

    /// Writes to the area as well, if the record is there.
    pub(super) fn show_mapped(&mut self, id: u32, index: u64, start: usize, bytes: &[u8]) {
        let Some(mapped) = self.state.mapped.get_mut(&id) else { return };
        if let Some(record) = mapped.record_mut(index) {
            record[start..start + bytes.len()].copy_from_slice(bytes);
        }
    }

    /// Takes what clients stored in the pages of a record over into the cache, where the record is
    /// to be changed anyway. Behind the end of the file nothing counts.
    pub(super) fn take_over_mapped(&mut self, id: u32, index: u64, size: u64) {
        let Some(mapped) = self.state.mapped.get(&id).filter(|mapped| mapped.is_written) else {
            return;
        };
        let Some(shown) = mapped.record(index) else { return };
        let length = size.saturating_sub(index * RECORD_SIZE).min(RECORD_SIZE) as usize;
        let shown = shown[..length].to_vec();
        self.record_to_change((id, index), false)[..length].copy_from_slice(&shown);
    }

    /// Collects what clients stored in all mapped files.
    pub(super) fn collect_mapped(&mut self) -> Result<()> {
        let written = self.state.mapped.iter().filter(|(_, mapped)| mapped.is_written);
        let ids: Vec<u32> = written.map(|(id, _)| *id).collect();
        ids.into_iter().try_for_each(|id| self.collect_from(id))
    }

    /// Collects what there is, because the daemon ends.
    pub fn finish(&mut self) {
        if let Err(error) = self.collect_mapped() {
            eprintln!("filed: what was stored in mapped files is lost in part: {error}");
        }
    }

    fn collect_from(&mut self, id: u32) -> Result<()> {
        let node = self.node(id)?;
        let size = node.data().size();
        let last = size.div_ceil(RECORD_SIZE);
        let loaded: Vec<u64> = match self.state.mapped.get(&id) {
            Some(mapped) => mapped.loaded.range(..last).copied().collect(),
            None => return Ok(()),
        };
        let mut is_changed = false;
        for index in loaded {
            self.load(&node, index)?;
            let length = (size - index * RECORD_SIZE).min(RECORD_SIZE) as usize;
            let shown = self.state.mapped.get(&id).and_then(|mapped| mapped.record(index));
            let kept = self.state.cache.record((id, index)).unwrap_or_default();
            if shown.is_none_or(|shown| shown[..length] == kept[..length]) {
                continue;
            }
            if !self.state.cache.changed_records.contains_key(&(id, index)) {
                self.prepare(1)?;
            }
            self.take_over_mapped(id, index, size);
            is_changed = true;
            if !self.state.cache.is_changed(id) {
                // Records are written out with their node.
                let node = self.copy_of(id)?;
                self.state.cache.change_node(Rc::new(node));
            }
        }
        if is_changed { self.settle(Ok(())) } else { Ok(()) }
    }

    /// The file gets another length: what is behind the new end or the old one is zero.
    pub(super) fn cut_mapped(&mut self, id: u32, size: u64) -> Result<()> {
        if !self.state.mapped.contains_key(&id) {
            return Ok(());
        }
        let old = self.node(id)?.data().size();
        let kept = size.min(old);
        if kept > 0 {
            let index = (kept - 1) / RECORD_SIZE;
            if self.mapped_record(id, index).is_some() {
                let node = self.node(id)?;
                self.load(&node, index)?;
                self.take_over_mapped(id, index, kept);
                let node = self.copy_of(id)?;
                self.state.cache.change_node(Rc::new(node));
            }
        }
        let Some(mapped) = self.state.mapped.get_mut(&id) else { return Ok(()) };
        let first = kept / RECORD_SIZE;
        let behind: Vec<u64> = mapped.loaded.range(first..).copied().collect();
        for index in behind {
            let start = kept.saturating_sub(index * RECORD_SIZE).min(RECORD_SIZE) as usize;
            let Some(record) = mapped.record_mut(index) else { continue };
            // Only what is not zero: zeroes need no memory.
            let pages = record[start..].chunks_mut(PAGE);
            pages.filter(|page| page.iter().any(|&byte| byte != 0)).for_each(|page| page.fill(0));
        }
        Ok(())
    }

    /// Nobody has the file open any more.
    pub(super) fn end_mapping(&mut self, id: u32) -> Result<()> {
        if !self.state.mapped.contains_key(&id) {
            return Ok(());
        }
        let has_name = self.node(id).is_ok_and(|node| node.data().links() > 0);
        let is_written = self.state.mapped.get(&id).is_some_and(|mapped| mapped.is_written);
        if has_name && is_written {
            self.collect_from(id)?;
        }
        self.state.mapped.remove(&id);
        Ok(())
    }
}
