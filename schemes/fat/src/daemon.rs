//! Joins the tree to the scheme protocol, and the volume to its partition.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use fatd::disk::{Backing, Disk};
use fatd::tree::{Listed, ROOT_HANDLE, Tree};
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, OpenResult};
use scheme::command::Failure;
use scheme::events::{Events, Happened};
use scheme::options::Options;
use scheme::{Daemon, Server, Turn, device, file_call, stop};
use syscall::dirent::{DirEntry, DirentBuf, DirentKind};
use syscall::error::{EINVAL, EIO, EOPNOTSUPP, Error, Result};
use syscall::flag::{AT_REMOVEDIR, EventFlags, O_APPEND, StdFsCallKind};
use syscall::schemev2::NewFdFlags;
use syscall::{Stat, StatVfs, StdFsCallMeta};

/// What the loop waits for.
const REQUESTS: usize = 0;
const STOP: usize = 1;

/// A partition of `disk:`.
struct Partition {
    file: File,
    size: u64,
}

impl Partition {
    /// Opens it, and says whether it can be written.
    fn open(path: &str) -> io::Result<(Self, bool)> {
        let writable = File::options().read(true).write(true).open(path);
        let (file, may_write) = match writable {
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                (File::open(path)?, false)
            }
            opened => (opened?, true),
        };
        let size = file.metadata()?.len();
        Ok((Self { file, size }, may_write))
    }
}

impl Backing for Partition {
    fn read(&mut self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, offset)
    }

    fn write(&mut self, offset: u64, from: &[u8]) -> io::Result<()> {
        self.file.write_all_at(from, offset)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn size(&self) -> u64 {
        self.size
    }
}

/// Serves until it is told to stop, or makes a file system.
pub(crate) fn run(arguments: &[String]) -> std::result::Result<(), Failure> {
    let options = Options::parse(arguments, "fat")?;
    let Some(device) = options.device else {
        return Err(Failure::Usage("a device is missing".into()));
    };
    let failed = |error: io::Error| Failure::fatal(&device, error);
    let (partition, may_write) = Partition::open(&device).map_err(failed)?;
    if options.makes {
        return make(partition).map_err(failed);
    }
    let tree = Tree::new(partition, !may_write).map_err(failed)?;
    serve(tree, options.scheme).map_err(|error| Failure::fatal("serving", error))
}

fn make(partition: Partition) -> io::Result<()> {
    let sectors = u32::try_from(partition.size / 512).unwrap_or(u32::MAX);
    let mut disk = Disk::new(partition);
    disk.refuel(usize::MAX);
    let form = fatfs::FormatVolumeOptions::new().total_sectors(sectors);
    fatfs::format_volume(&mut disk, form)?;
    disk.sync()
}

fn serve(tree: Tree<Partition>, scheme: String) -> Result<()> {
    let told = stop::watch().map_err(|_| Error::new(EIO))?;
    let mut server = Server::nonblocking()?;
    let events = Events::new()?;
    events.watch(server.descriptor(), REQUESTS)?;
    events.watch(stop::descriptor(&told), STOP)?;
    server.register(&scheme, ROOT_HANDLE)?;
    let mut served = Served { tree, scheme, listings: BTreeMap::new() };
    loop {
        match server.turn(&mut served)? {
            Turn::Closed => break,
            Turn::Served => continue,
            Turn::Idle => {}
        }
        if served.tree.is_changed()
            && let Err(error) = served.tree.write_back()
        {
            eprintln!("fatd: {}: cannot write: {error}", served.scheme);
        }
        if events.wait()? == Happened::Ready(STOP) {
            break;
        }
    }
    served.tree.unmount().map_err(|_| Error::new(EIO))
}

struct Served {
    tree: Tree<Partition>,
    scheme: String,
    /// What directories held when their listing began.
    listings: BTreeMap<usize, Vec<Listed>>,
}

impl Daemon for Served {}

impl Served {
    fn tree(&mut self, bytes: usize) -> &mut Tree<Partition> {
        self.tree.begin(bytes);
        &mut self.tree
    }
}

fn opened(number: usize) -> OpenResult {
    OpenResult::ThisScheme { number, flags: NewFdFlags::POSITIONED }
}

impl SchemeSync for Served {
    fn openat(
        &mut self,
        start: usize,
        path: &str,
        flags: usize,
        _fcntl_flags: u32,
        ctx: &CallerCtx,
    ) -> Result<OpenResult> {
        self.tree(0).open(start, path, flags, ctx.uid).map(opened)
    }

