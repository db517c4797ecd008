//! `sys:scheme`, `sys:mount`, `/scheme` — the schemes' names, and where they lead.
//!
//! The namespace is one for all, and maps scheme names to roots, and path prefixes to scheme paths. `NAME:rest` and
//! `/scheme/NAME/rest` are the same; any other path that starts with `/` goes through the mounts. A process sees it through its
//! [`View`].

mod view;

pub use view::View;

use crate::error::{EEXIST, EINVAL, ENOENT, Errno};
use crate::handle::DescriptionId;
use crate::scheme::SchemeId;
use alloc::borrow::{Cow, ToOwned};
use alloc::string::String;
use alloc::vec::Vec;
use hashbrown::HashMap;

/// Where a scheme name leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Root {
    /// A scheme of the kernel.
    Kernel(SchemeId),
    /// The root that a daemon registered.
    User(DescriptionId),
}

/// A path taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target<'a> {
    /// `rest` of the scheme with this root; never starts with `/`.
    Scheme {
        /// Where the name leads.
        root: Root,
        /// The scheme's name.
        name: Cow<'a, str>,
        /// The path inside it: the end of the path, unless a mount led here.
        rest: Cow<'a, str>,
    },
    /// The list of scheme names itself.
    List,
}

/// Names and mounts.
#[derive(Default)]
pub struct Namespace {
    schemes: HashMap<String, Root>,
    /// Longest prefix first.
    mounts: Vec<(String, String)>,
}

impl Namespace {
    /// Gives a scheme its name. `EINVAL` for an impossible name, `EEXIST` for a taken one.
    pub fn register(&mut self, name: &str, root: Root) -> Result<(), Errno> {
        let is_good = !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b':');
        if !is_good {
            return Err(Errno(EINVAL));
        }
        if self.schemes.contains_key(name) {
            return Err(Errno(EEXIST));
        }
        self.schemes.insert(name.to_owned(), root);
        Ok(())
    }

    /// Removes every name that leads to one of the roots that `is_gone` picks, and returns them.
    pub fn unregister(&mut self, is_gone: impl Fn(Root) -> bool) -> Vec<(String, Root)> {
        let mut gone: Vec<_> = self.schemes.extract_if(|_, root| is_gone(*root)).collect();
        gone.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        gone
    }

    /// The names, in order.
    pub fn schemes(&self) -> impl Iterator<Item = (&str, Root)> {
        let mut all: Vec<_> =
            self.schemes.iter().map(|(name, root)| (name.as_str(), *root)).collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all.into_iter()
    }

    /// The mounts, longest prefix first.
    pub fn mounts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.mounts.iter().map(|(prefix, target)| (prefix.as_str(), target.as_str()))
    }

    /// Makes `prefix` (absolute) lead to `target` (`NAME:rest`), replacing an earlier mount there.
    pub fn mount(&mut self, prefix: &str, target: &str) -> Result<(), Errno> {
        let prefix = prefix.trim_end_matches('/');
        let is_good = (prefix.is_empty() || prefix.starts_with('/'))
            && prefix != "/scheme"
            && !prefix.starts_with("/scheme/")
            && split_scheme(target).is_some();
        if !is_good {
            return Err(Errno(EINVAL));
        }
        self.mounts.retain(|(have, _)| have != prefix);
        self.mounts.push((prefix.to_owned(), target.trim_end_matches('/').to_owned()));
        self.mounts.sort_by_key(|(prefix, _)| core::cmp::Reverse(prefix.len()));
        Ok(())
    }

    /// Removes a mount. `ENOENT` when there is none.
    pub fn unmount(&mut self, prefix: &str) -> Result<(), Errno> {
        let before = self.mounts.len();
        let prefix = prefix.trim_end_matches('/');
        self.mounts.retain(|(have, _)| have != prefix);
        if self.mounts.len() == before { Err(Errno(ENOENT)) } else { Ok(()) }
    }

    /// Finds out where an absolute path leads. `ENOENT` for an unknown scheme or mount, `EINVAL`
    /// for a path that is not absolute.
    pub fn resolve<'a>(&self, path: &'a str) -> Result<Target<'a>, Errno> {
        if let Some((name, rest)) = split_scheme(path) {
            return self.in_scheme(name, rest);
        }
        if !path.starts_with('/') {
            return Err(Errno(EINVAL));
        }
        if let Some(rest) = strip_directory(path, "/scheme") {
            let rest = rest.trim_start_matches('/');
            if rest.is_empty() {
                return Ok(Target::List);
            }
            let (name, rest) = rest.split_once('/').unwrap_or((rest, ""));
            return self.in_scheme(name, rest);
        }
        let found = self.mounts.iter().find_map(|(prefix, target)| {
            strip_directory(path, prefix).map(|rest| (target.as_str(), rest))
        });
        let (target, rest) = found.ok_or(Errno(ENOENT))?;
        let (name, inside) = split_scheme(target).ok_or(Errno(ENOENT))?;
        let mut joined = inside.trim_start_matches('/').to_owned();
        if !joined.is_empty() {
            joined.push('/');
        }
        joined.push_str(rest);
        let root = self.root_of(name)?;
        Ok(Target::Scheme { root, name: name.to_owned().into(), rest: joined.into() })
    }

    fn in_scheme<'a>(&self, name: &'a str, rest: &'a str) -> Result<Target<'a>, Errno> {
        let rest = rest.trim_start_matches('/').into();
        Ok(Target::Scheme { root: self.root_of(name)?, name: name.into(), rest })
    }

    fn root_of(&self, name: &str) -> Result<Root, Errno> {
        self.schemes.get(name).copied().ok_or(Errno(ENOENT))
    }
}

