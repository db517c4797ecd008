//! Between the cache and the transaction: reading through, changing in the cache, writing out.
//!
//! RedoxFS changes nodes itself when names come and go. So a node's changes are written out
//! before it does ([`Tree::write_out`]), and the node is read anew afterwards.

use std::rc::Rc;

use redoxfs::{Node, RECORD_SIZE, TreeData, TreePtr};
use syscall::error::{ENOENT, Result};

use super::{Caller, Tree, damaged};
use crate::cache::RecordKey;
use crate::record::Record;
use crate::store::Records;

impl<D: Records> Tree<'_, '_, D> {
    /// A node as it is now.
    pub(super) fn node(&mut self, id: u32) -> Result<Rc<TreeData<Node>>> {
        if let Some(node) = self.state.cache.node(id) {
            return Ok(node);
        }
        let node = Rc::new(self.tx.read_tree(TreePtr::new(id)).map_err(damaged)?);
        self.state.cache.keep_node(node.clone());
        Ok(node)
    }

    /// A copy of a node, to change.
    pub(super) fn copy_of(&mut self, id: u32) -> Result<TreeData<Node>> {
        self.node(id).map(|node| copy(&node))
    }

    /// Gives a directory's node the time of its last change in names.
    pub(super) fn apply_touch(&mut self, id: u32) -> Result<()> {
        if let Some(&(seconds, nanoseconds)) = self.state.cache.touched.get(&id) {
            let mut node = self.copy_of(id)?;
            node.data_mut().set_mtime(seconds, nanoseconds);
            self.state.cache.change_node(Rc::new(node));
            self.state.cache.touched.remove(&id);
        }
        Ok(())
    }

    /// The node that a name in a directory stands for; `ENOENT`.
    pub(super) fn lookup(&mut self, parent: u32, name: &str) -> Result<u32> {
        if let Some(id) = self.state.cache.name(parent, name) {
            return Ok(id);
        }
        let found = self.tx.find_node(TreePtr::new(parent), name);
        let node =
            found.map_err(|error| if error.errno == ENOENT { error } else { damaged(error) })?;
        let id = node.id();
        self.state.cache.keep_name(parent, name, id);
        if !self.state.cache.is_changed(id) {
            self.state.cache.keep_node(Rc::new(node));
        }
        Ok(id)
    }

    /// Notes that a directory's names changed.
    pub(super) fn touch_directory(&mut self, id: u32, caller: &Caller) {
        self.state.cache.touched.insert(id, (caller.seconds(), caller.nanoseconds()));
    }

    /// Sees to it that a record is in the cache.
    pub(super) fn load(&mut self, node: &TreeData<Node>, index: u64) -> Result<()> {
        let key = (node.id(), index);
        if self.state.cache.record(key).is_some() {
            return Ok(());
        }
        // Whoever reads one record after the other will want the next ones.
        let follows = self.state.last_read == (node.id(), index.wrapping_sub(1));
        self.state.last_read = key;
        if !follows {
            self.state.expected = 0;
        }
        let record = self.read_record(node, index).map_err(damaged)?;
        if follows {
            self.expect_behind(node, index);
        }
        self.state.cache.keep_record(key, record);
        Ok(())
    }

    /// A record whose bytes are about to change: those of the file all will, if it is not in the
    /// cache. With `all`, nothing of it stays.
    pub(super) fn record_to_change(&mut self, key: RecordKey, all: bool) -> &mut [u8] {
        let cache = &mut self.state.cache;
        if cache.record(key).is_none() {
            let record = if all { Record::unfilled() } else { Record::zeroed() };
            cache.change_record(key, record);
        }
        cache.record_to_change(key).unwrap_or_default()
    }

    /// Gives the transaction what was changed in a node and its records, and forgets the node,
    /// because RedoxFS is going to change it. The time of a directory's last change is left for the
    /// end of the transaction.
    pub(super) fn write_out(&mut self, id: u32) -> Result<()> {
        if self.state.cache.is_changed(id) {
            self.write_out_one(id)?;
        }
        self.state.cache.forget_node(id);
        Ok(())
    }

    fn write_out_one(&mut self, id: u32) -> Result<()> {
        self.apply_touch(id)?;
        if !self.state.cache.is_changed(id) {
            return Ok(());
        }
        let mut node = self.copy_of(id)?;
        let changed: Vec<RecordKey> = self.state.cache.changed_of(id).collect();
        self.write_records(&mut node, changed)?;
        self.tx.sync_tree(copy(&node))?;
        self.state.cache.forget_node(id);
        self.state.cache.keep_node(Rc::new(node));
        Ok(())
    }

    /// Gives the disk changed records of a node, which leads to them from then on.
    pub(super) fn write_records(
        &mut self,
        node: &mut TreeData<Node>,
        changed: Vec<RecordKey>,
    ) -> Result<()> {
        let size = node.data().size();
        for key in changed {
            let Some(mut record) = self.state.cache.changed_records.remove(&key) else { continue };
            let length = size.saturating_sub(key.1 * RECORD_SIZE).min(RECORD_SIZE) as usize;
            if length > 0 {
                self.write_record(node, key.1, &mut record, length)?;
            }
            self.state.cache.keep_record(key, record);
        }
        Ok(())
    }

    /// Gives the transaction everything that was changed: before it is committed.
    ///
    /// # Errors
    /// The transaction cannot be committed.
    pub fn write_out_all(&mut self) -> Result<()> {
        let cache = &self.state.cache;
        let mut ids: Vec<u32> = cache.changed_nodes.keys().copied().collect();
        ids.extend(cache.touched.keys().filter(|id| !cache.is_changed(**id)));
        ids.into_iter().try_for_each(|id| self.write_out_one(id))
    }
}

/// A node can be copied, but does not say so.
fn copy(node: &TreeData<Node>) -> TreeData<Node> {
    let mut data = Node::default();
    data.copy_from_slice(node.data());
    TreeData::new(node.id(), data)
}
