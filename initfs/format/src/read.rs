//! Reading: one check of everything, then plain access that cannot fail.

use crate::layout::*;
use crate::{Invalid, MODE_MASK, NAME_MAX, PAGE_SIZE, TARGET_MAX};
use core::ops::Range;

/// A checked archive.
#[derive(Clone, Copy, Debug)]
pub struct Archive<'a> {
    bytes: &'a [u8],
    entries: u32,
}

/// What an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A file with contents.
    File,
    /// A symbolic link.
    Link,
}

/// One directory, file or link.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    archive: Archive<'a>,
    index: u32,
    parent: u32,
    kind: Kind,
    mode: u16,
    name: &'a str,
    start: u64,
    count: u64,
}

impl<'a> Archive<'a> {
    /// Checks all of `bytes`: bounds, names, order, tree. Bytes behind the archive's own length
    /// are ignored.
    ///
    /// # Errors
    ///
    /// The first thing found wrong.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Invalid> {
        let archive = check_header(bytes)?;
        archive.check_tree()?;
        Ok(archive)
    }

    /// Its own bytes: a multiple of the page size.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// How many directories, files and links it holds, the root included.
    pub fn entry_count(&self) -> u32 {
        self.entries
    }

    /// The entry with this index: 0 is the root.
    pub fn entry(&self, index: u32) -> Option<Entry<'a>> {
        if index >= self.entries {
            return None;
        }
        self.decode(index).ok()
    }

    /// The root directory.
    pub fn root(&self) -> Entry<'a> {
        self.entry(0).expect("a checked archive has a root")
    }

    /// All entries, directories before what they hold.
    pub fn entries(&self) -> Children<'a> {
        Children { archive: *self, range: 0..self.entries }
    }

    /// Reads one entry as far as it can be judged by itself.
    fn decode(&self, index: u32) -> Result<Entry<'a>, Invalid> {
        let at = HEADER_SIZE + index as usize * ENTRY_SIZE;
        let raw = self.bytes.get(at..at + ENTRY_SIZE).ok_or(Invalid::Truncated)?;
        let decoded = (|| {
            let kind = match u64_at(raw, ENTRY_KIND)? {
                KIND_DIRECTORY => Kind::Directory,
                KIND_FILE => Kind::File,
                KIND_LINK => Kind::Link,
                _ => return None,
            };
            let mode = u16_at(raw, ENTRY_MODE).filter(|mode| mode & !MODE_MASK == 0)?;
            let (name_at, name_len) =
                (u64_at(raw, ENTRY_NAME_OFFSET)?, u16_at(raw, ENTRY_NAME_LEN)?);
            let name = self.text(name_at, name_len.into());
            let (start, count) = (u64_at(raw, ENTRY_START)?, u64_at(raw, ENTRY_COUNT)?);
            Some((u32_at(raw, ENTRY_PARENT)?, kind, mode, name, start, count))
        })();
        let (parent, kind, mode, name, start, count) = decoded.ok_or(Invalid::Entry(index))?;
        let name = name.ok_or(Invalid::Name(index))?;
        Ok(Entry { archive: *self, index, parent, kind, mode, name, start, count })
    }

    /// A piece of the names area, as text.
    fn text(&self, start: u64, length: u64) -> Option<&'a str> {
        let (names, data) =
            (u64_at(self.bytes, HEADER_NAMES_OFFSET)?, u64_at(self.bytes, HEADER_DATA_OFFSET)?);
        if start < names || start.checked_add(length)? > data {
            return None;
        }
        core::str::from_utf8(slice_at(self.bytes, start, length)?).ok()
    }

    /// Walks the entries once; see the crate's documentation for why this proves a tree.
    fn check_tree(&self) -> Result<(), Invalid> {
        let root = self.decode(0)?;
        if root.kind != Kind::Directory || root.parent != 0 || !root.name.is_empty() {
            return Err(Invalid::Root);
        }
        let mut unclaimed = 1_u32;
        for index in 0..self.entries {
            let entry = self.decode(index)?;
            match entry.kind {
                Kind::Directory => {
                    unclaimed = self.check_children(&entry, unclaimed)?;
                }
                Kind::File => check_data(self.bytes, &entry)?,
                Kind::Link => {
                    let target = self.text(entry.start, entry.count);
                    let possible = |target: &str| {
                        !target.is_empty() && target.len() <= TARGET_MAX && !target.contains('\0')
                    };
                    if !target.is_some_and(possible) {
                        return Err(Invalid::Target(index));
                    }
                }
            }
        }
        if unclaimed == self.entries { Ok(()) } else { Err(Invalid::Children(0)) }
    }

    /// Checks that `directory`'s children are the entries from `unclaimed` on, sorted; returns
    /// the first entry nobody has claimed yet.
    fn check_children(&self, directory: &Entry<'a>, unclaimed: u32) -> Result<u32, Invalid> {
        let children = Invalid::Children(directory.index);
        if directory.start != u64::from(unclaimed) || unclaimed <= directory.index {
            return Err(children);
        }
        let count = u32::try_from(directory.count).map_err(|_| children)?;
        let end = unclaimed.checked_add(count).filter(|end| *end <= self.entries);
        let end = end.ok_or(children)?;
        let mut before = "";
        for index in unclaimed..end {
            let child = self.decode(index)?;
            if child.parent != directory.index {
                return Err(Invalid::Parent(index));
            }
            if !is_name(child.name) {
                return Err(Invalid::Name(index));
            }
            if child.name.as_bytes() <= before.as_bytes() {
                return Err(Invalid::Order(index));
            }
            before = child.name;
        }
        Ok(end)
    }
}

