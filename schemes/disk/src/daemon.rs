//! Joins disks and partitions to the scheme protocol.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use diskd::drive::{BLOCK, Drive};
use diskd::partition::{self, Partition};
use diskd::volume::Extent;
use pcid::client;
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, OpenResult};
use scheme::command::{Failure, no_arguments};
use scheme::{Daemon, Server, device, file_call};
use syscall::dirent::{DirEntry, DirentBuf, DirentKind};
use syscall::error::{
    EACCES, EBADF, EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR, EROFS, Error, Result,
};
use syscall::flag::{
    EventFlags, MODE_DIR, MODE_FILE, O_ACCMODE, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_STAT,
    O_WRONLY, StdFsCallKind,
};
use syscall::schemev2::NewFdFlags;
use syscall::{Stat, StdFsCallMeta};

use crate::virtio;

const ROOT: usize = 0;
/// The file that tells what there is.
const INFO: &str = "info";

/// Serves until the kernel closes the socket.
pub(crate) fn run(arguments: &[String]) -> std::result::Result<(), Failure> {
    no_arguments(arguments)?;
    let mut disks = Vec::new();
    for name in client::list().map_err(|error| Failure::fatal("pci:", error))? {
        disks.extend(drive(&name));
    }
    let server = Server::waiting().map_err(|error| Failure::fatal("scheme socket", error))?;
    server.register("disk", ROOT).map_err(|error| Failure::fatal("disk", error))?;
    let mut daemon = Disks { disks, handles: BTreeMap::from([(ROOT, Handle::Root)]), next: 1 };
    server.run(&mut daemon).map_err(|error| Failure::fatal("serving", error))
}

/// The disk behind a function, if it is one that can be driven.
fn drive(name: &str) -> Option<Disk> {
    let info = client::info(name).ok()?;
    if info.vendor != virtio::VENDOR || !virtio::BLOCK_DEVICES.contains(&info.device) {
        return None;
    }
    match virtio::Disk::new(name) {
        Ok(disk) => {
            let mut drive: Box<dyn Drive> = Box::new(disk);
            let partitions = partition::read(&mut *drive);
            Some(Disk { drive, partitions, is_changed: false })
        }
        // Another driver's, or the kernel's own.
        Err(virtio::Refusal::Taken) => None,
        Err(virtio::Refusal::Unusable(reason)) => {
            eprintln!("diskd: pci:{name}: {reason}");
            None
        }
    }
}

struct Disk {
    drive: Box<dyn Drive>,
    partitions: Vec<Partition>,
    /// Whether the whole disk was written since its partitions were read.
    is_changed: bool,
}

/// An open file.
enum Handle {
    Root,
    Info,
    Volume(Volume),
}

/// A disk or partition, opened.
#[derive(Clone)]
struct Volume {
    disk: usize,
    name: String,
    extent: Extent,
    is_whole: bool,
    can_read: bool,
    can_write: bool,
    uid: u32,
}

struct Disks {
    disks: Vec<Disk>,
    handles: BTreeMap<usize, Handle>,
    next: usize,
}

impl Daemon for Disks {}

impl Disks {
    fn handle(&self, id: usize) -> Result<&Handle> {
        self.handles.get(&id).ok_or(Error::new(EBADF))
    }

    fn volume(&self, id: usize) -> Result<&Volume> {
        match self.handle(id)? {
            Handle::Volume(volume) => Ok(volume),
            Handle::Root => Err(Error::new(EISDIR)),
            Handle::Info => Err(Error::new(EINVAL)),
        }
    }

    /// Name, disk and extent of everything there is.
    fn volumes(&self) -> impl Iterator<Item = (String, usize, Extent, Option<&Partition>)> {
        self.disks.iter().enumerate().flat_map(|(number, disk)| {
            let all = Extent { first: 0, count: disk.drive.blocks() };
            let whole = (number.to_string(), number, all, None);
            let parts = disk.partitions.iter().map(move |part| {
                (format!("{number}p{}", part.number), number, part.extent, Some(part))
            });
            std::iter::once(whole).chain(parts)
        })
    }

