//! Directory listings of the kernel's schemes, in redox_syscall's dirent format.

use super::Scheme;
use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::UserSlice;
use abi::redox::dirent::{DirEntry, DirentBuf, DirentKind};
use alloc::string::String;
use alloc::vec;

/// Most bytes one call returns.
const CHUNK: usize = 16 << 10;

/// One name in a directory.
pub struct Entry {
    /// The name.
    pub name: String,
    /// What it is.
    pub kind: DirentKind,
    /// A number for it.
    pub inode: u64,
}

impl Entry {
    /// A directory.
    pub fn directory(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: DirentKind::Directory, inode: 0 }
    }

    /// A file.
    pub fn file(name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: DirentKind::Regular, inode: 0 }
    }
}

/// Fills the caller's buffer with the entries from number `start` on; returns bytes, 0 at the
/// end. `EINVAL` when not even one entry fits.
pub(crate) fn read_entries<M: Machine>(
    kernel: &mut Kernel<M>,
    caller: Caller,
    scheme: &dyn Scheme<M>,
    number: usize,
    into: UserSlice,
    start: usize,
    header_size: usize,
) -> Outcome {
    let mut bytes = vec![0; into.length.min(CHUNK)];
    let mut buffer =
        DirentBuf::new(bytes.as_mut_slice(), header_size as u16).ok_or(Errno(EINVAL))?;
    let mut index = start;
    while let Some(entry) = scheme.entry(kernel, number, index)? {
        let added = buffer.entry(DirEntry {
            inode: entry.inode,
            next_opaque_id: index as u64 + 1,
            name: &entry.name,
            kind: entry.kind,
        });
        match added {
            Ok(()) => index += 1,
            Err(_) if index == start => return fail(EINVAL),
            Err(_) => break,
        }
    }
    let length = buffer.finalize();
    kernel.copy_out(caller.space, into, &bytes[..length])?;
    Ok(length)
}
