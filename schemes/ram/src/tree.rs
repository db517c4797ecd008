//! The file system: opening, creating, closing.
//!
//! [`names`](self) removes, links and renames; [`contents`](self) reads, writes, lists and maps;
//! [`attributes`](self) tells and changes what is known about a node.

mod attributes;
mod contents;
mod names;

use std::rc::Rc;

use syscall::TimeSpec;
use syscall::error::{EEXIST, EINVAL, EISDIR, ELOOP, ENOENT, ENOTDIR, ENXIO, Error, Result};
use syscall::flag::{
    MODE_FIFO, MODE_TYPE, O_ACCMODE, O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_STAT,
    O_SYMLINK, O_TRUNC, O_WRONLY,
};

use crate::directory::Directory;
use crate::file::File;
use crate::node::{Caller, Content, Id, Node, PERMISSIONS, Place, READ, SEARCH, WRITE};
use crate::open::{Handles, Open, Owner};
use crate::space::{self, Space};
use crate::walk::{Found, Last, Nodes, ROOT, SHARED_ROOT, walk};

/// The handle that paths of `ram:` start from; it is never closed.
pub const ROOT_HANDLE: usize = 0;
/// The same for `shm:`.
pub const SHARED_HANDLE: usize = 1;

/// All files, all handles, and the account of their space.
#[derive(Debug)]
pub struct Tree {
    nodes: Nodes,
    handles: Handles,
    space: Space,
}

impl Tree {
    /// Two empty root directories that everyone may use and nobody may clear (mode 1777), and space
    /// for this many bytes.
    pub fn new(limit: u64, now: TimeSpec) -> Self {
        let caller = Caller { uid: 0, gid: 0, now };
        let mut tree =
            Self { nodes: Nodes::default(), handles: Handles::default(), space: Space::new(limit) };
        for id in [ROOT, SHARED_ROOT] {
            let mut root = Node::new(Content::Directory(Directory::new(id)), 0o1777, &caller);
            (root.links, root.opens) = (2, 1);
            let node = tree.nodes.insert(root);
            let owner = Owner { uid: 0, gid: 0 };
            tree.handles.insert(Open { node, read: false, write: false, place: None, owner });
        }
        tree
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
        let found = walk(&self.nodes, self.handles.get(start)?.node, path, last, caller)?;
        match found.node {
            Some(_) if exclusive => Err(Error::new(EEXIST)),
            Some(node) => self.open_existing(node, found.place, flags, caller),
            None if flags & O_CREAT != 0 => self.create(found, flags, caller),
            None => Err(Error::new(ENOENT)),
        }
    }

    fn open_existing(
        &mut self,
        id: Id,
        place: Option<Place>,
        flags: usize,
        caller: &Caller,
    ) -> Result<usize> {
        let open = opened(id, place, flags, caller);
        let node = self.nodes.get_mut(id)?;
        let is_file = match node.content {
            Content::Directory(_) if open.write || wants_file(flags) => {
                return Err(Error::new(EISDIR));
            }
            Content::Directory(_) => false,
            _ if flags & O_DIRECTORY != 0 => return Err(Error::new(ENOTDIR)),
            Content::Symlink(_) if flags & O_SYMLINK == 0 => return Err(Error::new(ELOOP)),
            Content::Symlink(_) | Content::Fifo => false,
            Content::File(_) => true,
        };
        let wanted = if open.read { READ } else { 0 } | if open.write { WRITE } else { 0 };
        node.allow(caller, wanted)?;
        if wanted != 0 && matches!(node.content, Content::Fifo) {
            return Err(Error::new(ENXIO));
        }
        node.opens += 1;
        if is_file && open.write && flags & O_TRUNC != 0 {
            self.cut(id, 0, caller)?;
        }
        Ok(self.handles.insert(open))
    }

    fn create(&mut self, found: Found, flags: usize, caller: &Caller) -> Result<usize> {
        let place = found.place.ok_or(Error::new(EINVAL))?;
        if found.wants_directory && flags & O_DIRECTORY == 0 {
            return Err(Error::new(EISDIR));
        }
        let parent = self.nodes.get(place.directory)?;
        parent.allow(caller, WRITE | SEARCH)?;
        if parent.links == 0 {
            return Err(Error::new(ENOENT));
        }
        if flags as u16 & MODE_TYPE == MODE_FIFO && flags & O_EXCL == 0 {
            return Err(Error::new(EINVAL));
        }
        let content = content_for(flags, place.directory);
        let flags = if matches!(content, Content::Fifo) { flags | O_STAT } else { flags };
        let mode = if flags & O_SYMLINK != 0 { 0o777 } else { flags as u16 & PERMISSIONS };
        let mut node = Node::new(content, mode, caller);
        if parent.hands_down_group() {
            node.join_group_of(parent);
        }
        self.space.charge(space::NODE + space::entry(&place.name))?;
        let id = self.nodes.insert(node);
        self.attach(id, &place, caller)?;
        self.nodes.get_mut(id)?.opens = 1;
        Ok(self.handles.insert(opened(id, Some(place), flags, caller)))
    }

