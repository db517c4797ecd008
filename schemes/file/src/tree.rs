//! The file system inside one transaction: opening, creating, closing.
//!
//! [`names`](self) links, moves and removes; [`contents`](self) reads, writes and lists;
//! [`attributes`](self) tells and changes what is known about a node; `walk` goes from a path to a
//! node; `cached` stands between all of them and RedoxFS, `records` between the cache and the disk, and `mapped` keeps the pages of files that
//! clients have mapped. What outlives the transaction is in
//! [`State`].

mod attributes;
mod cached;
mod contents;
mod mapped;
mod names;
mod records;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use redoxfs::{BLOCK_SIZE, Node, RECORD_SIZE, Transaction, TreePtr};
use syscall::TimeSpec;
use syscall::error::{
    EACCES, EBADF, EEXIST, EINVAL, EIO, EISDIR, ELOOP, ENOENT, ENOSPC, ENOTDIR, ENXIO, EPERM,
    EROFS, EWOULDBLOCK, Error, Result,
};
use syscall::flag::{
    MODE_FIFO, MODE_TYPE, O_ACCMODE, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_STAT,
    O_SYMLINK, O_TRUNC, O_WRONLY,
};

use crate::budget::Budget;
use crate::cache::{Cache, RecordKey};
use crate::pack::Packer;
use crate::store::Records;
pub use contents::Listed;
use mapped::Mapped;
use walk::{Found, Last};

/// Who asks, and when.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// Effective user.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// The time.
    pub now: TimeSpec,
}

impl Caller {
    fn is_root(&self) -> bool {
        self.uid == 0
    }

    fn seconds(&self) -> u64 {
        self.now.tv_sec as u64
    }

    fn nanoseconds(&self) -> u32 {
        self.now.tv_nsec as u32
    }
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    parent: u32,
    name: String,
}

/// An open file.
#[derive(Clone, Debug)]
struct Open {
    node: u32,
    read: bool,
    write: bool,
    /// The name it was opened by.
    place: Option<Place>,
    /// The directories on the way, from the root; the node itself is not among them.
    above: Vec<u32>,
    /// The path it was opened by, for `fpath`.
    path: String,
    owner: (u32, u32),
    /// Names of a directory, as they were when its listing began.
    listing: Vec<(String, u32)>,
    /// Those of them that have been removed since.
    unlisted: BTreeSet<String>,
}

/// Memory of the handle that was closed last, empty: opening takes it instead of asking for more.
#[derive(Default)]
struct Spare {
    above: Vec<u32>,
    path: String,
    name: String,
}

impl From<Open> for Spare {
    fn from(open: Open) -> Self {
        let Open { mut above, mut path, place, .. } = open;
        let mut name = place.map(|place| place.name).unwrap_or_default();
        above.clear();
        path.clear();
        name.clear();
        Self { above, path, name }
    }
}

/// The handle that paths start from; it is never closed.
pub const ROOT_HANDLE: usize = 0;
/// The root directory.
const ROOT: u32 = 1;

/// Permissions of a class.
const READ: u16 = 4;
const WRITE: u16 = 2;
const SEARCH: u16 = 1;

/// What outlives a transaction.
pub struct State {
    handles: BTreeMap<usize, Open>,
    next: usize,
    spare: Spare,
    /// Room left in the transaction that is open.
    pub budget: Budget,
    /// The name of the scheme.
    pub scheme: String,
    /// The file system cannot be written.
    pub is_read_only: bool,
    /// The transaction has changes.
    pub is_changed: bool,
    /// The change in the transaction must remain the only one.
    is_alone: bool,
    /// Records that the transaction has written at most.
    records: u64,
    /// The transaction has to end before anything else is done.
    pub wants_commit: bool,
    /// The transaction cannot be committed.
    pub is_broken: bool,
    /// Size of the file system and free blocks at the last commit.
    pub space: (u64, u64),
    /// What was used lately, and what the transaction does not have yet.
    pub cache: Cache,
    /// Files that clients have mapped, by node.
    mapped: BTreeMap<u32, Mapped>,
    packer: Packer,
    /// The record that was read from the disk last, and how far others behind it are expected.
    last_read: RecordKey,
    expected: u64,
    /// The file that was written last, and where that ended.
    written_to: (u32, u64),
    /// Blocks of records that the transaction has written, and their hashes.
    written: BTreeMap<u64, u64>,
    /// Handles that are closed as soon as there is room for what clients wrote to their pages.
    closing: Vec<usize>,
}

