//! What a name stands for: contents, owner, permissions, times.

use std::rc::Rc;

use syscall::TimeSpec;
use syscall::dirent::DirentKind;
use syscall::error::{EACCES, ENOTDIR, EPERM, Error, Result};
use syscall::flag::{MODE_DIR, MODE_FIFO, MODE_FILE, MODE_SYMLINK};

use crate::directory::Directory;
use crate::file::File;

/// A node's number; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id(pub u64);

/// Who calls, and when.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// Effective user; 0 may do everything.
    pub uid: u32,
    /// Effective group.
    pub gid: u32,
    /// The time of day.
    pub now: TimeSpec,
}

impl Caller {
    /// Whether this is the superuser.
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }
}

/// Permission to read, as in the lowest three bits of a mode.
pub const READ: u16 = 4;
/// Permission to write.
pub const WRITE: u16 = 2;
/// Permission to look a name up in a directory.
pub const SEARCH: u16 = 1;

/// The bits of a mode that can be chosen.
pub const PERMISSIONS: u16 = 0o7777;
const STICKY: u16 = 0o1000;
const SET_GROUP: u16 = 0o2000;
const SET_IDS: u16 = 0o6000;

/// What a node holds.
#[derive(Debug)]
pub enum Content {
    /// A regular file.
    File(File),
    /// A directory.
    Directory(Directory),
    /// A symbolic link and where it leads.
    Symlink(Box<str>),
    /// A FIFO. What is in it is the kernel's ([`scheme::fifos`]).
    Fifo,
}

/// One node.
#[derive(Debug)]
pub struct Node {
    /// What it holds.
    pub content: Content,
    /// Permissions, without the type.
    pub mode: u16,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Names that stand for it; a directory also counts itself and its subdirectories.
    pub links: u32,
    /// Open handles.
    pub opens: u32,
    /// When somebody said it was last read; reading alone does not change it.
    pub accessed: TimeSpec,
    /// When the contents last changed.
    pub modified: TimeSpec,
    /// When anything last changed.
    pub changed: TimeSpec,
    /// The name it got last, for its path.
    pub place: Option<Place>,
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The directory.
    pub directory: Id,
    /// The name in it.
    pub name: Rc<str>,
}

impl Node {
    /// A node without a name yet.
    pub fn new(content: Content, mode: u16, caller: &Caller) -> Self {
        Self {
            content,
            mode: mode & PERMISSIONS,
            uid: caller.uid,
            gid: caller.gid,
            links: 0,
            opens: 0,
            accessed: caller.now,
            modified: caller.now,
            changed: caller.now,
            place: None,
        }
    }

    /// The directory it is, or `ENOTDIR`.
    pub fn directory(&self) -> Result<&Directory> {
        match &self.content {
            Content::Directory(directory) => Ok(directory),
            _ => Err(Error::new(ENOTDIR)),
        }
    }

