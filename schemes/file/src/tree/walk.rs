//! From a path to a node.
//!
//! Symbolic links that stay inside are followed here. One that begins with a slash leads out as
//! far as this side knows: it ends the walk with `EXDEV`, and the client's side, which knows what
//! is mounted where, opens the target itself. One that begins with `/scheme/file/` or `file:`
//! stays.

use std::borrow::Cow;
use std::ops::Range;

use redoxfs::{Node, TreeData};
use syscall::error::{EINVAL, EIO, ELOOP, ENOENT, ENOTDIR, EXDEV, Error, Result};

use super::{Caller, Place, ROOT, SEARCH, Spare, Tree, allow};
use crate::store::Records;

/// Most symbolic links on one path.
const LINKS_MAX: usize = 40;
/// The longest target of a symbolic link.
pub(super) const TARGET_MAX: usize = 4095;

/// Whether a symbolic link at the path's end is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// It stands for its target.
    Follow,
    /// It stands for itself.
    Keep,
}

/// Where a path leads.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The last name and its directory; none when the path ends without a name.
    pub(super) place: Option<Place>,
    /// The node there, if there is one.
    pub(super) node: Option<u32>,
    /// The path ends with a slash.
    pub(super) wants_directory: bool,
    /// The directories on the way, from the root.
    pub(super) above: Vec<u32>,
    /// The path from the root.
    pub(super) path: String,
}

impl<D: Records> Tree<'_, '_, D> {
    /// Walks a path from an open directory; one that begins with a slash, from the root.
    pub(super) fn walk(
        &mut self,
        start: usize,
        path: &str,
        last: Last,
        caller: &Caller,
    ) -> Result<Found> {
        if path.as_bytes().contains(&0) {
            return Err(Error::new(EINVAL));
        }
        let Spare { mut above, path: mut shown, name: mut last_name } =
            std::mem::take(&mut self.state.spare);
        let open = self.state.handle(start)?;
        let mut at = ROOT;
        if !path.starts_with('/') {
            at = open.node;
            above.extend_from_slice(&open.above);
            shown.push_str(&open.path);
        }
        let mut left = Cow::Borrowed(path);
        let mut begin = 0;
        let mut wants_directory = path.ends_with('/') || path.ends_with("/.");
        let mut links = 0;
        while let Some(range) = next_name(&left, begin) {
            let directory = self.node(at)?;
            if !directory.data().is_dir() {
                return Err(Error::new(ENOTDIR));
            }
            allow(directory.data(), caller, SEARCH)?;
            begin = range.end;
            let name = &left[range];
            if name == ".." {
                at = above.pop().unwrap_or(ROOT);
                shown.truncate(shown.rfind('/').unwrap_or(0));
                continue;
            }
            let ends = next_name(&left, begin).is_none();
            let id = match self.lookup(at, name) {
                Ok(id) => Some(id),
                Err(Error { errno: ENOENT }) if ends => None,
                Err(error) => return Err(error),
            };
            if let Some(id) = id {
                let node = self.node(id)?;
                let data = node.data();
                if data.is_symlink() && (!ends || wants_directory || last == Last::Follow) {
                    links += 1;
                    if links > LINKS_MAX {
                        return Err(Error::new(ELOOP));
                    }
                    let target = self.target(&node)?;
                    let target = inside(&target, &self.state.scheme)?;
                    if target.starts_with('/') {
                        at = ROOT;
                        above.clear();
                        shown.clear();
                    }
                    wants_directory |= ends && target.ends_with('/');
                    left = Cow::Owned(format!("{target}/{}", &left[begin..]));
                    begin = 0;
                    continue;
                }
                if (!ends || wants_directory) && !data.is_dir() {
                    return Err(Error::new(ENOTDIR));
                }
            }
            above.push(at);
            append(&mut shown, name);
            if ends {
                last_name.push_str(name);
                let place = Some(Place { parent: at, name: last_name });
                return Ok(Found { place, node: id, wants_directory, above, path: shown });
            }
            // A name that leads back up is the work of somebody else.
            let Some(id) = id.filter(|id| !above.contains(id)) else {
                return Err(Error::new(EIO));
            };
            at = id;
        }
        if !self.node(at)?.data().is_dir() {
            return Err(Error::new(ENOTDIR));
        }
        Ok(Found { place: None, node: Some(at), wants_directory, above, path: shown })
    }

    /// Where a symbolic link leads.
    pub(super) fn target(&mut self, node: &TreeData<Node>) -> Result<String> {
        let length = node.data().size().min(TARGET_MAX as u64 + 1) as usize;
        self.load(node, 0)?;
        let bytes = self.state.cache.record((node.id(), 0)).unwrap_or_default();
        let target = bytes.get(..length).and_then(|bytes| std::str::from_utf8(bytes).ok());
        target.map(str::to_owned).ok_or(Error::new(EIO))
    }
}

/// Goes one name down in a path.
fn append(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('/');
    }
    path.push_str(name);
}

/// Where in a path the first name is that begins at `from` or behind. `.` is none.
fn next_name(path: &str, from: usize) -> Option<Range<usize>> {
    let bytes = path.as_bytes();
    let mut begin = from;
    loop {
        begin += bytes[begin..].iter().position(|byte| *byte != b'/')?;
        let length = bytes[begin..].iter().position(|byte| *byte == b'/');
        let end = length.map_or(bytes.len(), |length| begin + length);
        if bytes[begin..end] != *b"." {
            return Some(begin..end);
        }
        begin = end;
    }
}

/// Where a link leads, if that is inside: relative, or beginning with a slash.
fn inside<'a>(target: &'a str, scheme: &str) -> Result<&'a str> {
    if target.is_empty() {
        return Err(Error::new(ENOENT));
    }
    let rest = target.strip_prefix("/scheme/").and_then(|rest| rest.strip_prefix(scheme));
    if let Some(rest) = rest.filter(|rest| rest.starts_with('/')) {
        return Ok(rest);
    }
    // `file:a` names `a` in the root: keep a slash in front of it, whatever follows.
    if let Some(rest) = target.strip_prefix(scheme).and_then(|rest| rest.strip_prefix(":/")) {
        return Ok(&target[target.len() - rest.len() - 1..]);
    }
    let first = target.split('/').next().unwrap_or_default();
    if target.starts_with('/') || first.contains(':') {
        return Err(Error::new(EXDEV));
    }
    Ok(target)
}
