//! Writing: a tree in memory, laid out in one go. The same tree always gives the same bytes.

use crate::layout::*;
use crate::read::is_name;
use crate::{MODE_MASK, PAGE_SIZE, TARGET_MAX};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// An archive being put together.
#[derive(Clone, Debug)]
pub struct Builder {
    root: Node,
}

#[derive(Clone, Debug)]
struct Node {
    mode: u16,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Directory(BTreeMap<String, Node>),
    File(Vec<u8>),
    Link(String),
}

/// Why something could not be added.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BuildError {
    /// The path is not absolute, or a part of it cannot be a name.
    Path(String),
    /// There already is something else.
    Exists(String),
    /// A part on the way is a file or a link.
    NotDirectory(String),
    /// The mode has bits beyond [`MODE_MASK`].
    Mode(u16),
    /// The link target is empty, too long or holds NUL.
    Target(String),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{path:?} is not an absolute path of possible names"),
            Self::Exists(path) => write!(f, "{path:?} is already in the archive"),
            Self::NotDirectory(path) => write!(f, "{path:?} is not a directory"),
            Self::Mode(mode) => write!(f, "mode {mode:#o} has bits beyond {MODE_MASK:#o}"),
            Self::Target(target) => write!(f, "{target:?} cannot be the target of a link"),
        }
    }
}

impl core::error::Error for BuildError {}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// An archive that holds only its root.
    pub fn new() -> Self {
        Self { root: Node::directory() }
    }

    /// Adds a directory, or changes the mode of one that is there.
    ///
    /// # Errors
    ///
    /// See [`BuildError`]. Nothing but missing directories on the way has been added.
    pub fn directory(&mut self, path: &str, mode: u16) -> Result<(), BuildError> {
        check_mode(mode)?;
        if path == "/" {
            self.root.mode = mode;
            return Ok(());
        }
        let (siblings, name) = self.place(path)?;
        let node = siblings.entry(name.to_string()).or_insert_with(Node::directory);
        if !matches!(node.content, Content::Directory(_)) {
            return Err(BuildError::Exists(path.to_string()));
        }
        node.mode = mode;
        Ok(())
    }

    /// Adds a file.
    ///
    /// # Errors
    ///
    /// See [`BuildError`].
    pub fn file(&mut self, path: &str, mode: u16, data: Vec<u8>) -> Result<(), BuildError> {
        check_mode(mode)?;
        self.add(path, Node { mode, content: Content::File(data) })
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    ///
    /// See [`BuildError`].
    pub fn link(&mut self, path: &str, target: &str) -> Result<(), BuildError> {
        if target.is_empty() || target.len() > TARGET_MAX || target.contains('\0') {
            return Err(BuildError::Target(target.to_string()));
        }
        self.add(path, Node { mode: 0o777, content: Content::Link(target.to_string()) })
    }

    /// The archive's bytes.
    pub fn build(&self) -> Vec<u8> {
        let order = Order::of(&self.root);
        let names_offset = HEADER_SIZE + order.rows.len() * ENTRY_SIZE;
        let mut names = Vec::new();
        let names_len: usize =
            order.rows.iter().map(|row| row.name.len() + row.target().len()).sum();
        let data_offset = (names_offset + names_len).next_multiple_of(PAGE_SIZE);
        let mut entries = Vec::with_capacity(names_offset);
        let mut data_end = data_offset;
        for row in &order.rows {
            let name_offset = names_offset + names.len();
            names.extend_from_slice(row.name.as_bytes());
            let (kind, start, count) = match &row.node.content {
                Content::Directory(children) => (KIND_DIRECTORY, row.first_child, children.len()),
                Content::File(data) => {
                    let start = data_end;
                    data_end += data.len().next_multiple_of(PAGE_SIZE);
                    (KIND_FILE, start, data.len())
                }
                Content::Link(target) => {
                    let start = names_offset + names.len();
                    names.extend_from_slice(target.as_bytes());
                    (KIND_LINK, start, target.len())
                }
            };
            entries.extend_from_slice(&row.parent.to_le_bytes());
            entries.extend_from_slice(&(row.name.len() as u16).to_le_bytes());
            entries.extend_from_slice(&row.node.mode.to_le_bytes());
            for number in [name_offset as u64, kind, start as u64, count as u64] {
                entries.extend_from_slice(&number.to_le_bytes());
            }
        }
        let mut archive = header(order.rows.len(), names_offset, data_offset, data_end);
        archive.extend_from_slice(&entries);
        archive.extend_from_slice(&names);
        archive.resize(data_offset, 0);
        for row in &order.rows {
            if let Content::File(data) = &row.node.content {
                archive.extend_from_slice(data);
                archive.resize(archive.len().next_multiple_of(PAGE_SIZE), 0);
            }
        }
        archive
    }

    fn add(&mut self, path: &str, node: Node) -> Result<(), BuildError> {
        let (siblings, name) = self.place(path)?;
        if siblings.contains_key(name) {
            return Err(BuildError::Exists(path.to_string()));
        }
        siblings.insert(name.to_string(), node);
        Ok(())
    }

    /// The directory that `path` is to be in, made where missing, and the last name.
    fn place<'p>(
        &mut self,
        path: &'p str,
    ) -> Result<(&mut BTreeMap<String, Node>, &'p str), BuildError> {
        let wrong = || BuildError::Path(path.to_string());
        let inner = path.strip_prefix('/').ok_or_else(wrong)?;
        if !inner.split('/').all(is_name) {
            return Err(wrong());
        }
        let (parents, name) = inner.rsplit_once('/').unwrap_or(("", inner));
        let mut node = &mut self.root;
        for part in parents.split('/').filter(|part| !part.is_empty()) {
            node = match &mut node.content {
                Content::Directory(children) => {
                    children.entry(part.to_string()).or_insert_with(Node::directory)
                }
                _ => return Err(BuildError::NotDirectory(path.to_string())),
            };
        }
        match &mut node.content {
            Content::Directory(children) => Ok((children, name)),
            _ => Err(BuildError::NotDirectory(path.to_string())),
        }
    }
}

