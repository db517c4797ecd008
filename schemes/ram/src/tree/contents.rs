//! Reading, writing, listing and mapping.

use syscall::dirent::DirentKind;
use syscall::error::{EACCES, EBADF, EINVAL, EISDIR, ENAMETOOLONG, ENODEV, Error, Result};

use super::Tree;
use crate::node::{Caller, Content, Id};

/// The longest target of a symbolic link.
const TARGET_MAX: usize = 4095;

/// One entry of a listing.
#[derive(Clone, Copy, Debug)]
pub struct Listed<'a> {
    /// Where a later listing goes on.
    pub number: u64,
    /// The name.
    pub name: &'a str,
    /// The node's number.
    pub node: Id,
    /// Its type.
    pub kind: DirentKind,
}

impl Tree {
    /// Reads a file, or the target of a symbolic link that was opened itself.
    pub fn read(&self, handle: usize, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let node = self.nodes.get(self.handles.get(handle)?.readable()?.node)?;
        match &node.content {
            Content::File(file) => Ok(file.read(offset, buffer)),
            Content::Symlink(target) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(target.len());
                let length = buffer.len().min(target.len() - start);
                buffer[..length].copy_from_slice(&target.as_bytes()[start..start + length]);
                Ok(length)
            }
            Content::Directory(_) => Err(Error::new(EISDIR)),
            Content::Fifo => Err(Error::new(EBADF)),
        }
    }

    /// Writes a file, at its end if `append`; or sets the whole target of a symbolic link.
    pub fn write(
        &mut self,
        handle: usize,
        offset: u64,
        append: bool,
        bytes: &[u8],
        caller: &Caller,
    ) -> Result<usize> {
        let id = self.handles.get(handle)?.writable()?.node;
        let node = self.nodes.get_mut(id)?;
        let written = match &mut node.content {
            Content::File(file) => {
                let offset = if append { file.size() } else { offset };
                file.write(offset, bytes, &mut self.space)?
            }
            Content::Symlink(target) => {
                let new = target_from(bytes)?;
                self.space.charge(new.len() as u64)?;
                self.space.release(target.len() as u64);
                *target = new.into();
                bytes.len()
            }
            Content::Directory(_) => return Err(Error::new(EISDIR)),
            Content::Fifo => return Err(Error::new(EBADF)),
        };
        if written > 0 {
            node.touch(caller);
        }
        Ok(written)
    }

    /// Sets the length of a file.
    pub fn truncate(&mut self, handle: usize, size: u64, caller: &Caller) -> Result<()> {
        let id = self.handles.get(handle)?.writable()?.node;
        self.cut(id, size, caller)
    }

    pub(super) fn cut(&mut self, id: Id, size: u64, caller: &Caller) -> Result<()> {
        let node = self.nodes.get_mut(id)?;
        match &mut node.content {
            Content::File(file) => file.truncate(size, &mut self.space)?,
            _ => return Err(Error::new(EINVAL)),
        }
        node.touch(caller);
        Ok(())
    }

    /// The length in bytes, for seeking to the end.
    pub fn size(&self, handle: usize) -> Result<u64> {
        let node = self.nodes.get(self.handles.get(handle)?.node)?;
        Ok(node.size())
    }

    /// The entries of an open directory after the one with this number; 0 for all. `.` and `..`
    /// are not among them.
    pub fn list(&self, handle: usize, after: u64) -> Result<impl Iterator<Item = Listed<'_>>> {
        let node = self.nodes.get(self.handles.get(handle)?.node)?;
        let entries = node.directory()?;
        self.handles.get(handle)?.readable()?;
        Ok(entries.after(after).filter_map(|(number, entry)| {
            let kind = self.nodes.get(entry.node).ok()?.kind();
            Some(Listed { number, name: &entry.name, node: entry.node, kind })
        }))
    }

    /// Makes a range of a file ready to be mapped and says where it is in this program.
    pub fn map(
        &mut self,
        handle: usize,
        offset: u64,
        length: usize,
        shared_write: bool,
    ) -> Result<usize> {
        let open = self.handles.get(handle)?;
        if !open.read {
            return Err(Error::new(if open.write { EACCES } else { EBADF }));
        }
        if shared_write && !open.write {
            return Err(Error::new(EACCES));
        }
        match &mut self.nodes.get_mut(open.node)?.content {
            Content::File(file) => file.map(offset, length, &mut self.space),
            _ => Err(Error::new(ENODEV)),
        }
    }
}

fn target_from(bytes: &[u8]) -> Result<&str> {
    if bytes.len() > TARGET_MAX {
        return Err(Error::new(ENAMETOOLONG));
    }
    let target = str::from_utf8(bytes).map_err(|_| Error::new(EINVAL))?;
    if target.is_empty() || target.contains('\0') {
        return Err(Error::new(EINVAL));
    }
    Ok(target)
}
