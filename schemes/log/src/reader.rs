//! A place in the log: reads on from there, line by line.

use crate::line;
use crate::store::{Record, Store, TagId};

/// Whose lines are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everybody's.
    All,
    /// Those of one tag, which may not have said anything yet.
    Tag(Box<str>),
}

/// A reader, at first before the oldest line.
#[derive(Clone, Debug)]
pub struct Reader {
    scope: Scope,
    /// The number of the next line, in the reader's scope.
    next: u64,
    /// What has been formatted but not read yet.
    rest: Vec<u8>,
}

impl Reader {
    /// A reader of these lines.
    pub fn new(scope: Scope) -> Self {
        Self { scope, next: 0, rest: Vec::new() }
    }

    /// Reads as much as there is and fits; 0 when there is nothing new.
    pub fn read(&mut self, store: &Store, buffer: &mut [u8]) -> usize {
        let mut filled = 0;
        while filled < buffer.len() && (!self.rest.is_empty() || self.load(store)) {
            let length = self.rest.len().min(buffer.len() - filled);
            buffer[filled..filled + length].copy_from_slice(&self.rest[..length]);
            self.rest.drain(..length);
            filled += length;
        }
        filled
    }

    /// Whether a read would find something.
    pub fn has_more(&self, store: &Store) -> bool {
        !self.rest.is_empty() || self.find(store).is_some() || self.all_lost(store) > 0
    }

    /// Formats the next line, after saying how many are missing before it.
    fn load(&mut self, store: &Store) -> bool {
        let Some((record, number)) = self.find(store) else {
            let lost = self.all_lost(store);
            if lost > 0 {
                self.rest.extend_from_slice(line::lost(store.newest_us(), lost).as_bytes());
                self.next += lost;
            }
            return lost > 0;
        };
        if number > self.next {
            let lost = line::lost(record.line.time_us, number - self.next);
            self.rest.extend_from_slice(lost.as_bytes());
        }
        self.rest.extend_from_slice(record.line.format(store.name(record.tag)).as_bytes());
        self.next = number + 1;
        true
    }

    /// How many lines are missing when no later one is there: others have crowded all of them out.
    fn all_lost(&self, store: &Store) -> u64 {
        let Scope::Tag(name) = &self.scope else { return 0 };
        match store.find(name) {
            Some(id) if store.first_of_tag_from(id, self.next).is_none() => {
                store.written(id) - self.next
            }
            _ => 0,
        }
    }

    /// The next line that still is there, and its number in this reader's scope.
    fn find<'a>(&self, store: &'a Store) -> Option<(&'a Record, u64)> {
        match &self.scope {
            Scope::All => store.first_from(self.next).map(|record| (record, record.number)),
            Scope::Tag(name) => {
                let id: TagId = store.find(name)?;
                let record = store.first_of_tag_from(id, self.next)?;
                Some((record, record.tag_number))
            }
        }
    }
}
