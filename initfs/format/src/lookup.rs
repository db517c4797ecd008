//! Finding an entry by its path.

use crate::{Archive, Entry, Kind};
use core::fmt;

/// Most links followed on the way to one entry.
pub const LINKS_MAX: usize = 16;

/// Why a path led nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LookupError {
    /// A part of the path does not exist.
    NotFound,
    /// A part that is not the last is no directory.
    NotDirectory,
    /// More than [`LINKS_MAX`] links, so most likely a circle.
    TooManyLinks,
    /// A link on the way points into another scheme (`NAME:rest`).
    OtherScheme,
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "no such file or directory",
            Self::NotDirectory => "not a directory",
            Self::TooManyLinks => "too many symbolic links",
            Self::OtherScheme => "a link leads to another scheme",
        })
    }
}

impl core::error::Error for LookupError {}

impl<'a> Archive<'a> {
    /// The entry at `path`, counted from the root whether or not it begins with `/`. Links on the
    /// way are followed; a link at the end only with `follow`, or when `path` ends with `/`.
    /// `..` in the root stays there.
    ///
    /// # Errors
    ///
    /// See [`LookupError`].
    pub fn lookup(&self, path: &str, follow: bool) -> Result<Entry<'a>, LookupError> {
        let wants_directory = path.ends_with('/');
        let follow = follow || wants_directory;
        // What is left of the path and of the target of each link being followed, innermost last.
        let mut rests: [&str; LINKS_MAX + 1] = [path; LINKS_MAX + 1];
        let mut depth = 1;
        let mut links = 0;
        let mut at = self.root();
        while depth > 0 {
            let Some((part, rest)) = next_part(rests[depth - 1]) else {
                depth -= 1;
                continue;
            };
            rests[depth - 1] = rest;
            let found = step(at, part)?;
            let is_last = rests[..depth].iter().all(|rest| next_part(rest).is_none());
            if found.kind() != Kind::Link || (is_last && !follow) {
                at = found;
                continue;
            }
            let target = found.target();
            if links == LINKS_MAX {
                return Err(LookupError::TooManyLinks);
            }
            if leaves_archive(target) {
                return Err(LookupError::OtherScheme);
            }
            if target.starts_with('/') {
                at = self.root();
            }
            links += 1;
            rests[depth] = target;
            depth += 1;
        }
        if wants_directory && at.kind() != Kind::Directory {
            return Err(LookupError::NotDirectory);
        }
        Ok(at)
    }
}

/// The first part of a path and what follows it; `None` at the end.
fn next_part(path: &str) -> Option<(&str, &str)> {
    let path = path.trim_start_matches('/');
    if path.is_empty() {
        return None;
    }
    Some(path.split_once('/').unwrap_or((path, "")))
}

fn step<'a>(from: Entry<'a>, part: &str) -> Result<Entry<'a>, LookupError> {
    if from.kind() != Kind::Directory {
        return Err(LookupError::NotDirectory);
    }
    match part {
        "." => Ok(from),
        ".." => Ok(from.parent()),
        name => from.child(name).ok_or(LookupError::NotFound),
    }
}

/// Whether a link's target names a scheme, as `ram:/x` does.
fn leaves_archive(target: &str) -> bool {
    target.split('/').next().is_some_and(|part| part.contains(':'))
}
