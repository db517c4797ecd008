//! Removing, linking and renaming.

use std::rc::Rc;

use syscall::error::{
    EBUSY, EEXIST, EINVAL, EISDIR, EMLINK, ENOENT, ENOTDIR, ENOTEMPTY, EPERM, Error, Result,
};

use super::Tree;
use crate::node::{Caller, Id, Node, Place, SEARCH, WRITE};
use crate::space;
use crate::walk::{Found, Last, ROOT, SHARED_ROOT, walk};

impl Tree {
    /// Removes a name: of an empty directory if `directory`, else of anything but a directory.
    /// What it stood for lives on while it has other names or open handles.
    pub fn unlink(
        &mut self,
        start: usize,
        path: &str,
        directory: bool,
        caller: &Caller,
    ) -> Result<()> {
        let start = self.handles.get(start)?.node;
        let found = walk(&self.nodes, start, path, Last::Keep, caller)?;
        let id = found.node.ok_or(Error::new(ENOENT))?;
        let place = found.place.ok_or(Error::new(EBUSY))?;
        let node = self.nodes.get(id)?;
        self.nodes.get(place.directory)?.allow_removal(caller, node)?;
        removable(node, directory)?;
        self.detach(&place, caller)?;
        self.forget(id);
        Ok(())
    }

    /// Gives an open node a second name.
    pub fn link(&mut self, handle: usize, path: &str, caller: &Caller) -> Result<()> {
        let id = self.handles.get(handle)?.node;
        let found = walk(&self.nodes, self.root_of(handle)?, path, Last::Keep, caller)?;
        if found.node.is_some() {
            return Err(Error::new(EEXIST));
        }
        let place = found.place.ok_or(Error::new(EEXIST))?;
        let node = self.nodes.get(id)?;
        if node.is_directory() {
            return Err(Error::new(EPERM));
        }
        if found.wants_directory || node.links == 0 {
            return Err(Error::new(ENOENT));
        }
        if node.links == u32::MAX {
            return Err(Error::new(EMLINK));
        }
        self.check_new_name(&place, caller)?;
        self.space.charge(space::entry(&place.name))?;
        self.attach(id, &place, caller)
    }

    /// Moves the name a handle was opened by. What the new name stood for is replaced, all at
    /// once.
    pub fn rename(&mut self, handle: usize, path: &str, caller: &Caller) -> Result<()> {
        let id = self.handles.get(handle)?.node;
        let from = self.place(handle)?;
        let found = walk(&self.nodes, self.root_of(handle)?, path, Last::Keep, caller)?;
        if found.node == Some(id) {
            return Ok(());
        }
        let to = self.check_rename(id, &from, &found, caller)?;
        let (old, new) = (space::entry(&from.name), space::entry(&to.name));
        if found.node.is_none() && new > old {
            // Both names count until the old one is gone: make sure the difference fits.
            self.space.charge(new - old)?;
            self.space.release(new - old);
        }
        // Last step that may fail; commit after it.
        let replaced = match found.node {
            Some(_) => Some(self.detach(&to, caller)?),
            None => None,
        };
        self.detach(&from, caller)?;
        self.space.charge(new)?;
        self.attach(id, &to, caller)?;
        if let Some(replaced) = replaced {
            self.forget(replaced);
        }
        Ok(())
    }

    /// Everything that can be wrong with a rename; the new place if nothing is.
    fn check_rename(&self, id: Id, from: &Place, found: &Found, caller: &Caller) -> Result<Place> {
        let node = self.nodes.get(id)?;
        let to = found.place.clone().ok_or(Error::new(EBUSY))?;
        if found.wants_directory && !node.is_directory() {
            return Err(Error::new(ENOTDIR));
        }
        self.nodes.get(from.directory)?.allow_removal(caller, node)?;
        self.check_new_name(&to, caller)?;
        if node.is_directory() && self.is_inside(to.directory, id)? {
            return Err(Error::new(EINVAL));
        }
        if let Some(target) = found.node {
            let target = self.nodes.get(target)?;
            self.nodes.get(to.directory)?.allow_removal(caller, target)?;
            removable(target, node.is_directory())?;
        }
        Ok(to)
    }

    /// Whether this caller may add a name to this directory.
    fn check_new_name(&self, place: &Place, caller: &Caller) -> Result<()> {
        let parent = self.nodes.get(place.directory)?;
        parent.allow(caller, WRITE | SEARCH)?;
        if parent.links == 0 { Err(Error::new(ENOENT)) } else { Ok(()) }
    }

    /// Whether a directory is another one or somewhere below it.
    fn is_inside(&self, mut directory: Id, above: Id) -> Result<bool> {
        while directory != above {
            if self.nodes.is_root(directory)? {
                return Ok(false);
            }
            directory = self.nodes.get(directory)?.directory()?.parent;
        }
        Ok(true)
    }

    /// The name a handle was opened by, or the newest one of its node.
    pub(super) fn place(&self, handle: usize) -> Result<Place> {
        let open = self.handles.get(handle)?;
        let newest = self.nodes.get(open.node)?.place.clone();
        let holds = |place: &Place| {
            let directory = self.nodes.get(place.directory).and_then(Node::directory);
            directory.is_ok_and(|entries| entries.get(&place.name) == Some(open.node))
        };
        let mut places = [open.place.clone(), newest].into_iter().flatten();
        match places.find(holds) {
            Some(place) => Ok(place),
            None if is_root(open.node) => Err(Error::new(EBUSY)),
            None => Err(Error::new(ENOENT)),
        }
    }

    /// The root that a handle's paths count from; that of `ram:` for what has no name any more.
    pub(super) fn root_of(&self, handle: usize) -> Result<Id> {
        let node = self.handles.get(handle)?.node;
        match self.place(handle) {
            _ if is_root(node) => Ok(node),
            Ok(place) => self.nodes.root_of(place.directory),
            Err(_) => Ok(ROOT),
        }
    }

    /// Whether a handle is of `shm:`.
    pub fn is_shared(&self, handle: usize) -> Result<bool> {
        Ok(self.root_of(handle)? == SHARED_ROOT)
    }

    /// The path of a handle from its root, without a slash in front.
    pub fn path(&self, handle: usize) -> Result<String> {
        let open = self.handles.get(handle)?;
        if is_root(open.node) {
            return Ok(String::new());
        }
        let mut place = self.place(handle)?;
        let mut names = vec![Rc::clone(&place.name)];
        while !is_root(place.directory) {
            place = self.nodes.get(place.directory)?.place.clone().ok_or(Error::new(ENOENT))?;
            names.push(Rc::clone(&place.name));
        }
        names.reverse();
        Ok(names.join("/"))
    }
}

fn is_root(node: Id) -> bool {
    [ROOT, SHARED_ROOT].contains(&node)
}

/// Whether a node may lose its name to `unlink`, or to a rename of something of that type.
fn removable(node: &Node, directory: bool) -> Result<()> {
    match (node.directory(), directory) {
        (Err(_), false) => Ok(()),
        (Err(_), true) => Err(Error::new(ENOTDIR)),
        (Ok(_), false) => Err(Error::new(EISDIR)),
        (Ok(entries), true) if entries.is_empty() => Ok(()),
        (Ok(_), true) => Err(Error::new(ENOTEMPTY)),
    }
}
