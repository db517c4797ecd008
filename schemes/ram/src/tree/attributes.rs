//! What is known about a node, and changing it.

use syscall::error::{EINVAL, Error, Result};
use syscall::{Stat, StatVfs, TimeSpec};

use super::Tree;
use crate::node::{Caller, Content, WRITE};
use crate::space::Space;
use scheme::area::PAGE;

/// `tv_nsec` that stands for the time of the call; as the C library has it.
const TIME_NOW: i32 = -1;
/// `tv_nsec` that keeps a time.
const TIME_KEEP: i32 = -2;

/// The number of this file system among all: the letters of its name.
const DEVICE: u64 = u64::from_le_bytes(*b"ram\0\0\0\0\0");

impl Tree {
    /// Everything about an open node.
    pub fn stat(&self, handle: usize) -> Result<Stat> {
        let id = self.handles.get(handle)?.node;
        let node = self.nodes.get(id)?;
        let pages = match &node.content {
            Content::File(file) => file.pages() as u64,
            _ => 0,
        };
        Ok(Stat {
            st_dev: DEVICE,
            st_ino: id.0,
            st_mode: node.full_mode(),
            st_nlink: node.links,
            st_uid: node.uid,
            st_gid: node.gid,
            st_size: node.size(),
            st_blksize: PAGE as u32,
            st_blocks: pages * (PAGE as u64 / 512),
            st_mtime: node.modified.tv_sec as u64,
            st_mtime_nsec: node.modified.tv_nsec as u32,
            st_atime: node.accessed.tv_sec as u64,
            st_atime_nsec: node.accessed.tv_nsec as u32,
            st_ctime: node.changed.tv_sec as u64,
            st_ctime_nsec: node.changed.tv_nsec as u32,
        })
    }

    /// How much space there is and how much is left, in pages.
    pub fn stat_space(&self) -> StatVfs {
        let free = self.space.free_pages() as u64;
        StatVfs {
            f_bsize: PAGE as u32,
            f_blocks: self.space.limit_pages() as u64,
            f_bfree: free,
            f_bavail: free,
        }
    }

    /// The account, for tests and reports.
    pub fn space(&self) -> Space {
        self.space
    }

    /// Changes permissions.
    pub fn set_mode(&mut self, handle: usize, mode: u16, caller: &Caller) -> Result<()> {
        let id = self.handles.get(handle)?.node;
        self.nodes.get_mut(id)?.set_mode(mode, caller)
    }

    /// Changes owner and group; `u32::MAX` keeps one.
    pub fn set_owner(&mut self, handle: usize, uid: u32, gid: u32, caller: &Caller) -> Result<()> {
        let id = self.handles.get(handle)?.node;
        self.nodes.get_mut(id)?.set_owner(uid, gid, caller)
    }

    /// Sets the times of last access and last change. Who may write may say "now"; any other time
    /// is the owner's to choose.
    pub fn set_times(
        &mut self,
        handle: usize,
        accessed: TimeSpec,
        modified: TimeSpec,
        caller: &Caller,
    ) -> Result<()> {
        let open = self.handles.get(handle)?;
        let may_write = open.write;
        let node = self.nodes.get_mut(open.node)?;
        let new_accessed = chosen(accessed, node.accessed, caller)?;
        let new_modified = chosen(modified, node.modified, caller)?;
        let now = accessed.tv_nsec == TIME_NOW && modified.tv_nsec == TIME_NOW;
        if !(now && (may_write || node.allow(caller, WRITE).is_ok())) {
            node.allow_owner(caller)?;
        }
        (node.accessed, node.modified) = (new_accessed, new_modified);
        node.changed = caller.now;
        Ok(())
    }
}

/// The time that is meant.
fn chosen(time: TimeSpec, old: TimeSpec, caller: &Caller) -> Result<TimeSpec> {
    match time.tv_nsec {
        TIME_NOW => Ok(caller.now),
        TIME_KEEP => Ok(old),
        0..1_000_000_000 => Ok(time),
        _ => Err(Error::new(EINVAL)),
    }
}