/// `NAME:rest` → name and rest. The colon must come before any slash.
pub fn split_scheme(path: &str) -> Option<(&str, &str)> {
    let (name, rest) = path.split_once(':')?;
    (!name.is_empty() && !name.contains('/')).then_some((name, rest))
}

/// What follows `directory` in `path`, if it is that directory or inside it.
fn strip_directory<'a>(path: &'a str, directory: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(directory)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace() -> Namespace {
        let mut space = Namespace::default();
        for (name, number) in [("initfs", 1), ("ram", 2), ("sys", 3)] {
            space.register(name, Root::Kernel(SchemeId::Kernel(number))).expect("the name is free");
        }
        space.mount("/", "initfs:/").expect("a good mount");
        space.mount("/tmp", "ram:/").expect("a good mount");
        space
    }

    fn rest(path: &str) -> Result<(String, String), Errno> {
        match namespace().resolve(path)? {
            Target::Scheme { name, rest, .. } => Ok((name.into_owned(), rest.into_owned())),
            Target::List => Ok(("".into(), "".into())),
        }
    }

    #[test]
    fn both_spellings_open_the_same_thing() {
        for path in ["sys:cpu", "sys:/cpu", "/scheme/sys/cpu", "/scheme//sys/cpu"] {
            assert_eq!(rest(path), Ok(("sys".into(), "cpu".into())), "{path}");
        }
    }

    #[test]
    fn the_longest_mount_wins() {
        assert_eq!(rest("/tmp/a"), Ok(("ram".into(), "a".into())));
        assert_eq!(rest("/tmpfile"), Ok(("initfs".into(), "tmpfile".into())));
        assert_eq!(rest("/tmp"), Ok(("ram".into(), "".into())));
        assert_eq!(rest("/bin/sh"), Ok(("initfs".into(), "bin/sh".into())));
        assert_eq!(rest("/"), Ok(("initfs".into(), "".into())));
    }

    #[test]
    fn unknown_and_relative_paths_are_errors() {
        assert_eq!(rest("nosuch:x"), Err(Errno(ENOENT)));
        assert_eq!(rest("/scheme/nosuch/x"), Err(Errno(ENOENT)));
        assert_eq!(rest("relative"), Err(Errno(EINVAL)));
        assert_eq!(rest(""), Err(Errno(EINVAL)));
        assert_eq!(rest(":x"), Err(Errno(EINVAL)));
    }

    #[test]
    fn a_name_is_given_once() {
        let mut space = namespace();
        let root = Root::Kernel(SchemeId::Kernel(9));
        assert_eq!(space.register("sys", root), Err(Errno(EEXIST)));
        for bad in ["", "a/b", "a:b", "a b", "ä"] {
            assert_eq!(space.register(bad, root), Err(Errno(EINVAL)), "{bad:?}");
        }
    }
}
