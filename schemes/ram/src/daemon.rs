//! Joins the tree to the scheme protocol.

use libredox::flag::{CLOCK_REALTIME, O_RDONLY};
use ramd::size::Size;
use ramd::tree::{ROOT_HANDLE, SHARED_HANDLE};
use ramd::{Caller, Tree, node};
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, Id, OpenResult};
use scheme::command::Failure;
use scheme::fifo_pipe::FifoPipe;
use scheme::fifos::Fifos;
use scheme::locks::{Client, Locks};
use scheme::{Daemon, Server, device, file_call, hand_over};
use syscall::dirent::{DirEntry, DirentBuf};
use syscall::error::{EINVAL, ENXIO, Error, Result};
use syscall::flag::{AT_REMOVEDIR, EventFlags, MapFlags, MunmapFlags, O_APPEND, StdFsCallKind};
use syscall::schemev2::NewFdFlags;
use syscall::{Stat, StatVfs, StdFsCallMeta, TimeSpec};

/// What a machine is taken to have when `memory:` does not tell.
const MEMORY_UNKNOWN: u64 = 256 << 20;

/// Serves until the kernel closes the socket.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let limit = size(arguments)?.of(memory());
    let server = Server::waiting().map_err(|error| Failure::fatal("scheme socket", error))?;
    for (name, root) in [("ram", ROOT_HANDLE), ("shm", SHARED_HANDLE)] {
        server.register(name, root).map_err(|error| Failure::fatal(name, error))?;
    }
    let mut ram =
        Ram { tree: Tree::new(limit, now()), locks: Locks::default(), fifos: Fifos::default() };
    server.run(&mut ram).map_err(|error| Failure::fatal("serving", error))
}

fn size(arguments: &[String]) -> Result<Size, Failure> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => Ok(Size::DEFAULT),
        ["--size", text] => {
            Size::parse(text).ok_or_else(|| Failure::Usage(format!("'{text}' is not a size")))
        }
        ["--size"] => Err(Failure::Usage("--size needs a size".to_owned())),
        ["--size", _, extra, ..] | [extra, ..] => {
            Err(Failure::Usage(format!("unexpected argument '{extra}'")))
        }
    }
}

/// Bytes of memory in the machine.
fn memory() -> u64 {
    let stat = libredox::Fd::open("/scheme/memory", O_RDONLY, 0).and_then(|fd| fd.statvfs());
    stat.map_or(MEMORY_UNKNOWN, |stat| stat.f_blocks * stat.f_bsize)
}

fn now() -> TimeSpec {
    libredox::call::clock_gettime(CLOCK_REALTIME).map_or_else(
        |_| TimeSpec::default(),
        |now| TimeSpec { tv_sec: now.tv_sec, tv_nsec: now.tv_nsec as i32 },
    )
}

fn caller(ctx: &CallerCtx) -> Caller {
    Caller { uid: ctx.uid, gid: ctx.gid, now: now() }
}

struct Ram {
    tree: Tree,
    locks: Locks<u64, Id>,
    fifos: Fifos<FifoPipe, node::Id, Id>,
}

impl Daemon for Ram {
    fn progress(&mut self) -> bool {
        // Both are asked: each forgets its change with the answer.
        self.locks.progress() | self.fifos.progress()
    }

    fn cancelled(&mut self, request: Id) {
        self.locks.cancelled(request);
        self.fifos.cancelled(&request);
    }

    fn is_for_process(&mut self) -> bool {
        self.locks.is_for_process()
    }

    fn detached(&mut self, handle: usize, pid: usize) {
        if let Ok(stat) = self.tree.stat(handle) {
            self.locks.detached(stat.st_ino, pid);
        }
    }
}

fn opened(number: usize) -> OpenResult {
    OpenResult::ThisScheme { number, flags: NewFdFlags::POSITIONED }
}

impl SchemeSync for Ram {
    fn openat(
        &mut self,
        start: usize,
        path: &str,
        flags: usize,
        _fcntl_flags: u32,
        ctx: &CallerCtx,
    ) -> Result<OpenResult> {
        match self.tree.open(start, path, flags, &caller(ctx)) {
            Err(Error { errno: ENXIO }) => {
                let fifo = self.tree.fifo(start, path, &caller(ctx))?;
                self.fifos.open(fifo, flags, ctx.id).map(hand_over)
            }
            answer => answer.map(opened),
        }
    }

    fn unlinkat(&mut self, start: usize, path: &str, flags: usize, ctx: &CallerCtx) -> Result<()> {
        self.tree.unlink(start, path, flags & AT_REMOVEDIR != 0, &caller(ctx))
    }

    fn dup(&mut self, id: usize, what: &[u8], _ctx: &CallerCtx) -> Result<OpenResult> {
        if !what.is_empty() {
            return Err(Error::new(EINVAL));
        }
        self.tree.dup(id).map(opened)
    }

    fn read(
        &mut self,
        id: usize,
        buffer: &mut [u8],
        offset: u64,
        _flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        self.tree.read(id, offset, buffer)
    }