impl State {
    /// Nothing open but the root.
    pub fn new(budget: Budget, space: (u64, u64)) -> Self {
        let root = Open {
            node: ROOT,
            read: false,
            write: false,
            place: None,
            above: Vec::new(),
            path: String::new(),
            owner: (0, 0),
            listing: Vec::new(),
            unlisted: BTreeSet::new(),
        };
        Self {
            handles: BTreeMap::from([(ROOT_HANDLE, root)]),
            next: ROOT_HANDLE + 1,
            spare: Spare::default(),
            budget,
            scheme: "file".to_owned(),
            is_read_only: false,
            is_changed: false,
            is_alone: false,
            records: 0,
            wants_commit: false,
            is_broken: false,
            space,
            cache: Cache::default(),
            mapped: BTreeMap::new(),
            packer: Packer::default(),
            last_read: (0, 0),
            expected: 0,
            written_to: (0, 0),
            written: BTreeMap::new(),
            closing: Vec::new(),
        }
    }

    /// A new transaction begins, with this much room.
    pub fn begin(&mut self, budget: Budget, space: (u64, u64)) {
        (self.budget, self.space) = (budget, space);
        (self.is_changed, self.is_alone, self.wants_commit) = (false, false, false);
        (self.is_broken, self.records) = (false, 0);
        self.written.clear();
    }

    /// Whether the transaction held one change only, which has been refused.
    pub fn was_refused(&self) -> bool {
        self.is_alone && self.is_broken
    }

    fn handle(&self, number: usize) -> Result<&Open> {
        self.handles.get(&number).ok_or(Error::new(EBADF))
    }

    /// Who opened a handle.
    pub fn owner(&self, number: usize) -> Result<(u32, u32)> {
        self.handle(number).map(|open| open.owner)
    }

    /// The path a handle was opened by.
    pub fn path(&self, number: usize) -> Result<&str> {
        self.handle(number).map(|open| open.path.as_str())
    }
}

/// The file system, for as long as one transaction is open.
pub struct Tree<'a, 'f, D: Records> {
    tx: &'a mut Transaction<'f, D>,
    state: &'a mut State,
    /// The disk under the transaction, for what is written past it.
    disk: D,
}

/// A transaction with so many records is long enough: 16 MiB.
const RECORDS_MAX: u64 = 128;
/// Blocks that only changes may use which give blocks back: 1 MiB.
const KEPT: u64 = 256;
/// Records that an operation on names writes: directories have small ones, counted as structure.
const NO_RECORDS: u64 = 0;

impl<'a, 'f, D: Records> Tree<'a, 'f, D> {
    /// Joins what is open, the transaction and the disk under it.
    pub fn new(tx: &'a mut Transaction<'f, D>, state: &'a mut State, disk: D) -> Self {
        Self { tx, state, disk }
    }

    /// What outlives the transaction.
    pub fn state(&mut self) -> &mut State {
        self.state
    }

    /// Makes room for a change of so many records, or has the transaction end first
    /// (`EWOULDBLOCK`: ask again in the next one). Nothing has been changed before this, and
    /// everything that may be refused has been checked.
    ///
    /// # Errors
    /// `ENOSPC` near the end of the disk: the last blocks are for giving others back.
    fn prepare(&mut self, records: u64) -> Result<()> {
        self.prepare_leaving(records, KEPT)
    }

    /// The same for a change that gives blocks back, and may use the last ones for that.
    fn prepare_freeing(&mut self, records: u64) -> Result<()> {
        self.prepare_leaving(records, 0)
    }

    fn prepare_leaving(&mut self, records: u64, kept: u64) -> Result<()> {
        if self.state.is_read_only {
            return Err(Error::new(EROFS));
        }
        if self.state.is_alone {
            return Err(Error::new(EWOULDBLOCK));
        }
        if !self.state.budget.take(records) {
            self.state.wants_commit = true;
            if self.state.is_changed {
                return Err(Error::new(EWOULDBLOCK));
            }
            let wanted = records * (RECORD_SIZE / BLOCK_SIZE) + kept;
            if kept > 0 && self.state.space.1 < wanted {
                return Err(Error::new(ENOSPC));
            }
            // Whether it fits shows when it is done, and it is committed at once.
            self.state.is_alone = true;
        }
        self.state.is_changed = true;
        self.state.records += records;
        self.state.wants_commit |= self.state.records >= RECORDS_MAX;
        Ok(())
    }

    /// What a change came to. After a failure the transaction may hold half of it. A change that
    /// is alone shows here whether there is room for it.
    fn settle<T>(&mut self, mut result: Result<T>) -> Result<T> {
        if self.state.is_alone
            && let (Ok(_), Err(error)) = (&result, self.write_out_all())
        {
            result = Err(error);
        }
        self.state.is_broken |= result.is_err();
        result
    }