    fn info(&self) -> String {
        let mut text = String::new();
        for (name, number, extent, partition) in self.volumes() {
            let drive = &self.disks[number].drive;
            let access = if drive.is_read_only() { "ro" } else { "rw" };
            let (kind, label) = match partition {
                Some(partition) => (partition.kind.as_str(), partition.label.as_str()),
                None => (drive.kind(), ""),
            };
            let first = extent.first * BLOCK as u64;
            let _ = writeln!(text, "{name} {first} {} {access} {kind} {label}", extent.size());
        }
        text
    }

    fn open(&self, path: &str, flags: usize, uid: u32) -> Result<Handle> {
        let path = path.trim_matches('/');
        let wants_write = flags & O_WRONLY != 0;
        if flags & O_CREAT != 0 && flags & O_EXCL != 0 {
            return Err(Error::new(EEXIST));
        }
        match path {
            "" if wants_write => return Err(Error::new(EISDIR)),
            "" => return Ok(Handle::Root),
            _ if flags & O_DIRECTORY != 0 => return Err(Error::new(ENOTDIR)),
            INFO if wants_write => return Err(Error::new(EACCES)),
            INFO => return Ok(Handle::Info),
            _ => {}
        }
        let (name, disk, extent, partition) =
            self.volumes().find(|(name, ..)| name == path).ok_or(Error::new(ENOENT))?;
        if uid != 0 && flags & O_STAT == 0 {
            return Err(Error::new(EACCES));
        }
        if wants_write && self.disks[disk].drive.is_read_only() {
            return Err(Error::new(EROFS));
        }
        let is_whole = partition.is_none();
        let can_read = flags & O_ACCMODE & O_RDONLY != 0;
        Ok(Handle::Volume(Volume {
            disk,
            name,
            extent,
            is_whole,
            can_read,
            can_write: wants_write,
            uid,
        }))
    }

    /// Reads the partitions of disks again whose tables may have been written.
    fn look_again(&mut self, disk: usize) {
        let is_open = |handle: &Handle| matches!(handle, Handle::Volume(v) if v.disk == disk);
        if self.disks[disk].is_changed && !self.handles.values().any(is_open) {
            let Disk { drive, partitions, is_changed } = &mut self.disks[disk];
            *partitions = partition::read(&mut **drive);
            *is_changed = false;
        }
    }
}

impl SchemeSync for Disks {
    fn openat(
        &mut self,
        start: usize,
        path: &str,
        flags: usize,
        _fcntl_flags: u32,
        ctx: &CallerCtx,
    ) -> Result<OpenResult> {
        if !matches!(self.handle(start)?, Handle::Root) {
            return Err(Error::new(ENOTDIR));
        }
        let handle = self.open(path, flags, ctx.uid)?;
        let number = self.next;
        self.next += 1;
        self.handles.insert(number, handle);
        Ok(OpenResult::ThisScheme { number, flags: NewFdFlags::POSITIONED })
    }

    fn read(
        &mut self,
        id: usize,
        buffer: &mut [u8],
        offset: u64,
        _flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        if let Handle::Info = self.handle(id)? {
            let text = self.info();
            let rest = usize::try_from(offset).ok().and_then(|at| text.as_bytes().get(at..));
            let rest = rest.unwrap_or_default();
            let length = rest.len().min(buffer.len());
            buffer[..length].copy_from_slice(&rest[..length]);
            return Ok(length);
        }
        let &Volume { disk, extent, can_read, .. } = self.volume(id)?;
        if !can_read {
            return Err(Error::new(EBADF));
        }
        extent.read(&mut *self.disks[disk].drive, offset, buffer)
    }