    fn unlinkat(&mut self, start: usize, path: &str, flags: usize, ctx: &CallerCtx) -> Result<()> {
        self.tree(0).unlink(start, path, flags & AT_REMOVEDIR != 0, ctx.uid)
    }

    fn dup(&mut self, id: usize, what: &[u8], _ctx: &CallerCtx) -> Result<OpenResult> {
        if !what.is_empty() {
            return Err(Error::new(EINVAL));
        }
        self.tree(0).dup(id).map(opened)
    }

    fn read(
        &mut self,
        id: usize,
        buffer: &mut [u8],
        offset: u64,
        _flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        self.tree(buffer.len()).read(id, offset, buffer)
    }

    fn write(
        &mut self,
        id: usize,
        buffer: &[u8],
        offset: u64,
        flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        let append = flags as usize & O_APPEND != 0;
        self.tree(buffer.len()).write(id, offset, append, buffer)
    }

    fn fsize(&mut self, id: usize, _ctx: &CallerCtx) -> Result<u64> {
        self.tree(0).size(id)
    }

    /// FAT has no modes: what it would be anyway is accepted, as by other systems.
    fn fchmod(&mut self, id: usize, _mode: u16, _ctx: &CallerCtx) -> Result<()> {
        self.tree.owner(id).map(|_| ())
    }

    fn fcntl(&mut self, id: usize, _cmd: usize, _arg: usize, _ctx: &CallerCtx) -> Result<usize> {
        self.tree.owner(id).map(|_| 0)
    }

    fn fevent(&mut self, id: usize, wanted: EventFlags, _ctx: &CallerCtx) -> Result<EventFlags> {
        self.tree.owner(id).map(|_| wanted)
    }

    fn flink(&mut self, _id: usize, _path: &str, _ctx: &CallerCtx) -> Result<usize> {
        Err(Error::new(EOPNOTSUPP))
    }

    fn frename(&mut self, id: usize, path: &str, ctx: &CallerCtx) -> Result<usize> {
        self.tree(0).rename(id, path, ctx.uid).map(|()| 0)
    }

    fn fpath(&mut self, id: usize, buffer: &mut [u8], _ctx: &CallerCtx) -> Result<usize> {
        self.tree.path(id).map(|path| device::write_path(&self.scheme, path, buffer))
    }

    fn fstat(&mut self, id: usize, stat: &mut Stat, _ctx: &CallerCtx) -> Result<()> {
        *stat = self.tree(0).stat(id)?;
        Ok(())
    }

    fn fstatvfs(&mut self, _id: usize, stat: &mut StatVfs, _ctx: &CallerCtx) -> Result<()> {
        *stat = self.tree(0).stat_space()?;
        Ok(())
    }

    fn fsync(&mut self, id: usize, _ctx: &CallerCtx) -> Result<()> {
        self.tree.owner(id)?;
        self.tree(0).sync()
    }

    fn ftruncate(&mut self, id: usize, size: u64, _ctx: &CallerCtx) -> Result<()> {
        self.tree(0).truncate(id, size)
    }

    fn getdents<'buffer>(
        &mut self,
        id: usize,
        mut buffer: DirentBuf<&'buffer mut [u8]>,
        after: u64,
    ) -> Result<DirentBuf<&'buffer mut [u8]>> {
        if after == 0 || !self.listings.contains_key(&id) {
            let listing = self.tree(0).list(id)?;
            self.listings.insert(id, listing);
        }
        let listing = self.listings.get(&id).map_or(&[][..], Vec::as_slice);
        for (at, listed) in (after..).zip(listing.iter().skip(after as usize)) {
            let kind = if listed.is_dir { DirentKind::Directory } else { DirentKind::Regular };
            let number = at + 1;
            let name = &listed.name;
            match buffer.entry(DirEntry { inode: number, next_opaque_id: number, name, kind }) {
                Err(error) if at == after => return Err(error),
                Err(_full) => break,
                Ok(()) => {}
            }
        }
        Ok(buffer)
    }

    fn on_close(&mut self, id: usize) {
        self.listings.remove(&id);
        self.tree.close(id);
    }

    fn translate_std_fs_call(
        &mut self,
        ids: &[usize],
        kind: StdFsCallKind,
        payload: &mut [u8],
        metadata: StdFsCallMeta,
        ctx: &CallerCtx,
    ) -> Result<usize> {
        // The ids that come with a message are the client's own words.
        let &[id] = ids else { return Err(Error::new(EINVAL)) };
        let uid = self.tree.owner(id)?;
        let ctx = CallerCtx { pid: ctx.pid, uid, gid: ctx.gid, id: ctx.id };
        file_call::unpack(self, ids, kind, payload, metadata, &ctx)
    }
}