    /// Opens a path, relative to an open directory. `flags` are `O_*`, with the mode for a new
    /// node in the lowest twelve bits and, with `O_EXCL`, `MODE_FIFO` for a FIFO, whose handle neither
    /// reads nor writes.
    ///
    /// # Errors
    /// `ENXIO` for a FIFO that the caller may open: [`Tree::fifo`] says which it is.
    pub fn open(
        &mut self,
        start: usize,
        path: &str,
        flags: usize,
        caller: &Caller,
    ) -> Result<usize> {
        let exclusive = flags & O_CREAT != 0 && flags & O_EXCL != 0;
        let keeps = exclusive || flags & (O_SYMLINK | O_NOFOLLOW) != 0;
        let last = if keeps { Last::Keep } else { Last::Follow };
        let found = self.walk(start, path, last, caller)?;
        match found.node {
            Some(_) if exclusive => Err(Error::new(EEXIST)),
            Some(id) => self.open_existing(id, found, flags, caller),
            None if flags & O_CREAT != 0 => self.create(found, flags, caller),
            None => Err(Error::new(ENOENT)),
        }
    }

    fn open_existing(
        &mut self,
        id: u32,
        found: Found,
        flags: usize,
        caller: &Caller,
    ) -> Result<usize> {
        let node = self.node(id)?;
        let open = opened(id, found, flags, caller);
        let data = node.data();
        if data.is_dir() {
            if open.write || wants_file(flags) {
                return Err(Error::new(EISDIR));
            }
        } else if flags & O_DIRECTORY != 0 {
            return Err(Error::new(ENOTDIR));
        } else if data.is_symlink() && flags & O_SYMLINK == 0 {
            return Err(Error::new(ELOOP));
        }
        let wanted = if open.read { READ } else { 0 } | if open.write { WRITE } else { 0 };
        allow(data, caller, wanted)?;
        if wanted != 0 && is_fifo(data) {
            return Err(Error::new(ENXIO));
        }
        if self.state.is_read_only && open.write {
            return Err(Error::new(EROFS));
        }
        if data.is_file() && open.write && flags & O_TRUNC != 0 {
            self.cut(id, 0, caller)?;
        }
        self.add(open)
    }

    fn create(&mut self, found: Found, flags: usize, caller: &Caller) -> Result<usize> {
        let place = found.place.clone().ok_or(Error::new(EINVAL))?;
        if found.wants_directory && flags & O_DIRECTORY == 0 {
            return Err(Error::new(EISDIR));
        }
        let parent = self.node(place.parent)?;
        allow(parent.data(), caller, WRITE | SEARCH)?;
        if parent.data().links() == 0 {
            return Err(Error::new(ENOENT));
        }
        if flags as u16 & MODE_TYPE == MODE_FIFO && flags & O_EXCL == 0 {
            return Err(Error::new(EINVAL));
        }
        check_name(&place.name)?;
        let (kind, permissions) = match () {
            () if flags & O_DIRECTORY != 0 => (Node::MODE_DIR, flags as u16 & Node::MODE_PERM),
            () if flags & O_SYMLINK != 0 => (Node::MODE_SYMLINK, 0o777),
            () if flags as u16 & MODE_TYPE == MODE_FIFO => {
                (MODE_FIFO, flags as u16 & Node::MODE_PERM)
            }
            () => (Node::MODE_FILE, flags as u16 & Node::MODE_PERM),
        };
        let flags = if kind == MODE_FIFO { flags | O_STAT } else { flags };
        self.prepare(NO_RECORDS)?;
        let made = self.make(&place, kind | permissions, parent.data(), caller);
        let id = self.settle(made)?;
        self.add(opened(id, found, flags, caller))
    }

    fn make(&mut self, place: &Place, mode: u16, parent: &Node, caller: &Caller) -> Result<u32> {
        let (seconds, nanoseconds) = (caller.seconds(), caller.nanoseconds());
        let pointer = TreePtr::new(place.parent);
        self.write_out(place.parent)?;
        let mut node = self.tx.create_node(pointer, &place.name, mode, seconds, nanoseconds)?;
        let hands_down = parent.mode() & 0o2000 != 0;
        let gid = if hands_down { parent.gid() } else { caller.gid };
        let mode = if hands_down && node.data().is_dir() { mode | 0o2000 } else { mode };
        let id = node.id();
        self.state.cache.keep_name(place.parent, &place.name, id);
        let data = node.data_mut();
        if (data.uid(), data.gid(), data.mode()) == (caller.uid, gid, mode) {
            self.state.cache.keep_node(Rc::new(node));
        } else {
            data.set_uid(caller.uid);
            data.set_gid(gid);
            data.set_mode(mode);
            self.state.cache.change_node(Rc::new(node));
        }
        self.touch_directory(place.parent, caller);
        Ok(id)
    }

    fn add(&mut self, open: Open) -> Result<usize> {
        self.tx.on_open_node(TreePtr::new(open.node))?;
        let number = self.state.next;
        self.state.next += 1;
        self.state.handles.insert(number, open);
        Ok(number)
    }

