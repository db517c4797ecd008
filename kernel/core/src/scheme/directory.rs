//! Directory listings of the kernel's schemes, in redox_syscall's dirent format.

use super::Scheme;
use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::UserSlice;
use abi::redox::dirent::{DirEntry, DirentBuf, DirentKind};
use alloc::format;
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
    /// A number for it; 0 takes [`inode_of`] its path.
    pub inode: u64,
    /// Where it stands in the directory. The next one is looked for from `at + 1` on.
    pub at: usize,
}

impl Entry {
    /// A directory.
    pub fn directory(at: usize, name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: DirentKind::Directory, inode: 0, at }
    }

    /// A file.
    pub fn file(at: usize, name: impl Into<String>) -> Self {
        Self { name: name.into(), kind: DirentKind::Regular, inode: 0, at }
    }
}

/// The number of a file that has only a path: FNV-1a, so that one path has one number.
pub(crate) fn inode_of(path: &str) -> u64 {
    path.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

/// Fills the caller's buffer with the entries from place `start` on; returns bytes, 0 at the
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
    let path = scheme.path(kernel, number);
    let mut from = start;
    while let Some(entry) = scheme.entry(kernel, caller, number, from)? {
        let next = entry.at + 1;
        let added = buffer.entry(DirEntry {
            inode: match entry.inode {
                0 if path.is_empty() => inode_of(&entry.name),
                0 => inode_of(&format!("{path}/{}", entry.name)),
                inode => inode,
            },
            next_opaque_id: next as u64,
            name: &entry.name,
            kind: entry.kind,
        });
        match added {
            Ok(()) => from = next,
            Err(_) if from == start => return fail(EINVAL),
            Err(_) => break,
        }
    }
    let length = buffer.finalize();
    kernel.copy_out(caller.space, into, &bytes[..length])?;
    Ok(length)
}
