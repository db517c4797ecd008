//! Files of the EFI partition the loader was started from.

use crate::memory;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use uefi::boot::{self, MemoryType, ScopedProtocol};
use uefi::proto::media::file::{Directory, File, FileAttribute, FileInfo, FileMode, RegularFile};
use uefi::proto::media::fs::SimpleFileSystem;
use uefi::{CString16, Status};

/// Files are read in pieces of this size: some firmware fails with more.
const PIECE: usize = 8 << 20;
/// A command line is not longer than this.
const TEXT_MAX: u64 = 16 << 10;

/// The partition's files.
pub(crate) struct Files {
    /// Keeps the partition open.
    _volume: ScopedProtocol<SimpleFileSystem>,
    root: Directory,
}

/// One of them, open.
pub(crate) struct Open {
    file: RegularFile,
    path: &'static str,
    /// Bytes of it.
    pub(crate) length: u64,
}

impl Files {
    /// The partition that this program was loaded from.
    pub(crate) fn new() -> Result<Self, String> {
        let failed = |error| format!("the EFI partition cannot be read: {error}");
        let mut volume = boot::get_image_file_system(boot::image_handle()).map_err(failed)?;
        let root = volume.open_volume().map_err(failed)?;
        Ok(Self { _volume: volume, root })
    }

    /// Opens a file.
    pub(crate) fn open(&mut self, path: &'static str) -> Result<Open, String> {
        let failed = |status: Status| match status {
            Status::NOT_FOUND => format!("{path} is missing in the EFI partition"),
            other => format!("{path} cannot be read: {other}"),
        };
        let name = CString16::try_from(path).map_err(|_| failed(Status::INVALID_PARAMETER))?;
        let handle = self
            .root
            .open(&name, FileMode::Read, FileAttribute::empty())
            .map_err(|error| failed(error.status()))?;
        let mut file =
            handle.into_regular_file().ok_or_else(|| format!("{path} is no regular file"))?;
        let info = file.get_boxed_info::<FileInfo>().map_err(|error| failed(error.status()))?;
        Ok(Open { file, path, length: info.file_size() })
    }

    /// A file's text; nothing for a file that is not there.
    pub(crate) fn text(&mut self, path: &'static str) -> Result<String, String> {
        let name = CString16::try_from(path).map_err(|error| format!("{path}: {error}"))?;
        let found = self.root.open(&name, FileMode::Read, FileAttribute::empty());
        if found.is_err_and(|error| error.status() == Status::NOT_FOUND) {
            return Ok(String::new());
        }
        let mut open = self.open(path)?;
        if open.length > TEXT_MAX {
            return Err(format!("{path} is longer than {TEXT_MAX} bytes"));
        }
        let mut bytes = vec![0; open.length as usize];
        open.read(0, &mut bytes)?;
        String::from_utf8(bytes).map_err(|_| format!("{path} is not UTF-8 text"))
    }
}

impl Open {
    /// Fills `into` from the file, beginning at `offset`.
    pub(crate) fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<(), String> {
        let path = self.path;
        let failed = |error| format!("{path} cannot be read: {error}");
        self.file.set_position(offset).map_err(failed)?;
        for piece in into.chunks_mut(PIECE) {
            let mut done = 0;
            while done < piece.len() {
                match self.file.read(&mut piece[done..]).map_err(failed)? {
                    0 => return Err(format!("{path} ends early")),
                    count => done += count,
                }
            }
        }
        Ok(())
    }

    /// The first bytes of the file.
    pub(crate) fn head(&mut self, length: usize) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; (self.length as usize).min(length)];
        self.read(0, &mut bytes)?;
        Ok(bytes)
    }

    /// The whole file in memory of its own; returns where.
    pub(crate) fn load(&mut self) -> Result<u64, String> {
        let length = self.length as usize;
        let count = length.div_ceil(4096).max(1);
        let pages = memory::filled(MemoryType::LOADER_DATA, count, length)?;
        self.read(0, &mut pages[..length])?;
        Ok(pages.as_ptr() as u64)
    }
}
