//! All lines, oldest first, up to a limit.
//!
//! A tag that talks too much loses its own oldest lines first; only when everything together is
//! too much does the oldest line of all go. Every line has a number, for all and within its tag,
//! so a reader can tell how many are missing.

use std::collections::{BTreeMap, VecDeque};

use syscall::error::{ENOSPC, Error, Result};

use crate::line::Line;

/// Most tags there can ever be.
pub const TAGS_MAX: usize = 256;

/// What a line costs beside its text.
const OVERHEAD: usize = 96;

/// How much is kept, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of one tag.
    pub tag: usize,
    /// Altogether.
    pub total: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { tag: 128 << 10, total: 1 << 20 }
    }
}

/// A tag's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TagId(usize);

/// A stored line.
#[derive(Clone, Debug)]
pub struct Record {
    /// The line.
    pub line: Line,
    /// Whose it is.
    pub tag: TagId,
    /// Its number among all lines.
    pub number: u64,
    /// Its number among the lines of its tag.
    pub tag_number: u64,
}

#[derive(Clone, Debug)]
struct Tag {
    name: Box<str>,
    numbers: VecDeque<u64>,
    written: u64,
    bytes: usize,
}

/// The store.
#[derive(Clone, Debug, Default)]
pub struct Store {
    limits: Limits,
    records: BTreeMap<u64, Record>,
    tags: Vec<Tag>,
    written: u64,
    bytes: usize,
}

impl Store {
    /// An empty store.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// The tag with this name.
    pub fn find(&self, name: &str) -> Option<TagId> {
        self.tags.iter().position(|tag| *tag.name == *name).map(TagId)
    }

    /// The tag with this name, made if there is room for another.
    pub fn find_or_make(&mut self, name: &str) -> Result<TagId> {
        if let Some(id) = self.find(name) {
            return Ok(id);
        }
        if self.tags.len() == TAGS_MAX {
            return Err(Error::new(ENOSPC));
        }
        self.tags.push(Tag { name: name.into(), numbers: VecDeque::new(), written: 0, bytes: 0 });
        Ok(TagId(self.tags.len() - 1))
    }

    /// The names of all tags, in the order they came.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().map(|tag| &*tag.name)
    }

    /// A tag's name.
    pub fn name(&self, id: TagId) -> &str {
        &self.tags[id.0].name
    }

    /// Adds a line.
    pub fn add(&mut self, id: TagId, line: Line) {
        let cost = cost(&line);
        let tag = &mut self.tags[id.0];
        let (number, tag_number) = (self.written, tag.written);
        tag.numbers.push_back(number);
        tag.written += 1;
        tag.bytes += cost;
        self.written += 1;
        self.bytes += cost;
        self.records.insert(number, Record { line, tag: id, number, tag_number });
        // The newest line always stays, whatever its size.
        while self.tags[id.0].bytes > self.limits.tag && self.tags[id.0].numbers.len() > 1 {
            let oldest = self.tags[id.0].numbers[0];
            self.drop_line(oldest);
        }
        while self.bytes > self.limits.total && self.records.len() > 1 {
            let Some((&oldest, _)) = self.records.first_key_value() else { break };
            self.drop_line(oldest);
        }
    }

    /// Forgets a line, which must be the oldest of its tag.
    fn drop_line(&mut self, number: u64) {
        if let Some(record) = self.records.remove(&number) {
            let cost = cost(&record.line);
            let tag = &mut self.tags[record.tag.0];
            tag.numbers.pop_front();
            tag.bytes -= cost;
            self.bytes -= cost;
        }
    }

    /// The first line from this number on.
    pub fn first_from(&self, number: u64) -> Option<&Record> {
        self.records.range(number..).next().map(|(_, record)| record)
    }

    /// The first line of a tag from this number within the tag on.
    pub fn first_of_tag_from(&self, id: TagId, tag_number: u64) -> Option<&Record> {
        let tag = &self.tags[id.0];
        let oldest = tag.written - tag.numbers.len() as u64;
        let place = tag_number.saturating_sub(oldest);
        let number = tag.numbers.get(usize::try_from(place).ok()?)?;
        self.records.get(number)
    }

    /// How many lines a tag has ever had.
    pub fn written(&self, id: TagId) -> u64 {
        self.tags[id.0].written
    }

    /// When the newest line was written, in µs.
    pub fn newest_us(&self) -> u64 {
        self.records.last_key_value().map_or(0, |(_, record)| record.line.time_us)
    }

    /// Bytes kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

fn cost(line: &Line) -> usize {
    OVERHEAD + line.text.len()
}
