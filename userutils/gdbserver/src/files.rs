//! Files of this system for GDB: it reads programs' symbols from where they run.

use crate::debuggee::Debuggee;
use gdbstub::target::ext::host_io::*;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};

/// Most files that GDB may have open.
const FILES_MAX: usize = 64;

/// What GDB has open.
#[derive(Default)]
pub(crate) struct Files(Vec<Option<File>>);

impl Files {
    fn get(&self, fd: u32) -> Result<&File, HostIoError<std::io::Error>> {
        let file = self.0.get(fd as usize).and_then(Option::as_ref);
        file.ok_or(HostIoError::Errno(HostIoErrno::EBADF))
    }
}

impl HostIo for Debuggee {
    fn support_open(&mut self) -> Option<HostIoOpenOps<'_, Self>> {
        Some(self)
    }

    fn support_close(&mut self) -> Option<HostIoCloseOps<'_, Self>> {
        Some(self)
    }

    fn support_pread(&mut self) -> Option<HostIoPreadOps<'_, Self>> {
        Some(self)
    }

    fn support_fstat(&mut self) -> Option<HostIoFstatOps<'_, Self>> {
        Some(self)
    }

    fn support_setfs(&mut self) -> Option<HostIoSetfsOps<'_, Self>> {
        Some(self)
    }
}

impl HostIoOpen for Debuggee {
    fn open(
        &mut self,
        filename: &[u8],
        flags: HostIoOpenFlags,
        _mode: HostIoOpenMode,
    ) -> HostIoResult<u32, Self> {
        let writes = HostIoOpenFlags::O_WRONLY | HostIoOpenFlags::O_RDWR | HostIoOpenFlags::O_CREAT;
        if flags.intersects(writes) {
            return Err(HostIoError::Errno(HostIoErrno::EACCES));
        }
        let path = std::str::from_utf8(filename);
        let path = path.map_err(|_| HostIoError::Errno(HostIoErrno::EINVAL))?;
        let file = File::open(path)?;
        let free = self.files.0.iter().position(Option::is_none);
        let place = free.unwrap_or(self.files.0.len());
        if place >= FILES_MAX {
            return Err(HostIoError::Errno(HostIoErrno::EMFILE));
        }
        if place == self.files.0.len() {
            self.files.0.push(None);
        }
        self.files.0[place] = Some(file);
        Ok(place as u32)
    }
}

impl HostIoClose for Debuggee {
    fn close(&mut self, fd: u32) -> HostIoResult<(), Self> {
        self.files.get(fd)?;
        self.files.0[fd as usize] = None;
        Ok(())
    }
}

impl HostIoPread for Debuggee {
    fn pread(
        &mut self,
        fd: u32,
        count: usize,
        offset: u64,
        buf: &mut [u8],
    ) -> HostIoResult<usize, Self> {
        let count = count.min(buf.len());
        Ok(self.files.get(fd)?.read_at(&mut buf[..count], offset)?)
    }
}

impl HostIoFstat for Debuggee {
    fn fstat(&mut self, fd: u32) -> HostIoResult<HostIoStat, Self> {
        let facts = self.files.get(fd)?.metadata()?;
        Ok(HostIoStat {
            st_dev: facts.dev() as u32,
            st_ino: facts.ino() as u32,
            st_mode: HostIoOpenMode::from_bits_retain(facts.mode()),
            st_nlink: facts.nlink() as u32,
            st_uid: facts.uid(),
            st_gid: facts.gid(),
            st_rdev: 0,
            st_size: facts.size(),
            st_blksize: facts.blksize(),
            st_blocks: facts.blocks(),
            st_atime: facts.atime() as u32,
            st_mtime: facts.mtime() as u32,
            st_ctime: facts.ctime() as u32,
        })
    }
}

impl HostIoSetfs for Debuggee {
    fn setfs(&mut self, _fs: FsKind) -> HostIoResult<(), Self> {
        // All processes see the same files.
        Ok(())
    }
}