    /// The FIFO that a path leads to, which [`Tree::open`] refused with the same arguments.
    pub fn fifo(&self, start: usize, path: &str, caller: &Caller) -> Result<Id> {
        let found = walk(&self.nodes, self.handles.get(start)?.node, path, Last::Follow, caller)?;
        found.node.ok_or(Error::new(ENOENT))
    }

    /// Another handle like this one.
    pub fn dup(&mut self, handle: usize) -> Result<usize> {
        let open = self.handles.get(handle)?.clone();
        self.nodes.get_mut(open.node)?.opens += 1;
        Ok(self.handles.insert(open))
    }

    /// Closes a handle. A node without name and handles is gone, and its space is free.
    pub fn close(&mut self, handle: usize) {
        if [ROOT_HANDLE, SHARED_HANDLE].contains(&handle) {
            return;
        }
        if let Some(open) = self.handles.remove(handle)
            && let Ok(node) = self.nodes.get_mut(open.node)
        {
            node.opens -= 1;
            self.forget(open.node);
        }
    }

    /// Who opened a handle.
    pub fn owner(&self, handle: usize) -> Result<Owner> {
        self.handles.get(handle).map(|open| open.owner)
    }

    /// Lets a name that is free stand for a node; the space for it is paid.
    fn attach(&mut self, id: Id, place: &Place, caller: &Caller) -> Result<()> {
        let node = self.nodes.get_mut(id)?;
        node.place = Some(place.clone());
        node.changed = caller.now;
        node.links += if node.is_directory() { 2 } else { 1 };
        let is_directory = node.is_directory();
        if is_directory {
            node.directory_mut()?.parent = place.directory;
        }
        let parent = self.nodes.get_mut(place.directory)?;
        parent.directory_mut()?.insert(Rc::clone(&place.name), id);
        parent.links += u32::from(is_directory);
        parent.touch(caller);
        Ok(())
    }

    /// Takes a name away from the node it stands for, and its space back.
    fn detach(&mut self, place: &Place, caller: &Caller) -> Result<Id> {
        let parent = self.nodes.get_mut(place.directory)?;
        let id = parent.directory_mut()?.remove(&place.name).ok_or(Error::new(ENOENT))?;
        parent.touch(caller);
        self.space.release(space::entry(&place.name));
        let node = self.nodes.get_mut(id)?;
        node.changed = caller.now;
        if node.place.as_ref() == Some(place) {
            node.place = None;
        }
        if node.is_directory() {
            node.links -= 2;
            self.nodes.get_mut(place.directory)?.links -= 1;
        } else {
            node.links -= 1;
        }
        Ok(id)
    }

    /// Frees a node that has neither names nor handles.
    fn forget(&mut self, id: Id) {
        let unused = self.nodes.get(id).is_ok_and(|node| node.links == 0 && node.opens == 0);
        if unused && let Some(node) = self.nodes.remove(id) {
            self.space.release(cost(&node));
        }
    }
}

/// What a node costs, without its names.
fn cost(node: &Node) -> u64 {
    space::NODE
        + match &node.content {
            Content::File(file) => file.pages() as u64 * scheme::area::PAGE as u64,
            Content::Symlink(target) => target.len() as u64,
            Content::Directory(_) | Content::Fifo => 0,
        }
}

fn opened(node: Id, place: Option<Place>, flags: usize, caller: &Caller) -> Open {
    let access = if flags & O_STAT != 0 { 0 } else { flags & O_ACCMODE };
    Open {
        node,
        read: access & O_RDONLY != 0,
        write: access & O_WRONLY != 0,
        place,
        owner: Owner { uid: caller.uid, gid: caller.gid },
    }
}

/// Whether the flags make sense for a regular file only.
fn wants_file(flags: usize) -> bool {
    flags & O_TRUNC != 0 || flags & (O_CREAT | O_DIRECTORY) == O_CREAT
}

fn content_for(flags: usize, parent: Id) -> Content {
    if flags & O_DIRECTORY != 0 {
        Content::Directory(Directory::new(parent))
    } else if flags & O_SYMLINK != 0 {
        Content::Symlink(Box::default())
    } else if flags as u16 & MODE_TYPE == MODE_FIFO {
        Content::Fifo
    } else {
        Content::File(File::default())
    }
}
