//! What was used lately, as it is used, and what is changed but not written yet.
//!
//! Everything comes out of RedoxFS through a tree, checksums and decompression, and goes back the
//! same way: some 20,000 instructions for a node, 300,000 for a record. Here nodes, records and
//! names stand ready. Changes stay here until the transaction ends, so that a record that is
//! written in small pieces is compressed and sealed once. What is changed is never forgotten; of
//! the rest, what was not used for longest goes first.

use std::collections::BTreeMap;
use std::rc::Rc;

use redoxfs::{Node, TreeData};

use crate::record::{self, Record};

/// Names a record: the file's node and the place in it.
pub type RecordKey = (u32, u64);

/// Nodes in each half: 4 MiB.
const NODES: usize = 1024;
/// Names in each half.
const NAMES: usize = 4096;
/// Records in each half when nobody says: 8 MiB.
const RECORDS: usize = 64;

/// Records in use that are not kept as they are in the transaction: 24 MiB.
const BUSY: usize = 192;

/// Values used lately. When the young half is full it becomes the old one, and the old one is
/// forgotten; a value that is used again becomes young again.
pub struct Lately<K, V> {
    young: BTreeMap<K, V>,
    old: BTreeMap<K, V>,
    half: usize,
}

impl<K: Ord + Copy, V> Lately<K, V> {
    /// Room for `half` young values and as many old ones.
    pub fn new(half: usize) -> Self {
        Self { young: BTreeMap::new(), old: BTreeMap::new(), half: half.max(2) }
    }

    /// The value, if it is still here.
    pub fn get(&mut self, key: K) -> Option<&V> {
        if !self.old.is_empty()
            && let Some(value) = self.old.remove(&key)
        {
            self.put(key, value);
        }
        self.young.get(&key)
    }

    /// Keeps a value.
    pub fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.half && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    /// Takes a value out.
    pub fn take(&mut self, key: K) -> Option<V> {
        self.young.remove(&key).or_else(|| self.old.remove(&key))
    }

    fn take_range(&mut self, range: std::ops::RangeInclusive<K>) {
        for half in [&mut self.young, &mut self.old] {
            let keys: Vec<K> = half.range(range.clone()).map(|(key, _)| *key).collect();
            keys.iter().for_each(|key| drop(half.remove(key)));
        }
    }
}

/// A name as the cache knows it: the directory, and a hash.
fn name_key(parent: u32, name: &str) -> (u32, u64) {
    // FNV-1a; the name itself is compared as well.
    let hash = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    (parent, hash)
}

/// All that is kept of a file system.
pub struct Cache {
    nodes: Lately<u32, Rc<TreeData<Node>>>,
    records: Lately<RecordKey, Record>,
    names: Lately<(u32, u64), (Box<str>, u32)>,
    /// Nodes that differ from the transaction's.
    pub changed_nodes: BTreeMap<u32, Rc<TreeData<Node>>>,
    /// Records that differ. The node of each is among the changed ones.
    pub changed_records: BTreeMap<RecordKey, Record>,
    /// Directories whose names changed, and when: seconds and nanoseconds.
    pub touched: BTreeMap<u32, (u64, u32)>,
}

impl Default for Cache {
    fn default() -> Self {
        Self::new(RECORDS)
    }
}

impl Cache {
    /// Keeps up to twice `records` records.
    pub fn new(records: usize) -> Self {
        let records = records.max(8);
        // Those that change, are on their way to the disk or from there, come on top.
        record::reserve(2 * records + BUSY);
        Self {
            nodes: Lately::new(NODES),
            records: Lately::new(records),
            names: Lately::new(NAMES),
            changed_nodes: BTreeMap::new(),
            changed_records: BTreeMap::new(),
            touched: BTreeMap::new(),
        }
    }

    /// Forgets everything, changes too: their transaction is gone.
    pub fn clear(&mut self) {
        *self = Self::new(self.records.half);
    }

    /// A node as it is now.
    pub fn node(&mut self, id: u32) -> Option<Rc<TreeData<Node>>> {
        if !self.changed_nodes.is_empty()
            && let Some(node) = self.changed_nodes.get(&id)
        {
            return Some(node.clone());
        }
        self.nodes.get(id).cloned()
    }

    /// Keeps a node that is the same in the transaction.
    pub fn keep_node(&mut self, node: Rc<TreeData<Node>>) {
        self.nodes.put(node.id(), node);
    }

