//! From a path to a node.
//!
//! Symbolic links that stay inside are followed here: relative ones, and absolute ones that begin
//! with `/scheme/ram/` or `ram:`. One that leads out ends the walk with `EXDEV`; only the client's
//! side knows what else is mounted where, and opens the target itself.

use std::collections::BTreeMap;
use std::rc::Rc;

use syscall::error::{EINVAL, EIO, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR, EXDEV, Error, Result};

use crate::node::{Caller, Content, Id, Node, Place, SEARCH};

/// The root directory of `ram:`.
pub const ROOT: Id = Id(1);
/// That of `shm:`.
pub const SHARED_ROOT: Id = Id(2);

/// The longest name.
pub const NAME_MAX: usize = 255;

/// Most symbolic links on one path.
const LINKS_MAX: usize = 40;

/// All nodes by number.
#[derive(Debug, Default)]
pub struct Nodes {
    nodes: BTreeMap<Id, Node>,
    last: u64,
}

impl Nodes {
    /// Adds a node and gives it a number.
    pub fn insert(&mut self, node: Node) -> Id {
        self.last += 1;
        self.nodes.insert(Id(self.last), node);
        Id(self.last)
    }

    /// The node with this number. Every number in a directory or handle has one, so `EIO` would
    /// be a mistake of this program.
    pub fn get(&self, id: Id) -> Result<&Node> {
        self.nodes.get(&id).ok_or(Error::new(EIO))
    }

    /// The node with this number, to change.
    pub fn get_mut(&mut self, id: Id) -> Result<&mut Node> {
        self.nodes.get_mut(&id).ok_or(Error::new(EIO))
    }

    /// Whether a directory is the root of its tree.
    pub fn is_root(&self, directory: Id) -> Result<bool> {
        Ok(self.get(directory)?.directory()?.parent == directory)
    }

    /// The root of the tree that a directory is in.
    pub fn root_of(&self, mut directory: Id) -> Result<Id> {
        while !self.is_root(directory)? {
            directory = self.get(directory)?.directory()?.parent;
        }
        Ok(directory)
    }

    /// Takes a node out.
    pub fn remove(&mut self, id: Id) -> Option<Node> {
        self.nodes.remove(&id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (Id, &Node)> {
        self.nodes.iter().map(|(&id, node)| (id, node))
    }
}

/// Whether a symbolic link at the path's end is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// It stands for its target.
    Follow,
    /// It stands for itself.
    Keep,
}

/// Where a path leads.
#[derive(Debug)]
pub struct Found {
    /// The last name and its directory. None when the path ends without a name: at the start, in
    /// `.` or in `..`.
    pub place: Option<Place>,
    /// The node there, if there is one.
    pub node: Option<Id>,
    /// The path ends with a slash.
    pub wants_directory: bool,
}

/// Walks a path from a directory; one that begins with a slash, from the directory's root.
pub fn walk<'a>(
    nodes: &'a Nodes,
    start: Id,
    path: &'a str,
    last: Last,
    caller: &Caller,
) -> Result<Found> {
    if path.contains('\0') {
        return Err(Error::new(EINVAL));
    }
    let mut at = if path.starts_with('/') { nodes.root_of(start)? } else { start };
    let mut left: Vec<&str> = names(path).collect();
    let mut wants_directory = path.ends_with('/') || path.ends_with("/.");
    let mut links = 0;
    while let Some(name) = left.pop() {
        let directory = nodes.get(at)?;
        let entries = directory.directory()?;
        directory.allow(caller, SEARCH)?;
        if directory.links == 0 {
            return Err(Error::new(ENOENT));
        }
        if name == ".." {
            if entries.parent == at && links > 0 {
                return Err(Error::new(EXDEV));
            }
            at = entries.parent;
            continue;
        }
        if name.len() > NAME_MAX {
            return Err(Error::new(ENAMETOOLONG));
        }
        let ends = left.is_empty();
        let Some(id) = entries.get(name) else {
            let place = Place { directory: at, name: Rc::from(name) };
            return if ends {
                Ok(Found { place: Some(place), node: None, wants_directory })
            } else {
                Err(Error::new(ENOENT))
            };
        };
        match &nodes.get(id)?.content {
            Content::Symlink(target) if !ends || wants_directory || last == Last::Follow => {
                links += 1;
                if links > LINKS_MAX {
                    return Err(Error::new(ELOOP));
                }
                let target = inside(target)?;
                if target.starts_with('/') {
                    at = ROOT;
                }
                wants_directory |= ends && target.ends_with('/');
                left.extend(names(target));
            }
            Content::Directory(_) if !ends => at = id,
            _ if !ends => return Err(Error::new(ENOTDIR)),
            content => {
                if wants_directory && !matches!(content, Content::Directory(_)) {
                    return Err(Error::new(ENOTDIR));
                }
                let place = Place { directory: at, name: Rc::from(name) };
                return Ok(Found { place: Some(place), node: Some(id), wants_directory });
            }
        }
    }
    nodes.get(at)?.directory()?;
    Ok(Found { place: None, node: Some(at), wants_directory })
}

/// The names of a path, last first.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.rsplit('/').filter(|name| !name.is_empty() && *name != ".")
}

/// Where a link leads, if that is inside: relative, or beginning with a slash.
fn inside(target: &str) -> Result<&str> {
    const OWN: &str = "/scheme/ram";
    if target.is_empty() {
        return Err(Error::new(ENOENT));
    }
    if let Some(rest) = target.strip_prefix(OWN).filter(|rest| rest.starts_with('/')) {
        return Ok(rest);
    }
    // `ram:a` names `a` in the root: keep a slash in front of it, whatever follows.
    if let Some(rest) = target.strip_prefix("ram:/") {
        return Ok(&target[target.len() - rest.len() - 1..]);
    }
    let first = target.split('/').next().unwrap_or_default();
    if target.starts_with('/') || first.contains(':') {
        return Err(Error::new(EXDEV));
    }
    Ok(target)
}
