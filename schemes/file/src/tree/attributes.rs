//! What is known about a node, and changing it.

use std::rc::Rc;

use redoxfs::BLOCK_SIZE;
use syscall::error::{EINVAL, EPERM, Error, Result};
use syscall::{Stat, StatVfs, TimeSpec};

use super::{Caller, NO_RECORDS, Tree, WRITE, allow, allow_owner};
use crate::store::Records;

/// `tv_nsec` that stands for the time of the call; as the C library has it.
const TIME_NOW: i32 = -1;
/// `tv_nsec` that keeps a time.
const TIME_KEEP: i32 = -2;

/// The number of a file system among all: the first letters of its name.
fn device(scheme: &str) -> u64 {
    scheme.bytes().take(8).enumerate().fold(0, |sum, (at, byte)| sum | u64::from(byte) << (8 * at))
}

/// Blocks of 512 bytes in one of RedoxFS.
const SMALL_BLOCKS: u64 = BLOCK_SIZE / 512;

impl<D: Records> Tree<'_, '_, D> {
    /// Everything about an open node.
    pub fn stat(&mut self, handle: usize) -> Result<Stat> {
        let id = self.state.handle(handle)?.node;
        let node = self.node(id)?;
        let data = node.data();
        let touched = self.state.cache.touched.get(&id).copied();
        let ((mtime, mtime_nsec), (atime, atime_nsec), (ctime, ctime_nsec)) =
            (touched.unwrap_or(data.mtime()), data.atime(), data.ctime());
        Ok(Stat {
            st_dev: device(&self.state.scheme),
            st_ino: id.into(),
            st_mode: data.mode(),
            st_nlink: data.links(),
            st_uid: data.uid(),
            st_gid: data.gid(),
            st_size: data.size(),
            st_blksize: BLOCK_SIZE as u32,
            st_blocks: data.blocks() * SMALL_BLOCKS,
            st_mtime: mtime,
            st_mtime_nsec: mtime_nsec,
            st_atime: atime,
            st_atime_nsec: atime_nsec,
            st_ctime: ctime,
            st_ctime_nsec: ctime_nsec,
        })
    }

    /// How much space there is and how much was left at the last commit, in blocks.
    pub fn stat_space(&self) -> StatVfs {
        let (blocks, free) = self.state.space;
        StatVfs { f_bsize: BLOCK_SIZE as u32, f_blocks: blocks, f_bfree: free, f_bavail: free }
    }

    /// Changes permissions; someone outside the group cannot make a set-group file for it.
    pub fn set_mode(&mut self, handle: usize, mode: u16, caller: &Caller) -> Result<()> {
        const SET_GROUP: u16 = 0o2000;
        const PERMISSIONS: u16 = 0o7777;
        self.change(handle, |node, _| {
            allow_owner(node, caller)?;
            let outside = !caller.is_root() && caller.gid != node.gid() && !node.is_dir();
            let kept = if outside { PERMISSIONS & !SET_GROUP } else { PERMISSIONS };
            node.set_mode(node.mode() & !PERMISSIONS | mode & kept);
            Ok(())
        })
    }

    /// Changes owner and group; `u32::MAX` keeps one. Only root gives files away, and an owner may
    /// only choose the group it is in.
    pub fn set_owner(&mut self, handle: usize, uid: u32, gid: u32, caller: &Caller) -> Result<()> {
        const SET_IDS: u16 = 0o6000;
        self.change(handle, |node, _| {
            let uid = if uid == u32::MAX { node.uid() } else { uid };
            let gid = if gid == u32::MAX { node.gid() } else { gid };
            if !caller.is_root() {
                allow_owner(node, caller)?;
                if uid != node.uid() || (gid != node.gid() && gid != caller.gid) {
                    return Err(Error::new(EPERM));
                }
                node.set_mode(node.mode() & !SET_IDS);
            }
            node.set_uid(uid);
            node.set_gid(gid);
            Ok(())
        })
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
        self.change(handle, |node, may_write| {
            let new_accessed = chosen(accessed, node.atime(), caller)?;
            let new_modified = chosen(modified, node.mtime(), caller)?;
            let now = accessed.tv_nsec == TIME_NOW && modified.tv_nsec == TIME_NOW;
            if !(now && (may_write || allow(node, caller, WRITE).is_ok())) {
                allow_owner(node, caller)?;
            }
            node.set_atime(new_accessed.0, new_accessed.1);
            node.set_mtime(new_modified.0, new_modified.1);
            Ok(())
        })
    }

    /// Changes a node; `act` is told whether the handle may write, and refuses before it changes
    /// anything.
    fn change(
        &mut self,
        handle: usize,
        act: impl FnOnce(&mut redoxfs::Node, bool) -> Result<()>,
    ) -> Result<()> {
        let open = self.state.handle(handle)?;
        let (id, may_write) = (open.node, open.write);
        self.apply_touch(id)?;
        let mut node = self.copy_of(id)?;
        act(node.data_mut(), may_write)?;
        self.prepare(NO_RECORDS)?;
        self.state.cache.change_node(Rc::new(node));
        self.settle(Ok(()))
    }
}

/// The time that is meant.
fn chosen(time: TimeSpec, old: (u64, u32), caller: &Caller) -> Result<(u64, u32)> {
    match time.tv_nsec {
        TIME_NOW => Ok((caller.seconds(), caller.nanoseconds())),
        TIME_KEEP => Ok(old),
        0..1_000_000_000 if time.tv_sec >= 0 => Ok((time.tv_sec as u64, time.tv_nsec as u32)),
        _ => Err(Error::new(EINVAL)),
    }
}
