//! The disks of one driver as files: `N` a whole disk, `NpM` a partition, `info` what there is.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, Id, OpenResult};
use scheme::{Daemon, device, file_call};
use syscall::dirent::{DirEntry, DirentBuf, DirentKind};
use syscall::error::{
    EACCES, EBADF, EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR, EROFS, EWOULDBLOCK, Error, Result,
};
use syscall::flag::{
    EventFlags, MODE_DIR, MODE_FILE, O_ACCMODE, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_STAT,
    O_WRONLY, StdFsCallKind,
};
use syscall::schemev2::NewFdFlags;
use syscall::{Stat, StdFsCallMeta};

use crate::device::{BLOCK, Broken};
use crate::partition::{self, Partition};
use crate::requests::{Bytes, Outcome, Progress, Requests, bounds};
use crate::volume::Extent;

/// The handle that paths start from.
pub(crate) const ROOT: usize = 0;
/// The file that tells what there is.
const INFO: &str = "info";

/// A disk and its partitions.
pub(crate) struct Disk {
    pub(crate) requests: Requests<Id>,
    partitions: Vec<Partition>,
    /// Whether the whole disk was written since its partitions were read.
    is_changed: bool,
}

impl Disk {
    pub(crate) fn new(mut requests: Requests<Id>) -> std::result::Result<Self, Broken> {
        let partitions = partition::read(&mut requests)?;
        Ok(Self { requests, partitions, is_changed: false })
    }
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

/// The disks of a driver.
pub(crate) struct Disks {
    pub(crate) disks: Vec<Disk>,
    /// The number of the first.
    first: usize,
    handles: BTreeMap<usize, Handle>,
    next: usize,
    /// Set when requests may have been finished.
    pub(crate) has_progress: bool,
    /// Why the driver cannot go on.
    pub(crate) broken: Option<Broken>,
}

impl Daemon for Disks {
    fn progress(&mut self) -> bool {
        std::mem::take(&mut self.has_progress)
    }

    fn finishes_soon(&self) -> bool {
        true
    }

    fn sent(&mut self) {
        (0..self.disks.len()).for_each(|disk| self.look_again(disk));
    }
}

impl Disks {
    pub(crate) fn new(disks: Vec<Disk>, first: usize) -> Self {
        let handles = BTreeMap::from([(ROOT, Handle::Root)]);
        Self { disks, first, handles, next: ROOT + 1, has_progress: false, broken: None }
    }

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
        self.disks.iter().enumerate().flat_map(|(index, disk)| {
            let number = self.first + index;
            let whole = (number.to_string(), index, disk.requests.all(), None);
            let parts = disk.partitions.iter().map(move |part| {
                (format!("{number}p{}", part.number), index, part.extent, Some(part))
            });
            std::iter::once(whole).chain(parts)
        })
    }

    fn info(&self) -> String {
        let mut text = String::new();
        for (name, index, extent, partition) in self.volumes() {
            let facts = self.disks[index].requests.facts();
            let access = if facts.is_read_only { "ro" } else { "rw" };
            let (kind, label) = match partition {
                Some(partition) => (partition.kind.as_str(), partition.label.as_str()),
                None => (facts.kind, facts.model.as_str()),
            };
            let Extent { start, size } = extent;
            let _ = writeln!(text, "{name} {start} {size} {access} {kind} {label}");
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
        if wants_write && self.disks[disk].requests.facts().is_read_only {
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

    /// Reads the partitions of a disk again whose table may have been written, once nobody has any
    /// part of it open.
    fn look_again(&mut self, disk: usize) {
        let is_open = |handle: &Handle| matches!(handle, Handle::Volume(v) if v.disk == disk);
        let Disk { requests, partitions, is_changed } = &mut self.disks[disk];
        if *is_changed && requests.is_idle() && !self.handles.values().any(is_open) {
            *is_changed = false;
            match partition::read(requests) {
                Ok(found) => *partitions = found,
                Err(broken) => self.broken = Some(broken),
            }
        }
    }

    /// Takes back what the devices have done.
    pub(crate) fn collect(&mut self) -> std::result::Result<(), Broken> {
        for (index, disk) in self.disks.iter_mut().enumerate() {
            self.has_progress |= disk.requests.collect()?;
            while let Some(status) = disk.requests.next_failure() {
                eprintln!("disk:{}: {status}", self.first + index);
            }
        }
        Ok(())
    }

    /// What a client is answered: nothing yet while the device works, nor when it is broken, for
    /// then the driver ends.
    fn answer(&mut self, outcome: Outcome) -> Result<()> {
        match outcome {
            Ok(Progress::Over(outcome)) => outcome,
            Ok(Progress::Waiting) => Err(Error::new(EWOULDBLOCK)),
            Err(broken) => {
                self.broken = Some(broken);
                Err(Error::new(EWOULDBLOCK))
            }
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
        ctx: &CallerCtx,
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
        let (place, count) = bounds(extent, offset, buffer.len(), false)?;
        let bytes = Bytes::Read(&mut buffer[..count]);
        let outcome = self.disks[disk].requests.transfer(ctx.id, place, bytes);
        self.answer(outcome).map(|()| count)
    }

    fn write(
        &mut self,
        id: usize,
        buffer: &[u8],
        offset: u64,
        _flags: u32,
        ctx: &CallerCtx,
    ) -> Result<usize> {
        let &Volume { disk, extent, can_write, is_whole, .. } = self.volume(id)?;
        if !can_write {
            return Err(Error::new(EBADF));
        }
        let (place, count) = bounds(extent, offset, buffer.len(), true)?;
        let Disk { requests, is_changed, .. } = &mut self.disks[disk];
        *is_changed |= is_whole;
        let outcome = requests.transfer(ctx.id, place, Bytes::Write(&buffer[..count]));
        self.answer(outcome).map(|()| count)
    }

    fn fsize(&mut self, id: usize, _ctx: &CallerCtx) -> Result<u64> {
        match self.handle(id)? {
            Handle::Info => Ok(self.info().len() as u64),
            _ => self.volume(id).map(|volume| volume.extent.size),
        }
    }

    fn fsync(&mut self, id: usize, ctx: &CallerCtx) -> Result<()> {
        let disk = self.volume(id)?.disk;
        let outcome = self.disks[disk].requests.flush(ctx.id);
        self.answer(outcome)
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
            Handle::Volume(volume) => (MODE_FILE | 0o600, volume.extent.size),
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
        self.handles.remove(&id);
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
