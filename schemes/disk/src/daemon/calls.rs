//! The calls of clients.

use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, OpenResult};
use scheme::device;
use syscall::Stat;
use syscall::dirent::{DirEntry, DirentBuf, DirentKind};
use syscall::error::{EACCES, EEXIST, EISDIR, ENOTDIR, Error, Result};
use syscall::flag::{
    MODE_DIR, MODE_FILE, O_ACCMODE, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_WRONLY,
};

use super::{Disks, Handle, INFO, ROOT};

impl SchemeSync for Disks {
    fn openat(
        &mut self,
        start: usize,
        path: &str,
        flags: usize,
        _fcntl_flags: u32,
        ctx: &CallerCtx,
    ) -> Result<OpenResult> {
        if !matches!(self.handle(start)?, Handle::Root(_)) {
            return Err(Error::new(ENOTDIR));
        }
        let path = path.trim_matches('/');
        let wants_write = flags & O_ACCMODE & !O_RDONLY & O_WRONLY != 0;
        if flags & O_CREAT != 0 && flags & O_EXCL != 0 {
            return Err(Error::new(EEXIST));
        }
        match path {
            "" if wants_write => Err(Error::new(EISDIR)),
            "" => {
                let names = self.names(ctx.id)?;
                Ok(self.open_own(Handle::Root(names)))
            }
            INFO if flags & O_DIRECTORY != 0 => Err(Error::new(ENOTDIR)),
            INFO if wants_write => Err(Error::new(EACCES)),
            INFO => {
                let text = self.info(ctx.id)?;
                Ok(self.open_own(Handle::Info(text)))
            }
            _ => self.open_disk(path, flags, ctx),
        }
    }

    fn read(
        &mut self,
        id: usize,
        buffer: &mut [u8],
        offset: u64,
        _flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        let Handle::Info(text) = self.handle(id)? else { return Err(Error::new(EISDIR)) };
        let rest = usize::try_from(offset).ok().and_then(|at| text.as_bytes().get(at..));
        let rest = rest.unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn fsize(&mut self, id: usize, _ctx: &CallerCtx) -> Result<u64> {
        Ok(match self.handle(id)? {
            Handle::Root(_) => 0,
            Handle::Info(text) => text.len() as u64,
        })
    }

    fn fcntl(&mut self, id: usize, _cmd: usize, _arg: usize, _ctx: &CallerCtx) -> Result<usize> {
        self.handle(id).map(|_| 0)
    }

    fn fpath(&mut self, id: usize, buffer: &mut [u8], _ctx: &CallerCtx) -> Result<usize> {
        let path = match self.handle(id)? {
            Handle::Root(_) => "",
            Handle::Info(_) => INFO,
        };
        Ok(device::write_path("disk", path, buffer))
    }

    fn fstat(&mut self, id: usize, stat: &mut Stat, ctx: &CallerCtx) -> Result<()> {
        let mode = match self.handle(id)? {
            Handle::Root(_) => MODE_DIR | 0o555,
            Handle::Info(_) => MODE_FILE | 0o444,
        };
        let size = self.fsize(id, ctx)?;
        *stat = Stat { st_mode: mode, st_nlink: 1, st_size: size, ..Stat::default() };
        Ok(())
    }

    fn getdents<'buffer>(
        &mut self,
        id: usize,
        mut buffer: DirentBuf<&'buffer mut [u8]>,
        after: u64,
    ) -> Result<DirentBuf<&'buffer mut [u8]>> {
        let Handle::Root(names) = self.handle(id)? else { return Err(Error::new(ENOTDIR)) };
        for (at, name) in names.iter().enumerate().skip(after as usize) {
            let number = at as u64 + 1;
            let kind = DirentKind::Regular;
            match buffer.entry(DirEntry { inode: number, next_opaque_id: number, name, kind }) {
                Err(error) if at as u64 == after => return Err(error),
                Err(_full) => break,
                Ok(()) => {}
            }
        }
        Ok(buffer)
    }

    fn on_close(&mut self, id: usize) {
        if id != ROOT {
            self.handles.remove(&id);
        }
    }
}
