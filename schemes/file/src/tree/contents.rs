//! Reading, writing and listing.

use std::rc::Rc;

use redoxfs::{Node, RECORD_SIZE, TreeData, TreePtr};
use syscall::dirent::DirentKind;
use syscall::error::{EBADF, EFBIG, EINVAL, EIO, EISDIR, ENAMETOOLONG, ENOTDIR, Error, Result};

use super::records::has_records;
use super::walk::TARGET_MAX;
use super::{Caller, Tree, damaged, is_fifo};
use crate::cache::RecordKey;
use crate::record::LENGTH;
use crate::store::Records;

/// The largest file: what five levels of pointers to records lead to, rounded down.
const SIZE_MAX: u64 = 1 << 45;

/// So many records are written out at once before the transaction ends.
const BEHIND: usize = 8;

/// One entry of a listing.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Where a later listing goes on.
    pub number: u64,
    /// The name.
    pub name: String,
    /// The node's number.
    pub node: u64,
    /// Its type.
    pub kind: DirentKind,
}

impl<D: Records> Tree<'_, '_, D> {
    /// Reads a file, or the target of a symbolic link that was opened itself.
    pub fn read(&mut self, handle: usize, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let open = self.state.handle(handle)?;
        if !open.read {
            return Err(Error::new(EBADF));
        }
        let id = open.node;
        let node = self.node(id)?;
        if node.data().is_dir() {
            return Err(Error::new(EISDIR));
        }
        let rest = node.data().size().saturating_sub(offset);
        let length = rest.min(buffer.len() as u64) as usize;
        let mut done = 0;
        while done < length {
            let (index, start, count) = piece(offset + done as u64, length - done);
            let into = &mut buffer[done..done + count];
            if !self.read_mapped(id, index, start, into) {
                self.load(&node, index)?;
                let record = self.state.cache.record((id, index)).ok_or(Error::new(EIO))?;
                into.copy_from_slice(&record[start..start + count]);
            }
            done += count;
        }
        Ok(length)
    }

    /// Writes a file, at its end if `append`; or sets the whole target of a symbolic link.
    pub fn write(
        &mut self,
        handle: usize,
        offset: u64,
        append: bool,
        bytes: &[u8],
        caller: &Caller,
    ) -> Result<usize> {
        let open = self.state.handle(handle)?;
        if !open.write {
            return Err(Error::new(EBADF));
        }
        let id = open.node;
        let node = self.node(id)?;
        if node.data().is_dir() {
            return Err(Error::new(EISDIR));
        }
        if node.data().is_symlink() {
            check_target(bytes)?;
            self.cut_any(id, 0, caller)?;
            let node = self.node(id)?;
            return self.write_at(&node, 0, bytes, caller);
        }
        self.write_at(&node, if append { node.data().size() } else { offset }, bytes, caller)
    }