impl Node {
    fn directory() -> Self {
        Self { mode: 0o755, content: Content::Directory(BTreeMap::new()) }
    }
}

fn check_mode(mode: u16) -> Result<(), BuildError> {
    if mode & !MODE_MASK == 0 { Ok(()) } else { Err(BuildError::Mode(mode)) }
}

fn header(entries: usize, names_offset: usize, data_offset: usize, length: usize) -> Vec<u8> {
    let mut header = Vec::with_capacity(length);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&(entries as u32).to_le_bytes());
    for number in [names_offset, data_offset, length] {
        header.extend_from_slice(&(number as u64).to_le_bytes());
    }
    header.resize(HEADER_SIZE, 0);
    header
}

/// One entry to be written.
struct Row<'n> {
    parent: u32,
    name: &'n str,
    node: &'n Node,
    first_child: usize,
}

impl Row<'_> {
    fn target(&self) -> &str {
        match &self.node.content {
            Content::Link(target) => target,
            Content::Directory(_) | Content::File(_) => "",
        }
    }
}

/// The tree level by level, so that the children of each directory are neighbours behind it.
struct Order<'n> {
    rows: Vec<Row<'n>>,
}

impl<'n> Order<'n> {
    fn of(root: &'n Node) -> Self {
        let mut rows: Vec<Row<'n>> = Vec::new();
        let mut waiting = VecDeque::from([(0_u32, "", root)]);
        while let Some((parent, name, node)) = waiting.pop_front() {
            let index = rows.len();
            let first_child = index + waiting.len() + 1;
            if let Content::Directory(children) = &node.content {
                let children = children.iter();
                waiting.extend(children.map(|(name, node)| (index as u32, name.as_str(), node)));
            }
            rows.push(Row { parent, name, node, first_child });
        }
        Self { rows }
    }
}
