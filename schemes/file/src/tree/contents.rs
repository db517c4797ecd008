//! Reading, writing and listing.

use redoxfs::{Disk, RECORD_SIZE, TreePtr};
use syscall::dirent::DirentKind;
use syscall::error::{EBADF, EFBIG, EINVAL, EISDIR, ENAMETOOLONG, ENOTDIR, Error, Result};

use super::walk::TARGET_MAX;
use super::{Caller, NO_RECORDS, Tree, damaged};

/// The largest file: what five levels of pointers to records lead to, rounded down.
const SIZE_MAX: u64 = 1 << 45;

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

impl<D: Disk> Tree<'_, '_, D> {
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
        self.tx.read_node_inner(&node, offset, buffer).map_err(damaged)
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
        let is_link = node.data().is_symlink();
        let offset = match () {
            () if is_link => {
                check_target(bytes)?;
                self.cut_any(id, 0, caller)?;
                0
            }
            () if append => node.data().size(),
            () => offset,
        };
        let end = offset.checked_add(bytes.len() as u64).filter(|end| *end <= SIZE_MAX);
        let end = end.ok_or(Error::new(EFBIG))?;
        if bytes.is_empty() {
            return Ok(0);
        }
        // One more: data kept in the node itself moves out when it grows.
        self.prepare((end.div_ceil(RECORD_SIZE) - offset / RECORD_SIZE) + 1)?;
        let (seconds, nanoseconds) = (caller.seconds(), caller.nanoseconds());
        let pointer = TreePtr::new(id);
        let written = self.tx.write_node(pointer, offset, bytes, seconds, nanoseconds);
        let written = self.settle(written)?;
        self.drop_powers(id, caller)?;
        Ok(written)
    }

    /// What another user wrote must not run as its owner.
    fn drop_powers(&mut self, id: u32, caller: &Caller) -> Result<()> {
        const SET_IDS: u16 = 0o6000;
        let mut node = self.node(id)?;
        let mode = node.data().mode();
        if caller.is_root() || mode & SET_IDS == 0 || !node.data().is_file() {
            return Ok(());
        }
        node.data_mut().set_mode(mode & !SET_IDS);
        let changed = self.tx.sync_tree(node);
        self.settle(changed)
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
        if self.node(id)?.data().size() == size {
            return Ok(());
        }
        self.prepare(2)?;
        let cut = self.cut_now(id, size, caller);
        self.settle(cut)
    }

    /// RedoxFS keeps what lay behind the new end, and shows it again when the file grows; so it is
    /// made zero first. And of the records behind the end it forgets the last, when that is not
    /// full; so the file is made to end with it.
    fn cut_now(&mut self, id: u32, size: u64, caller: &Caller) -> Result<()> {
        let (seconds, nanoseconds) = (caller.seconds(), caller.nanoseconds());
        let pointer = TreePtr::new(id);
        let old = self.node(id)?.data().size();
        if size < old {
            let end = old.min(size.next_multiple_of(RECORD_SIZE));
            let zeroes = vec![0; (end - size) as usize];
            self.tx.write_node(pointer, size, &zeroes, seconds, nanoseconds)?;
        }
        let mut node = self.node(id)?;
        if size < old && !node.data().has_inline_data() {
            node.data_mut().set_size(old.next_multiple_of(RECORD_SIZE));
        }
        self.tx.truncate_node_inner(&mut node, size)?;
        node.data_mut().set_mtime(seconds, nanoseconds);
        self.tx.sync_tree(node)
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
            // A name that was removed since then is no longer listed.
            let Ok(data) = self.node(node) else { continue };
            let kind = match data.data() {
                data if data.is_dir() => DirentKind::Directory,
                data if data.is_symlink() => DirentKind::Symlink,
                _ => DirentKind::Regular,
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
        }
        Ok(())
    }

    /// Has everything committed that was done so far. `false` when there is nothing to do.
    pub fn wants_sync(&mut self) -> bool {
        self.state.wants_commit |= self.state.is_changed;
        self.state.is_changed
    }

    /// Room for nothing in particular: what an operation without records needs.
    pub(super) fn prepare_attributes(&mut self) -> Result<()> {
        self.prepare(NO_RECORDS)
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
