//! Removing, linking and moving names.

use std::rc::Rc;

use redoxfs::{Node, TreePtr};
use syscall::error::{
    EBUSY, EEXIST, EINVAL, EISDIR, EMLINK, ENOENT, ENOTDIR, ENOTEMPTY, EPERM, Error, Result,
};

use super::walk::{Found, Last};
use super::{
    Caller, NO_RECORDS, Place, ROOT, ROOT_HANDLE, SEARCH, Tree, WRITE, allow, allow_owner,
    check_name,
};
use crate::store::Records;

/// In a directory with this bit only owners take names away.
const STICKY: u16 = 0o1000;

impl<D: Records> Tree<'_, '_, D> {
    /// Removes a name: of an empty directory if `directory`, else of anything but a directory.
    /// What it stood for lives on while it has other names or open handles.
    pub fn unlink(
        &mut self,
        start: usize,
        path: &str,
        directory: bool,
        caller: &Caller,
    ) -> Result<()> {
        let found = self.walk(start, path, Last::Keep, caller)?;
        let id = found.node.ok_or(Error::new(ENOENT))?;
        let place = found.place.ok_or(Error::new(EBUSY))?;
        self.allow_removal(&place, id, caller)?;
        self.check_removable(id, directory)?;
        self.prepare_freeing(NO_RECORDS)?;
        let removed = self.remove(&place, id, caller);
        self.settle(removed)
    }

    fn check_removable(&mut self, id: u32, directory: bool) -> Result<()> {
        let node = self.node(id)?;
        match (node.data().is_dir(), directory) {
            (true, false) => Err(Error::new(EISDIR)),
            (false, true) => Err(Error::new(ENOTDIR)),
            (true, true) if node.data().size() > 0 => Err(Error::new(ENOTEMPTY)),
            _ => Ok(()),
        }
    }

    /// Whether a name may be taken away: in a sticky directory, only by its owner or the node's.
    fn allow_removal(&mut self, place: &Place, id: u32, caller: &Caller) -> Result<()> {
        let parent = self.node(place.parent)?;
        allow(parent.data(), caller, WRITE | SEARCH)?;
        if parent.data().mode() & STICKY == 0 || caller.uid == parent.data().uid() {
            return Ok(());
        }
        allow_owner(self.node(id)?.data(), caller)
    }

    fn remove(&mut self, place: &Place, id: u32, caller: &Caller) -> Result<()> {
        let node = self.node(id)?;
        let kind = node.data().mode() & Node::MODE_TYPE;
        let is_open = self.state.handles.values().any(|open| open.node == id);
        let is_last = node.data().links() <= 1;
        self.write_out(place.parent)?;
        if is_last && !is_open {
            self.empty(id)?;
        } else {
            self.write_out(id)?;
        }
        self.state.cache.forget_name(place.parent, &place.name);
        self.tx.remove_node(TreePtr::new(place.parent), &place.name, kind)?;
        if is_last && is_open {
            // RedoxFS notes that the node is to go, but leaves its count of names as it was.
            let mut node = self.copy_of(id)?;
            node.data_mut().set_links(0);
            self.state.cache.change_node(Rc::new(node));
        }
        for open in self.state.handles.values_mut().filter(|open| open.node == place.parent) {
            if !open.listing.is_empty() {
                open.unlisted.insert(place.name.clone());
            }
        }
        self.touch_directory(place.parent, caller);
        Ok(())
    }

    /// Gives an open node a second name.
    pub fn link(&mut self, handle: usize, path: &str, caller: &Caller) -> Result<()> {
        let id = self.state.handle(handle)?.node;
        let found = self.walk(ROOT_HANDLE, path, Last::Keep, caller)?;
        if found.node.is_some() {
            return Err(Error::new(EEXIST));
        }
        let place = found.place.ok_or(Error::new(EEXIST))?;
        let node = self.node(id)?;
        if node.data().is_dir() {
            return Err(Error::new(EPERM));
        }
        if found.wants_directory || node.data().links() == 0 {
            return Err(Error::new(ENOENT));
        }
        if node.data().links() == u32::MAX {
            return Err(Error::new(EMLINK));
        }
        self.allow_new(&place, caller)?;
        self.prepare(NO_RECORDS)?;
        let linked = self.add_name(&place, id, caller);
        self.settle(linked)
    }

    fn add_name(&mut self, place: &Place, id: u32, caller: &Caller) -> Result<()> {
        self.write_out(place.parent)?;
        self.write_out(id)?;
        self.tx.link_node(TreePtr::new(place.parent), &place.name, TreePtr::new(id))?;
        self.touch_directory(place.parent, caller);
        Ok(())
    }

    fn allow_new(&mut self, place: &Place, caller: &Caller) -> Result<()> {
        check_name(&place.name)?;
        let parent = self.node(place.parent)?;
        allow(parent.data(), caller, WRITE | SEARCH)?;
        if parent.data().links() == 0 { Err(Error::new(ENOENT)) } else { Ok(()) }
    }

    /// Moves the name a handle was opened by. What the new name stood for is replaced, all at
    /// once.
    pub fn rename(&mut self, handle: usize, path: &str, caller: &Caller) -> Result<()> {
        let open = self.state.handle(handle)?;
        let id = open.node;
        let from = open.place.clone().ok_or(Error::new(EBUSY))?;
        if self.lookup(from.parent, &from.name) != Ok(id) {
            return Err(Error::new(ENOENT));
        }
        let found = self.walk(ROOT_HANDLE, path, Last::Keep, caller)?;
        if found.node == Some(id) {
            return Ok(());
        }
        let to = self.check_rename(id, &from, &found, caller)?;
        self.prepare(NO_RECORDS)?;
        let moved = self.replace(id, &from, &to, found.node, caller);
        self.settle(moved)?;
        for open in self.state.handles.values_mut().filter(|open| open.node == id) {
            if open.place.as_ref() == Some(&from) {
                open.place = Some(to.clone());
                open.path.clone_from(&found.path);
                open.above.clone_from(&found.above);
            }
        }
        Ok(())
    }

    fn check_rename(
        &mut self,
        id: u32,
        from: &Place,
        found: &Found,
        caller: &Caller,
    ) -> Result<Place> {
        let to = found.place.clone().ok_or(Error::new(EBUSY))?;
        let is_directory = self.node(id)?.data().is_dir();
        if found.wants_directory && !is_directory {
            return Err(Error::new(ENOTDIR));
        }
        // A directory cannot become part of itself.
        if is_directory && (found.above.contains(&id) || id == ROOT) {
            return Err(Error::new(EINVAL));
        }
        self.allow_removal(from, id, caller)?;
        self.allow_new(&to, caller)?;
        if let Some(replaced) = found.node {
            self.allow_removal(&to, replaced, caller)?;
            self.check_removable(replaced, is_directory)?;
        }
        Ok(to)
    }

    fn replace(
        &mut self,
        id: u32,
        from: &Place,
        to: &Place,
        replaced: Option<u32>,
        caller: &Caller,
    ) -> Result<()> {
        if let Some(replaced) = replaced {
            self.remove(to, replaced, caller)?;
        }
        self.add_name(to, id, caller)?;
        self.remove(from, id, caller)
    }
}