    fn write(
        &mut self,
        id: usize,
        buffer: &[u8],
        offset: u64,
        flags: u32,
        ctx: &CallerCtx,
    ) -> Result<usize> {
        let append = flags as usize & O_APPEND != 0;
        self.tree.write(id, offset, append, buffer, &caller(ctx))
    }

    fn fsize(&mut self, id: usize, _ctx: &CallerCtx) -> Result<u64> {
        self.tree.size(id)
    }

    fn fchmod(&mut self, id: usize, mode: u16, ctx: &CallerCtx) -> Result<()> {
        self.tree.set_mode(id, mode, &caller(ctx))
    }

    fn fchown(&mut self, id: usize, uid: u32, gid: u32, ctx: &CallerCtx) -> Result<()> {
        self.tree.set_owner(id, uid, gid, &caller(ctx))
    }

    fn fcntl(&mut self, id: usize, _cmd: usize, _arg: usize, _ctx: &CallerCtx) -> Result<usize> {
        self.tree.owner(id).map(|_| 0)
    }

    fn fevent(&mut self, id: usize, wanted: EventFlags, _ctx: &CallerCtx) -> Result<EventFlags> {
        self.tree.owner(id).map(|_| wanted)
    }

    fn flink(&mut self, id: usize, path: &str, ctx: &CallerCtx) -> Result<usize> {
        self.tree.link(id, path, &caller(ctx)).map(|()| 0)
    }

    fn frename(&mut self, id: usize, path: &str, ctx: &CallerCtx) -> Result<usize> {
        self.tree.rename(id, path, &caller(ctx)).map(|()| 0)
    }

    fn fpath(&mut self, id: usize, buffer: &mut [u8], _ctx: &CallerCtx) -> Result<usize> {
        let scheme = if self.tree.is_shared(id)? { "shm" } else { "ram" };
        self.tree.path(id).map(|path| device::write_path(scheme, &path, buffer))
    }

    fn fstat(&mut self, id: usize, stat: &mut Stat, _ctx: &CallerCtx) -> Result<()> {
        *stat = self.tree.stat(id)?;
        Ok(())
    }

    fn fstatvfs(&mut self, _id: usize, stat: &mut StatVfs, _ctx: &CallerCtx) -> Result<()> {
        *stat = self.tree.stat_space();
        Ok(())
    }

    fn ftruncate(&mut self, id: usize, size: u64, ctx: &CallerCtx) -> Result<()> {
        self.tree.truncate(id, size, &caller(ctx))
    }

    fn futimens(&mut self, id: usize, times: &[TimeSpec], ctx: &CallerCtx) -> Result<()> {
        let &[accessed, modified] = times else { return Err(Error::new(EINVAL)) };
        self.tree.set_times(id, accessed, modified, &caller(ctx))
    }

    fn getdents<'buffer>(
        &mut self,
        id: usize,
        mut buffer: DirentBuf<&'buffer mut [u8]>,
        after: u64,
    ) -> Result<DirentBuf<&'buffer mut [u8]>> {
        let mut listed_any = false;
        for listed in self.tree.list(id, after)? {
            let entry = buffer.entry(DirEntry {
                inode: listed.node.0,
                next_opaque_id: listed.number,
                name: listed.name,
                kind: listed.kind,
            });
            match entry {
                Ok(()) => listed_any = true,
                // The buffer is full.
                Err(_) if listed_any => break,
                Err(error) => return Err(error),
            }
        }
        Ok(buffer)
    }

    fn mmap_prep(
        &mut self,
        id: usize,
        offset: u64,
        length: usize,
        flags: MapFlags,
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        let shared_write = flags.contains(MapFlags::MAP_SHARED | MapFlags::PROT_WRITE);
        self.tree.map(id, offset, length, shared_write)
    }

    fn munmap(
        &mut self,
        _id: usize,
        _offset: u64,
        _length: usize,
        _flags: MunmapFlags,
        _ctx: &CallerCtx,
    ) -> Result<()> {
        // The pages were the file's own: there is nothing to write back.
        Ok(())
    }

    fn call(
        &mut self,
        id: usize,
        payload: &mut [u8],
        metadata: &[u64],
        ctx: &CallerCtx,
    ) -> Result<usize> {
        let file = self.tree.stat(id)?.st_ino;
        let client = Client { handle: id, pid: ctx.pid, request: ctx.id };
        self.locks.call(file, client, payload, metadata)
    }

    fn on_close(&mut self, id: usize) {
        self.locks.close(id);
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
        // The ids that come with a message are the client's own words. Those of whoever opened the
        // handle are the kernel's.
        let &[id] = ids else { return Err(Error::new(EINVAL)) };
        let owner = self.tree.owner(id)?;
        let ctx = CallerCtx { pid: ctx.pid, uid: owner.uid, gid: owner.gid, id: ctx.id };
        file_call::unpack(self, ids, kind, payload, metadata, &ctx)
    }
}