    fn write_at(
        &mut self,
        node: &TreeData<Node>,
        offset: u64,
        bytes: &[u8],
        caller: &Caller,
    ) -> Result<usize> {
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end <= SIZE_MAX);
        let end = end.ok_or(Error::new(EFBIG))?;
        if bytes.is_empty() {
            return Ok(0);
        }
        let (id, size) = (node.id(), node.data().size());
        let (first, last) = (offset / RECORD_SIZE, (end - 1) / RECORD_SIZE);
        // Behind the old end may be what somebody else left there who wrote the disk: when the
        // file grows past that record, it is written anew, with zeroes there.
        let before = Some(size / RECORD_SIZE).filter(|old_last| size < offset && *old_last < first);
        let wanted = || before.into_iter().chain(first..=last);
        for index in before.into_iter().chain([first, last]) {
            let start = index * RECORD_SIZE;
            let is_overwritten = offset <= start && end >= size.min(start + RECORD_SIZE);
            if !is_overwritten {
                self.load(node, index)?;
            }
        }
        let changed = &self.state.cache.changed_records;
        let new = wanted().filter(|index| !changed.contains_key(&(id, *index))).count();
        self.prepare_write(id, new as u64)?;
        if let Some(index) = before {
            self.record_to_change((id, index), false);
        }
        let mut done = 0;
        while done < bytes.len() {
            let (index, start, count) = piece(offset + done as u64, bytes.len() - done);
            let piece = &bytes[done..done + count];
            self.take_over_mapped(id, index, size);
            let record = self.record_to_change((id, index), count == LENGTH);
            record[start..start + count].copy_from_slice(piece);
            self.show_mapped(id, index, start, piece);
            done += count;
        }
        let mut node = self.copy_of(id)?;
        node.data_mut().set_size(end.max(size));
        node.data_mut().set_mtime(caller.seconds(), caller.nanoseconds());
        drop_powers(node.data_mut(), caller);
        let follows = std::mem::replace(&mut self.state.written_to, (id, end)) == (id, offset);
        let sent = if follows { self.write_ahead(&mut node, first) } else { Ok(()) };
        self.state.cache.change_node(Rc::new(node));
        self.settle(sent.map(|()| bytes.len()))
    }

    /// Gives the disk records that somebody has left behind who writes one after the other, so that
    /// it has something to do before the transaction ends.
    fn write_ahead(&mut self, node: &mut TreeData<Node>, first: u64) -> Result<()> {
        let behind = |(_, index): &RecordKey| *index < first;
        let changed: Vec<RecordKey> =
            self.state.cache.changed_of(node.id()).take_while(behind).collect();
        match changed.len() {
            0..BEHIND => Ok(()),
            _ => self.write_records(node, changed),
        }
    }

    /// Makes room for a write that changes so many records more. The same records again cost
    /// nothing, until they are written out.
    fn prepare_write(&mut self, id: u32, records: u64) -> Result<()> {
        if records == 0 && self.state.cache.is_changed(id) && !self.state.is_alone {
            return Ok(());
        }
        // One more: data kept in the node itself moves out when it grows.
        self.prepare(records + 1)
    }

    /// Sets the length of a file.
    pub fn truncate(&mut self, handle: usize, size: u64, caller: &Caller) -> Result<()> {
        let open = self.state.handle(handle)?;
        if !open.write {
            return Err(Error::new(EBADF));
        }
        let id = open.node;
        self.cut(id, size, caller)
    }

    pub(super) fn cut(&mut self, id: u32, size: u64, caller: &Caller) -> Result<()> {
        if !self.node(id)?.data().is_file() {
            return Err(Error::new(EINVAL));
        }
        if size > SIZE_MAX {
            return Err(Error::new(EFBIG));
        }
        self.cut_any(id, size, caller)
    }

    fn cut_any(&mut self, id: u32, size: u64, caller: &Caller) -> Result<()> {
        let old = self.node(id)?.data().size();
        if old == size {
            return Ok(());
        }
        // One more for what clients wrote to the pages of the last record.
        if size < old { self.prepare_freeing(3) } else { self.prepare(3) }?;
        let cut = self.cut_now(id, size, caller);
        self.settle(cut)
    }

    /// RedoxFS keeps what lay behind the new end, and shows it again when the file grows; so it is
    /// made zero first. And of the records behind the end it forgets the last, when that is not
    /// full; so the file is made to end with it. When a file grows, somebody else may have left
    /// something behind its old end.
    fn cut_now(&mut self, id: u32, size: u64, caller: &Caller) -> Result<()> {
        let (seconds, nanoseconds) = (caller.seconds(), caller.nanoseconds());
        self.cut_mapped(id, size)?;
        self.state.cache.drop_changed(id, size.div_ceil(RECORD_SIZE));
        self.write_out(id)?;
        self.state.cache.forget_all_of(id);
        let mut node: TreeData<Node> = self.tx.read_tree(TreePtr::new(id))?;
        let old = node.data().size();
        if has_records(node.data()) {
            self.clear_behind(&mut node, size.min(old), size)?;
        } else if size < old {
            let end = old.min(size.next_multiple_of(RECORD_SIZE));
            let zeroes = vec![0; (end - size) as usize];
            self.tx.write_node_inner(&mut node, &mut { size }, &zeroes)?;
        }
        if size < old && !node.data().has_inline_data() {
            node.data_mut().set_size(old.next_multiple_of(RECORD_SIZE));
        }
        if size > old && has_records(node.data()) {
            node.data_mut().set_size(size);
        }
        self.tx.truncate_node_inner(&mut node, size)?;
        node.data_mut().set_mtime(seconds, nanoseconds);
        self.tx.sync_tree(node)
    }

    /// Makes the rest of the record zero in which a file ends that is going to have this size.
    fn clear_behind(&mut self, node: &mut TreeData<Node>, end: u64, size: u64) -> Result<()> {
        let (index, start) = (end / RECORD_SIZE, (end % RECORD_SIZE) as usize);
        if start == 0 {
            return Ok(());
        }
        let mut record = self.read_whole_record(node, index).map_err(damaged)?;
        if record[start..].iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        record[start..].fill(0);
        let length = (size - index * RECORD_SIZE).min(RECORD_SIZE) as usize;
        self.write_record(node, index, &mut record, length)
    }

    /// The length in bytes, for seeking to the end.
    pub fn size(&mut self, handle: usize) -> Result<u64> {
        let id = self.state.handle(handle)?.node;
        Ok(self.node(id)?.data().size())
    }

    /// Entries of an open directory after the one with this number; 0 for all. `.` and `..` are
    /// not among them. `take` says whether it has room for more.
    pub fn list(
        &mut self,
        handle: usize,
        after: u64,
        mut take: impl FnMut(Listed) -> bool,
    ) -> Result<()> {
        let open = self.state.handle(handle)?;
        let (id, read) = (open.node, open.read);
        if !self.node(id)?.data().is_dir() {
            return Err(Error::new(ENOTDIR));
        }
        if !read {
            return Err(Error::new(EBADF));
        }
        if after == 0 {
            self.begin_listing(handle, id)?;
        }
        for number in after.. {
            let listing = &self.state.handle(handle)?.listing;
            let found = usize::try_from(number).ok().and_then(|at| listing.get(at));
            let Some((name, node)) = found.cloned() else { break };
            if self.state.handle(handle)?.unlisted.contains(&name) {
                continue;
            }
            // Of a node that is not at hand, whoever wants to know asks for all of it.
            let kind = match self.state.cache.node(node) {
                None => DirentKind::Unspecified,
                Some(node) if node.data().is_dir() => DirentKind::Directory,
                Some(node) if node.data().is_symlink() => DirentKind::Symlink,
                Some(node) if is_fifo(node.data()) => DirentKind::Unspecified,
                Some(_) => DirentKind::Regular,
            };
            if !take(Listed { number: number + 1, name, node: node.into(), kind }) {
                break;
            }
        }
        Ok(())
    }

    fn begin_listing(&mut self, handle: usize, id: u32) -> Result<()> {
        let mut children = Vec::new();
        self.tx.child_nodes(TreePtr::new(id), &mut children).map_err(damaged)?;
        let named = children
            .iter()
            .filter_map(|entry| Some((entry.name()?.to_owned(), entry.node_ptr().id())));
        let listing = named.collect();
        if let Some(open) = self.state.handles.get_mut(&handle) {
            open.listing = listing;
            open.unlisted.clear();
        }
        Ok(())
    }

    /// Has everything committed that was done so far. `false` when there is nothing to do.
    ///
    /// # Errors
    /// `EWOULDBLOCK`: the transaction must end before what clients wrote to mapped pages fits in.
    pub fn wants_sync(&mut self) -> Result<bool> {
        self.collect_mapped()?;
        self.state.wants_commit |= self.state.is_changed;
        Ok(self.state.is_changed)
    }
}

/// The record that an offset lies in, the place in it, and how many of `length` bytes it holds.
fn piece(offset: u64, length: usize) -> (u64, usize, usize) {
    let start = (offset % RECORD_SIZE) as usize;
    (offset / RECORD_SIZE, start, length.min(RECORD_SIZE as usize - start))
}

/// What another user wrote must not run as its owner.
fn drop_powers(node: &mut Node, caller: &Caller) {
    const SET_IDS: u16 = 0o6000;
    if !caller.is_root() && node.is_file() {
        node.set_mode(node.mode() & !SET_IDS);
    }
}

fn check_target(bytes: &[u8]) -> Result<()> {
    if bytes.len() > TARGET_MAX {
        return Err(Error::new(ENAMETOOLONG));
    }
    let target = std::str::from_utf8(bytes).map_err(|_| Error::new(EINVAL))?;
    if target.is_empty() || target.contains('\0') {
        return Err(Error::new(EINVAL));
    }
    Ok(())
}
