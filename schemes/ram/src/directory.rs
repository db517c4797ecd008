//! A directory: names in the order they came.
//!
//! Each entry has a number that only grows. A listing goes by number, so whoever reads it in
//! pieces sees every entry that stayed exactly once, whatever happens in between.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use crate::node::Id;

/// Names and what they stand for.
#[derive(Debug)]
pub struct Directory {
    /// The directory this one is in; the root is in itself.
    pub parent: Id,
    numbers: BTreeMap<Rc<str>, u64>,
    entries: BTreeMap<u64, Entry>,
    last: u64,
}

/// One name.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name.
    pub name: Rc<str>,
    /// What it names.
    pub node: Id,
}

impl Directory {
    /// An empty directory.
    pub fn new(parent: Id) -> Self {
        Self { parent, numbers: BTreeMap::new(), entries: BTreeMap::new(), last: 0 }
    }

    /// Whether it has no entries.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many entries it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// What a name stands for.
    pub fn get(&self, name: &str) -> Option<Id> {
        let number = self.numbers.get(name)?;
        self.entries.get(number).map(|entry| entry.node)
    }

    /// Adds a name, or makes it stand for something else.
    pub fn insert(&mut self, name: Rc<str>, node: Id) {
        self.remove(&name);
        self.last += 1;
        self.numbers.insert(name.clone(), self.last);
        self.entries.insert(self.last, Entry { name, node });
    }

    /// Takes a name out.
    pub fn remove(&mut self, name: &str) -> Option<Id> {
        let number = self.numbers.remove(name)?;
        self.entries.remove(&number).map(|entry| entry.node)
    }

    /// The entries that came after the one with this number, with their numbers. 0 for all.
    pub fn after(&self, number: u64) -> impl Iterator<Item = (u64, &Entry)> {
        let range = (Bound::Excluded(number), Bound::Unbounded);
        self.entries.range(range).map(|(&number, entry)| (number, entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Directory, after: u64) -> Vec<String> {
        directory.after(after).map(|(_, entry)| entry.name.to_string()).collect()
    }

    fn with(names: &[&str]) -> Directory {
        let mut directory = Directory::new(Id(1));
        for (index, &name) in names.iter().enumerate() {
            directory.insert(name.into(), Id(index as u64 + 10));
        }
        directory
    }

    #[test]
    fn names_are_found_and_forgotten() {
        let mut directory = with(&["b", "a"]);
        assert_eq!(directory.get("a"), Some(Id(11)));
        assert_eq!(directory.remove("a"), Some(Id(11)));
        assert_eq!(directory.get("a"), None);
        assert_eq!(directory.remove("a"), None);
        assert_eq!(directory.len(), 1);
    }

    #[test]
    fn a_listing_survives_changes_halfway() {
        let mut directory = with(&["one", "two", "three"]);
        let (number, first) = directory.after(0).next().expect("an entry");
        assert_eq!(&*first.name, "one");
        directory.remove("one");
        directory.remove("two");
        directory.insert("four".into(), Id(99));
        assert_eq!(names(&directory, number), ["three", "four"]);
    }

    #[test]
    fn replacing_leaves_one_entry() {
        let mut directory = with(&["a", "b"]);
        directory.insert("a".into(), Id(50));
        assert_eq!(directory.get("a"), Some(Id(50)));
        assert_eq!(names(&directory, 0), ["b", "a"]);
        assert!(names(&directory, u64::MAX).is_empty());
    }
}