    fn write(
        &mut self,
        id: usize,
        buffer: &[u8],
        offset: u64,
        _flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        let &Volume { disk, extent, can_write, is_whole, .. } = self.volume(id)?;
        if !can_write {
            return Err(Error::new(EBADF));
        }
        self.disks[disk].is_changed |= is_whole;
        extent.write(&mut *self.disks[disk].drive, offset, buffer)
    }

    fn fsize(&mut self, id: usize, _ctx: &CallerCtx) -> Result<u64> {
        match self.handle(id)? {
            Handle::Info => Ok(self.info().len() as u64),
            _ => self.volume(id).map(|volume| volume.extent.size()),
        }
    }

    fn fsync(&mut self, id: usize, _ctx: &CallerCtx) -> Result<()> {
        let disk = self.volume(id)?.disk;
        self.disks[disk].drive.flush()
    }

    fn fcntl(&mut self, id: usize, _cmd: usize, _arg: usize, _ctx: &CallerCtx) -> Result<usize> {
        self.handle(id).map(|_| 0)
    }

    fn fevent(&mut self, id: usize, wanted: EventFlags, _ctx: &CallerCtx) -> Result<EventFlags> {
        self.handle(id).map(|_| wanted)
    }

    fn fpath(&mut self, id: usize, buffer: &mut [u8], _ctx: &CallerCtx) -> Result<usize> {
        let path = match self.handle(id)? {
            Handle::Root => "",
            Handle::Info => INFO,
            Handle::Volume(volume) => &volume.name,
        };
        Ok(device::write_path("disk", path, buffer))
    }

    fn fstat(&mut self, id: usize, stat: &mut Stat, _ctx: &CallerCtx) -> Result<()> {
        let (mode, size) = match self.handle(id)? {
            Handle::Root => (MODE_DIR | 0o555, 0),
            Handle::Info => (MODE_FILE | 0o444, self.info().len() as u64),
            Handle::Volume(volume) => (MODE_FILE | 0o600, volume.extent.size()),
        };
        *stat = Stat {
            st_mode: mode,
            st_nlink: 1,
            st_size: size,
            st_blksize: 4096,
            st_blocks: size.div_ceil(BLOCK as u64),
            ..Stat::default()
        };
        Ok(())
    }

    fn getdents<'buffer>(
        &mut self,
        id: usize,
        mut buffer: DirentBuf<&'buffer mut [u8]>,
        after: u64,
    ) -> Result<DirentBuf<&'buffer mut [u8]>> {
        if !matches!(self.handle(id)?, Handle::Root) {
            return Err(Error::new(ENOTDIR));
        }
        let names = self.volumes().map(|(name, ..)| name);
        let names = names.chain(std::iter::once(INFO.to_owned()));
        for (at, name) in names.enumerate().skip(after as usize) {
            let number = at as u64 + 1;
            let entry = DirEntry {
                inode: number,
                next_opaque_id: number,
                name: &name,
                kind: DirentKind::Regular,
            };
            match buffer.entry(entry) {
                Err(error) if at as u64 == after => return Err(error),
                Err(_full) => break,
                Ok(()) => {}
            }
        }
        Ok(buffer)
    }

    fn on_close(&mut self, id: usize) {
        if id == ROOT {
            return;
        }
        if let Some(Handle::Volume(volume)) = self.handles.remove(&id) {
            self.look_again(volume.disk);
        }
    }

    fn translate_std_fs_call(
        &mut self,
        ids: &[usize],
        kind: StdFsCallKind,
        payload: &mut [u8],
        metadata: StdFsCallMeta,
        ctx: &CallerCtx,
    ) -> Result<usize> {
        let uid = match ids {
            [id] => self.volume(*id).map_or(0, |volume| volume.uid),
            _ => return Err(Error::new(EINVAL)),
        };
        let ctx = CallerCtx { pid: ctx.pid, uid, gid: 0, id: ctx.id };
        file_call::unpack(self, ids, kind, payload, metadata, &ctx)
    }
}