    /// The directory it is, to change.
    pub fn directory_mut(&mut self) -> Result<&mut Directory> {
        match &mut self.content {
            Content::Directory(directory) => Ok(directory),
            _ => Err(Error::new(ENOTDIR)),
        }
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.content, Content::Directory(_))
    }

    /// Whether this caller has all of these permissions.
    pub fn allow(&self, caller: &Caller, wanted: u16) -> Result<()> {
        let granted = if caller.is_root() {
            READ | WRITE | SEARCH
        } else if caller.uid == self.uid {
            self.mode >> 6
        } else if caller.gid == self.gid {
            self.mode >> 3
        } else {
            self.mode
        };
        if granted & wanted == wanted { Ok(()) } else { Err(Error::new(EACCES)) }
    }

    /// Whether this caller may change what only an owner may.
    pub fn allow_owner(&self, caller: &Caller) -> Result<()> {
        if caller.is_root() || caller.uid == self.uid { Ok(()) } else { Err(Error::new(EPERM)) }
    }

    /// Whether this caller may take a name of `node` out of this directory: in a sticky one, as
    /// the root of `ram:` is, only its owner or the node's.
    pub fn allow_removal(&self, caller: &Caller, node: &Node) -> Result<()> {
        self.allow(caller, WRITE | SEARCH)?;
        if self.mode & STICKY == 0 || caller.uid == self.uid {
            return Ok(());
        }
        node.allow_owner(caller)
    }

    /// Whether new nodes in this directory get its group.
    pub fn hands_down_group(&self) -> bool {
        self.mode & SET_GROUP != 0
    }

    /// Takes the group of the directory it is made in; a directory hands it down again.
    pub fn join_group_of(&mut self, parent: &Node) {
        self.gid = parent.gid;
        if self.is_directory() {
            self.mode |= SET_GROUP;
        }
    }

    /// Sets the permissions; someone outside the group cannot make a set-group file for it.
    pub fn set_mode(&mut self, mode: u16, caller: &Caller) -> Result<()> {
        self.allow_owner(caller)?;
        let outside = !caller.is_root() && caller.gid != self.gid && !self.is_directory();
        let kept = if outside { PERMISSIONS & !SET_GROUP } else { PERMISSIONS };
        self.mode = mode & kept;
        self.changed = caller.now;
        Ok(())
    }

    /// Sets owner and group; `u32::MAX` keeps one. Only root gives files away, and an owner may
    /// only choose the group it is in.
    pub fn set_owner(&mut self, uid: u32, gid: u32, caller: &Caller) -> Result<()> {
        let uid = if uid == u32::MAX { self.uid } else { uid };
        let gid = if gid == u32::MAX { self.gid } else { gid };
        if !caller.is_root() {
            self.allow_owner(caller)?;
            if uid != self.uid || (gid != self.gid && gid != caller.gid) {
                return Err(Error::new(EPERM));
            }
            self.mode &= !SET_IDS;
        }
        (self.uid, self.gid) = (uid, gid);
        self.changed = caller.now;
        Ok(())
    }

    /// Notes that the contents changed. What another user wrote must not run as its owner.
    pub fn touch(&mut self, caller: &Caller) {
        (self.modified, self.changed) = (caller.now, caller.now);
        if !caller.is_root() && matches!(self.content, Content::File(_)) {
            self.mode &= !SET_IDS;
        }
    }

    /// The length in bytes; of a directory, its number of entries.
    pub fn size(&self) -> u64 {
        match &self.content {
            Content::File(file) => file.size(),
            Content::Directory(directory) => directory.len() as u64,
            Content::Symlink(target) => target.len() as u64,
            Content::Fifo => 0,
        }
    }

    /// Permissions and type, as `fstat` gives them.
    pub fn full_mode(&self) -> u16 {
        self.mode
            | match self.content {
                Content::File(_) => MODE_FILE,
                Content::Directory(_) => MODE_DIR,
                Content::Symlink(_) => MODE_SYMLINK,
                Content::Fifo => MODE_FIFO,
            }
    }

    /// The type, as a directory listing gives it.
    pub fn kind(&self) -> DirentKind {
        match self.content {
            Content::File(_) => DirentKind::Regular,
            Content::Directory(_) => DirentKind::Directory,
            Content::Symlink(_) => DirentKind::Symlink,
            // There is no kind for it; who wants to know asks for its mode.
            Content::Fifo => DirentKind::Unspecified,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(uid: u32, gid: u32) -> Caller {
        Caller { uid, gid, now: TimeSpec { tv_sec: 5, tv_nsec: 0 } }
    }

    fn file(mode: u16) -> Node {
        Node::new(Content::File(File::default()), mode, &caller(10, 20))
    }

    #[test]
    fn the_first_class_that_fits_decides() {
        let node = file(0o640);
        assert!(node.allow(&caller(10, 99), READ | WRITE).is_ok());
        assert!(node.allow(&caller(11, 20), READ).is_ok());
        assert_eq!(node.allow(&caller(11, 20), WRITE), Err(Error::new(EACCES)));
        assert_eq!(node.allow(&caller(11, 21), READ), Err(Error::new(EACCES)));
        assert!(file(0).allow(&caller(0, 0), READ | WRITE | SEARCH).is_ok());
        assert!(file(0o077).allow(&caller(10, 20), READ).is_err(), "an owner may lock itself out");
    }

    #[test]
    fn only_owner_and_root_choose_the_mode() {
        let mut node = file(0o600);
        assert_eq!(node.set_mode(0o777, &caller(11, 20)), Err(Error::new(EPERM)));
        assert_eq!(node.set_mode(0o2755, &caller(10, 20)), Ok(()));
        assert_eq!(node.mode, 0o2755);
        assert_eq!(node.set_mode(0o2755, &caller(10, 99)), Ok(()));
        assert_eq!(node.mode, 0o755, "not for a group one is not in");
    }

    #[test]
    fn only_root_gives_files_away() {
        let mut node = file(0o4755);
        assert_eq!(node.set_owner(11, u32::MAX, &caller(10, 20)), Err(Error::new(EPERM)));
        assert_eq!(node.set_owner(u32::MAX, 30, &caller(10, 20)), Err(Error::new(EPERM)));
        assert_eq!(node.set_owner(u32::MAX, 30, &caller(10, 30)), Ok(()));
        assert_eq!((node.gid, node.mode), (30, 0o755));
        assert_eq!(node.set_owner(1, 2, &caller(0, 0)), Ok(()));
        assert_eq!((node.uid, node.gid), (1, 2));
    }

    #[test]
    fn writing_someone_elses_program_takes_its_powers() {
        let mut node = file(0o6777);
        node.touch(&caller(0, 0));
        assert_eq!(node.mode, 0o6777);
        node.touch(&caller(11, 21));
        assert_eq!(node.mode, 0o777);
    }

    #[test]
    fn in_a_sticky_directory_only_owners_remove() {
        let mut directory =
            Node::new(Content::Directory(Directory::new(Id(1))), 0o1777, &caller(0, 0));
        let node = file(0o666);
        let eperm = Err(Error::new(EPERM));
        assert_eq!(directory.allow_removal(&caller(11, 20), &node), eperm);
        assert_eq!(directory.allow_removal(&caller(10, 20), &node), Ok(()));
        assert_eq!(directory.allow_removal(&caller(0, 0), &node), Ok(()));
        directory.mode = 0o777;
        assert_eq!(directory.allow_removal(&caller(11, 20), &node), Ok(()));
        directory.mode = 0o755;
        let eacces = Err(Error::new(EACCES));
        assert_eq!(directory.allow_removal(&caller(10, 20), &node), eacces);
    }
}