    /// Keeps a node that differs.
    pub fn change_node(&mut self, node: Rc<TreeData<Node>>) {
        self.nodes.take(node.id());
        self.changed_nodes.insert(node.id(), node);
    }

    /// Whether a node, or a record of it, differs from the transaction's.
    pub fn is_changed(&self, id: u32) -> bool {
        self.changed_nodes.contains_key(&id)
    }

    /// Forgets a node's own block, because RedoxFS is about to change it.
    pub fn forget_node(&mut self, id: u32) {
        self.nodes.take(id);
        self.changed_nodes.remove(&id);
    }

    /// Forgets a node and its records, and what was changed there.
    pub fn forget_all_of(&mut self, id: u32) {
        self.forget_node(id);
        self.touched.remove(&id);
        self.records.take_range((id, 0)..=(id, u64::MAX));
        self.drop_changed(id, 0);
    }

    /// Forgets what was changed in a node's records from this one on.
    pub fn drop_changed(&mut self, id: u32, first: u64) {
        let changed: Vec<RecordKey> =
            self.changed_of(id).filter(|(_, index)| *index >= first).collect();
        changed.iter().for_each(|key| drop(self.changed_records.remove(key)));
    }

    /// Which records of a node differ, in order.
    pub fn changed_of(&self, id: u32) -> impl Iterator<Item = RecordKey> {
        self.changed_records.range((id, 0)..=(id, u64::MAX)).map(|(key, _)| *key)
    }

    /// A record as it is now.
    pub fn record(&mut self, key: RecordKey) -> Option<&[u8]> {
        if let Some(record) = self.changed_records.get(&key) {
            return Some(record);
        }
        self.records.get(key).map(|record| &**record)
    }

    /// Keeps a record that is the same in the transaction.
    pub fn keep_record(&mut self, key: RecordKey, record: Record) {
        self.records.put(key, record);
    }

    /// Keeps a record that differs.
    pub fn change_record(&mut self, key: RecordKey, record: Record) {
        self.records.take(key);
        self.changed_records.insert(key, record);
    }

    /// A record that differs from now on, if it is here.
    pub fn record_to_change(&mut self, key: RecordKey) -> Option<&mut [u8]> {
        if let Some(record) = self.records.take(key) {
            self.changed_records.insert(key, record);
        }
        self.changed_records.get_mut(&key).map(|record| &mut **record)
    }

    /// The node that a name stands for.
    pub fn name(&mut self, parent: u32, name: &str) -> Option<u32> {
        let (kept, node) = self.names.get(name_key(parent, name))?;
        (**kept == *name).then_some(*node)
    }

    /// Keeps a name.
    pub fn keep_name(&mut self, parent: u32, name: &str, node: u32) {
        self.names.put(name_key(parent, name), (name.into(), node));
    }

    /// Forgets a name that is about to change.
    pub fn forget_name(&mut self, parent: u32, name: &str) {
        self.names.take(name_key(parent, name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let mut lately = Lately::new(2);
        (0..2).for_each(|key| lately.put(key, key));
        for key in 2..20 {
            assert_eq!(lately.get(0), Some(&0));
            lately.put(key, key);
        }
        assert_eq!(lately.get(0), Some(&0));
        assert_eq!(lately.get(3), None);
        assert!(lately.young.len() + lately.old.len() <= 4);
    }

    #[test]
    fn names_are_told_apart_by_directory() {
        let mut cache = Cache::default();
        cache.keep_name(1, "a", 7);
        cache.keep_name(2, "a", 8);
        assert_eq!((cache.name(1, "a"), cache.name(2, "a")), (Some(7), Some(8)));
        cache.forget_name(1, "a");
        assert_eq!((cache.name(1, "a"), cache.name(2, "a")), (None, Some(8)));
    }

    #[test]
    fn changes_are_not_forgotten_for_want_of_room() {
        let mut cache = Cache::new(2);
        let record = |byte| {
            let mut record = Record::unfilled();
            record.fill(byte);
            record
        };
        cache.change_record((5, 0), record(1));
        (0..100).for_each(|at| cache.keep_record((6, at), record(2)));
        assert_eq!(cache.record((5, 0)).map(|bytes| bytes[0]), Some(1));
        assert_eq!(cache.changed_of(5).collect::<Vec<_>>(), [(5, 0)]);
        cache.forget_all_of(5);
        assert!(cache.record((5, 0)).is_none());
    }
}