    /// The FIFO that a path leads to, which [`Tree::open`] refused with the same arguments.
    pub fn fifo(&mut self, start: usize, path: &str, caller: &Caller) -> Result<u32> {
        self.walk(start, path, Last::Follow, caller)?.node.ok_or(Error::new(ENOENT))
    }

    /// The node of a handle.
    pub fn node_of(&self, number: usize) -> Result<u32> {
        self.state.handle(number).map(|open| open.node)
    }

    /// Another handle like this one.
    pub fn dup(&mut self, number: usize) -> Result<usize> {
        let open = self.state.handle(number)?.clone();
        self.add(open)
    }

    /// Closes a handle. A node without name and handles is gone, and its space is free.
    pub fn close(&mut self, number: usize) {
        if number == ROOT_HANDLE {
            return;
        }
        let Some(open) = self.state.handles.remove(&number) else { return };
        let is_last = !self.state.handles.values().any(|other| other.node == open.node);
        if is_last && self.end_mapping(open.node) == Err(Error::new(EWOULDBLOCK)) {
            self.state.handles.insert(number, open);
            self.state.closing.push(number);
            return;
        }
        let (id, pointer) = (open.node, TreePtr::new(open.node));
        self.state.spare = open.into();
        let has_name = !is_last || self.node(id).is_ok_and(|node| node.data().links() > 0);
        if has_name {
            // Only counts: nothing is written for a node that has a name.
            let _counted = self.tx.on_close_node(pointer);
            return;
        }
        self.state.is_changed = true;
        let emptied = self.empty(id);
        let closed = emptied.and_then(|()| self.tx.on_close_node(pointer));
        let _broken = self.settle(closed);
    }

    /// Closes what had to wait for the last transaction to end.
    pub fn close_waiting(&mut self) {
        for number in std::mem::take(&mut self.state.closing) {
            self.close(number);
        }
    }

    /// Frees all records of a node, those too that only the cache's node leads to yet, and forgets
    /// it. (What RedoxFS does by itself forgets the last one, when that is not full.)
    fn empty(&mut self, id: u32) -> Result<()> {
        let node = self.copy_of(id);
        self.state.cache.forget_all_of(id);
        let mut node = node?;
        if node.data().is_dir() || node.data().size() == 0 {
            return Ok(());
        }
        let size = node.data().size().next_multiple_of(RECORD_SIZE);
        node.data_mut().set_size(size);
        self.tx.truncate_node_inner(&mut node, 0)?;
        self.tx.sync_tree(node)
    }
}

fn opened(node: u32, found: Found, flags: usize, caller: &Caller) -> Open {
    let access = if flags & O_STAT != 0 { 0 } else { flags & O_ACCMODE };
    Open {
        node,
        read: access & O_RDONLY != 0,
        write: access & O_WRONLY != 0,
        place: found.place,
        above: found.above,
        path: found.path,
        owner: (caller.uid, caller.gid),
        listing: Vec::new(),
        unlisted: BTreeSet::new(),
    }
}

/// Whether a node is a FIFO; what is in it is the kernel's ([`scheme::fifos`]).
fn is_fifo(node: &Node) -> bool {
    node.mode() & MODE_TYPE == MODE_FIFO
}

/// Whether the flags make sense for a regular file only.
fn wants_file(flags: usize) -> bool {
    flags & O_TRUNC != 0 || flags & (O_CREAT | O_DIRECTORY) == O_CREAT
}

/// Whether this caller has all of these permissions: the first class that fits decides.
fn allow(node: &Node, caller: &Caller, wanted: u16) -> Result<()> {
    let granted = match () {
        () if caller.is_root() => READ | WRITE | SEARCH,
        () if caller.uid == node.uid() => node.mode() >> 6,
        () if caller.gid == node.gid() => node.mode() >> 3,
        () => node.mode(),
    };
    if granted & wanted == wanted { Ok(()) } else { Err(Error::new(EACCES)) }
}

/// Whether this caller may change what only an owner may.
fn allow_owner(node: &Node, caller: &Caller) -> Result<()> {
    if caller.is_root() || caller.uid == node.uid() { Ok(()) } else { Err(Error::new(EPERM)) }
}

/// RedoxFS has no room for longer names, and no colons.
fn check_name(name: &str) -> Result<()> {
    if name.len() > redoxfs::DIR_ENTRY_MAX_LENGTH {
        return Err(Error::new(syscall::error::ENAMETOOLONG));
    }
    if name.contains(':') { Err(Error::new(EINVAL)) } else { Ok(()) }
}

/// Turns what RedoxFS says about a damaged file system into an error that tells so.
fn damaged(error: Error) -> Error {
    if error.errno == ENOSPC { error } else { Error::new(EIO) }
}
