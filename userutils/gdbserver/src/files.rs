//! Files of this system for GDB: it reads programs' symbols from where they run, and for
//! `info proc` what it takes for Linux's `/proc/PID/`, which is made of `proc:PID/`.

use crate::debuggee::Debuggee;
use gdbstub::target::ext::host_io::*;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};

/// Most files that GDB may have open.
const FILES_MAX: usize = 64;

/// Something that GDB has open.
enum Open {
    File(File),
    Text(Vec<u8>),
}

/// What GDB has open.
#[derive(Default)]
pub(crate) struct Files(Vec<Option<Open>>);

impl Files {
    fn get(&self, fd: u32) -> Result<&Open, HostIoError<std::io::Error>> {
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

    fn support_readlink(&mut self) -> Option<HostIoReadlinkOps<'_, Self>> {
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
        let file = match linux_text(path) {
            Some(text) => Open::Text(text?.into_bytes()),
            None => Open::File(File::open(path)?),
        };
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
        match self.files.get(fd)? {
            Open::File(file) => Ok(file.read_at(&mut buf[..count], offset)?),
            Open::Text(text) => {
                let rest = text.get(offset as usize..).unwrap_or_default();
                let count = count.min(rest.len());
                buf[..count].copy_from_slice(&rest[..count]);
                Ok(count)
            }
        }
    }
}

impl HostIoFstat for Debuggee {
    fn fstat(&mut self, fd: u32) -> HostIoResult<HostIoStat, Self> {
        let Open::File(file) = self.files.get(fd)? else {
            return Err(HostIoError::Errno(HostIoErrno::ENOSYS));
        };
        let facts = file.metadata()?;
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

impl HostIoReadlink for Debuggee {
    fn readlink(&mut self, filename: &[u8], buf: &mut [u8]) -> HostIoResult<usize, Self> {
        let path = String::from_utf8_lossy(filename);
        let target = match process_file(&path) {
            Some((pid, name @ ("exe" | "cwd"))) => tracer::text(pid, name)?.trim_end().to_owned(),
            _ => std::fs::read_link(&*path)?.to_string_lossy().into_owned(),
        };
        let room = buf.get_mut(..target.len());
        let room = room.ok_or(HostIoError::Errno(HostIoErrno::ENAMETOOLONG))?;
        room.copy_from_slice(target.as_bytes());
        Ok(target.len())
    }
}

/// A process, and one of its files as Linux has them.
fn process_file(path: &str) -> Option<(u32, &str)> {
    let (pid, name) = path.strip_prefix("/proc/")?.split_once('/')?;
    Some((pid.parse().ok()?, name))
}

/// What Linux would have in a file of `/proc/PID/`, of those that GDB asks for.
fn linux_text(path: &str) -> Option<std::io::Result<String>> {
    let (pid, name) = process_file(path)?;
    match name {
        "maps" => Some(tracer::text(pid, "maps").map(|text| linux_maps(&text))),
        "cmdline" | "status" => Some(tracer::text(pid, name)),
        _ => None,
    }
}

/// `proc:PID/maps` in Linux's words: range, rights, offset, device, file number, name.
fn linux_maps(text: &str) -> String {
    let line = |line: &str| {
        let mut words = line.splitn(5, ' ');
        let (range, rights, kind) = (words.next()?, words.next()?, words.next()?);
        let sharing = if kind == "shared" { 's' } else { 'p' };
        let offset = words.next().and_then(|word| word.strip_prefix("0x")).unwrap_or("0");
        let name = words.next().unwrap_or(match kind {
            "private" => "",
            kind => kind,
        });
        Some(format!("{range} {rights}{sharing} {offset:0>8} 00:00 0 {name}\n"))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_told_in_linux_words() {
        let ours = "000000200000-000000205000 r-x private 0x1000 /bin/ls\n\
            100000000000-100000001000 rw- shared\n200000000000-200000001000 rw- window\n";
        let theirs = "000000200000-000000205000 r-xp 00001000 00:00 0 /bin/ls\n\
            100000000000-100000001000 rw-s 00000000 00:00 0 shared\n\
            200000000000-200000001000 rw-p 00000000 00:00 0 window\n";
        assert_eq!(linux_maps(ours), theirs);
        assert_eq!(process_file("/proc/12/maps"), Some((12, "maps")));
        assert_eq!(process_file("/proc/self/maps"), None);
    }
}