/// Whether one part of a path may be called so.
pub(crate) fn is_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.len() <= NAME_MAX && !name.contains(['/', '\0'])
}

fn check_header(bytes: &[u8]) -> Result<Archive<'_>, Invalid> {
    if bytes.get(..MAGIC.len()) != Some(&MAGIC) {
        return Err(Invalid::Magic);
    }
    let version = u32_at(bytes, HEADER_VERSION).ok_or(Invalid::Truncated)?;
    if version != VERSION {
        return Err(Invalid::Version(version));
    }
    let entries = u32_at(bytes, HEADER_ENTRIES).ok_or(Invalid::Truncated)?;
    let names = u64_at(bytes, HEADER_NAMES_OFFSET).ok_or(Invalid::Truncated)?;
    let data = u64_at(bytes, HEADER_DATA_OFFSET).ok_or(Invalid::Truncated)?;
    let length = u64_at(bytes, HEADER_LENGTH).ok_or(Invalid::Truncated)?;
    let bytes = slice_at(bytes, 0, length).ok_or(Invalid::Truncated)?;
    let entries_end = HEADER_SIZE as u64 + u64::from(entries) * ENTRY_SIZE as u64;
    let aligned = |offset: u64| offset.is_multiple_of(PAGE_SIZE as u64);
    if names != entries_end || names > data || data > length || !aligned(data) || !aligned(length) {
        return Err(Invalid::Header);
    }
    if entries == 0 {
        return Err(Invalid::Root);
    }
    Ok(Archive { bytes, entries })
}

fn check_data(bytes: &[u8], file: &Entry<'_>) -> Result<(), Invalid> {
    let data = u64_at(bytes, HEADER_DATA_OFFSET).ok_or(Invalid::Truncated)?;
    let inside = file.start >= data && slice_at(bytes, file.start, file.count).is_some();
    if inside && file.start.is_multiple_of(PAGE_SIZE as u64) {
        Ok(())
    } else {
        Err(Invalid::Data(file.index))
    }
}

impl<'a> Entry<'a> {
    /// Its index in the archive: stable, and 0 for the root.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its permission bits.
    pub fn mode(&self) -> u16 {
        self.mode
    }

    /// The last part of its path; empty for the root.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The directory it is in; the root is its own.
    pub fn parent(&self) -> Entry<'a> {
        self.archive.entry(self.parent).expect("a checked entry has a parent")
    }

    /// Its length in bytes: of the contents or the target, 0 for a directory.
    pub fn size(&self) -> usize {
        if self.kind == Kind::Directory { 0 } else { self.count as usize }
    }

    /// Where in the archive its contents lie: from a page boundary on. Empty for all but files.
    pub fn data_range(&self) -> Range<usize> {
        match self.kind {
            Kind::File => self.start as usize..(self.start + self.count) as usize,
            Kind::Directory | Kind::Link => 0..0,
        }
    }

    /// Its contents; empty for all but files.
    pub fn data(&self) -> &'a [u8] {
        self.archive.bytes.get(self.data_range()).unwrap_or_default()
    }

    /// Where it points; empty for all but links.
    pub fn target(&self) -> &'a str {
        match self.kind {
            Kind::Link => self.archive.text(self.start, self.count).unwrap_or_default(),
            Kind::Directory | Kind::File => "",
        }
    }

    /// What is in it, sorted by name; nothing for all but directories.
    pub fn children(&self) -> Children<'a> {
        let range = match self.kind {
            Kind::Directory => self.start as u32..(self.start + self.count) as u32,
            Kind::File | Kind::Link => 0..0,
        };
        Children { archive: self.archive, range }
    }

    /// The entry called `name` in this directory.
    pub fn child(&self, name: &str) -> Option<Entry<'a>> {
        let Range { mut start, mut end } = self.children().range;
        while start < end {
            let middle = start + (end - start) / 2;
            let entry = self.archive.entry(middle)?;
            match entry.name.as_bytes().cmp(name.as_bytes()) {
                core::cmp::Ordering::Equal => return Some(entry),
                core::cmp::Ordering::Less => start = middle + 1,
                core::cmp::Ordering::Greater => end = middle,
            }
        }
        None
    }
}

/// Neighbouring entries.
#[derive(Clone, Debug)]
pub struct Children<'a> {
    archive: Archive<'a>,
    range: Range<u32>,
}

impl<'a> Iterator for Children<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        self.archive.entry(self.range.next()?)
    }

    fn nth(&mut self, n: usize) -> Option<Entry<'a>> {
        self.archive.entry(self.range.nth(n)?)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

impl ExactSizeIterator for Children<'_> {}
