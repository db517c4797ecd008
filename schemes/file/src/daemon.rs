//! Joins the tree to the scheme protocol, and transactions to time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use filed::budget::Budget;
use filed::cache::Cache;
use filed::hands::Hands;
use filed::store::{Records, Store};
use filed::tree::{Caller, ROOT_HANDLE, State, Tree};
use libredox::flag::CLOCK_REALTIME;
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, Id, OpenResult};
use redoxfs::{BLOCK_SIZE, FileSystem, RECORD_SIZE};
use scheme::command::Failure;
use scheme::events::{Events, Happened};
use scheme::fifo_pipe::FifoPipe;
use scheme::fifos::Fifos;
use scheme::locks::{Client, Locks};
use scheme::options::Options;
use scheme::{Daemon, Server, Turn, device, file_call, hand_over, stop};
use syscall::dirent::{DirEntry, DirentBuf};
use syscall::error::{EINVAL, EIO, ENODEV, ENOENT, ENXIO, EWOULDBLOCK, Error, Result};
use syscall::flag::{
    AT_REMOVEDIR, EventFlags, MODE_FIFO, MODE_TYPE, MapFlags, O_APPEND, O_CREAT, O_TRUNC,
    StdFsCallKind,
};
use syscall::schemev2::NewFdFlags;
use syscall::{Stat, StatVfs, StdFsCallMeta, TimeSpec};

use crate::backing::Partition;
use crate::damaged;

/// How long changes wait for more of them.
const PATIENCE: Duration = Duration::from_secs(1);
/// Records that are kept, as a part of the memory that is free at the start: an eighth.
const CACHE_PART: u64 = 8;
/// How many requests for records the disk has at once.
const HANDS: usize = 4;
/// What the loop waits for.
const REQUESTS: usize = 0;
const STOP: usize = 1;

/// Serves until it is told to stop.
pub(crate) fn run(arguments: &[String]) -> std::result::Result<(), Failure> {
    let options = Options::parse(arguments, "file")?;
    if options.is_damaged {
        return serve_nothing(&options.scheme, EIO);
    }
    damaged::on_panic(&options.scheme);
    let is_root = options.device.is_none();
    let Some(device) = options.device.or_else(find_root) else {
        return serve_nothing(&options.scheme, ENODEV);
    };
    if options.makes {
        return make(&device).map_err(|reason| Failure::fatal(&device, reason));
    }
    match mount(&device, &options.scheme) {
        Ok(system) => serve(system, options.scheme),
        Err(reason) if is_root => {
            eprintln!("filed: {device}: {reason}");
            return serve_nothing(&options.scheme, EIO);
        }
        Err(reason) => return Err(Failure::fatal(&device, reason)),
    }
    .map_err(|error| Failure::fatal("serving", error))
}

/// Makes an empty file system.
fn make(device: &str) -> std::result::Result<(), String> {
    let partition = Partition::open(device.to_owned()).map_err(|error| error.to_string())?;
    let now = now();
    let made = filed::store::make(partition, now.tv_sec as u64, now.tv_nsec as u32);
    made.map_err(|error| error.to_string())
}

/// The first partition of the root type.
fn find_root() -> Option<String> {
    let text = std::fs::read_to_string("/scheme/disk/info").ok()?;
    text.lines().find_map(|line| {
        let mut words = line.split(' ');
        let name = words.next()?;
        (words.nth(3)? == abi::partition::ROOT).then(|| format!("/scheme/disk/{name}"))
    })
}

fn mount(device: &str, scheme: &str) -> std::result::Result<FileSystem<Store<Partition>>, String> {
    let partition = Partition::open(device.to_owned()).map_err(|error| error.to_string())?;
    let is_read_only = partition.is_read_only;
    let _running = damaged::on_timeout(scheme);
    let mounted = filed::store::mount(partition, !is_read_only);
    let system = mounted.map_err(|error| match error.errno {
        ENOENT => "no RedoxFS there".to_owned(),
        EIO => "the file system is damaged, or longer than the disk".to_owned(),
        _ => error.to_string(),
    })?;
    let ways = (0..HANDS).map(|_| Partition::open(device.to_owned())).collect::<Result<_, _>>();
    system.disk.set_hands(Hands::new(ways.map_err(|error: std::io::Error| error.to_string())?));
    Ok(system)
}

fn serve(mut system: FileSystem<Store<Partition>>, scheme: String) -> Result<()> {
    let told = stop::watch().map_err(|_| Error::new(EIO))?;
    let mut server = Server::nonblocking()?;
    let events = Events::new()?;
    events.watch(server.descriptor(), REQUESTS)?;
    events.watch(stop::descriptor(&told), STOP)?;
    server.register(&scheme, ROOT_HANDLE)?;
    let mut state = State::new(Budget::new(system.allocator()), (0, 0));
    state.scheme = scheme;
    state.cache = Cache::new(cached_records());
    state.is_read_only = system.disk.backing().is_read_only;
    let mut syncs = Syncs::default();
    let (mut locks, mut fifos) = (Locks::default(), Fifos::default());
    loop {
        let allocator = system.allocator();
        let space = (system.header.size() / BLOCK_SIZE, allocator.free());
        state.begin(Budget::new(allocator), space);
        let mut how = How::Committed;
        let disk = system.disk.clone();
        let outcome = system.tx(|tx| {
            let tree = Tree::new(tx, &mut state, disk);
            let mut served =
                Served { tree, syncs: &mut syncs, locks: &mut locks, fifos: &mut fifos };
            how = served.one_transaction(&mut server, &events)?;
            match served.tree.state().is_broken {
                true => Err(Error::new(EIO)),
                false => served.tree.write_out_all(),
            }
        });
        if let Err(error) = outcome {
            state.cache.clear();
            system.disk.abandon();
            if !state.was_refused() {
                eprintln!("filed: changes since the last sync are lost: {error}");
            }
        }
        // A change that was refused alone takes nothing else with it.
        syncs.ended(outcome.is_ok() || state.was_refused());
        if how == How::Stopped {
            return Ok(());
        }
    }
}

/// How many records each half of the cache may hold.
fn cached_records() -> usize {
    let text = std::fs::read_to_string("/scheme/sys/mem").unwrap_or_default();
    let free = text.lines().find_map(|line| line.strip_prefix("free: ")?.parse::<u64>().ok());
    (free.unwrap_or(0) / CACHE_PART / RECORD_SIZE / 2) as usize
}

/// Why a transaction ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// To be committed.
    Committed,
    /// The daemon ends with it.
    Stopped,
}

/// Requests that wait for a commit.
#[derive(Default)]
struct Syncs {
    /// The transactions they wait for.
    waiting: BTreeMap<Id, u64>,
    /// Transactions that ended.
    ended: u64,
    /// The last one that was lost.
    lost: Option<u64>,
    /// Waiting requests may go on.
    progress: bool,
}

impl Syncs {
    fn ended(&mut self, well: bool) {
        if !well {
            self.lost = Some(self.ended);
        }
        self.ended += 1;
        self.progress = true;
    }
}

/// The tree for as long as one transaction is open.
struct Served<'a, 'f, D: Records> {
    tree: Tree<'a, 'f, D>,
    syncs: &'a mut Syncs,
    locks: &'a mut Locks<u64, Id>,
    fifos: &'a mut Fifos<FifoPipe, u32, Id>,
}

impl<D: Records> Served<'_, '_, D> {
    /// Serves until the transaction has to end.
    fn one_transaction(&mut self, server: &mut Server, events: &Events) -> Result<How> {
        self.tree.close_waiting();
        server.settle(self);
        let mut since = None;
        loop {
            if self.tree.state().wants_commit {
                return Ok(How::Committed);
            }
            let turn = server.turn(self)?;
            match turn {
                Turn::Closed => return Ok(How::Stopped),
                Turn::Idle if !self.tree.state().wants_commit => {}
                Turn::Idle | Turn::Served => continue,
            }
            if self.tree.state().is_changed {
                let age = since.get_or_insert_with(Instant::now).elapsed();
                match PATIENCE.checked_sub(age) {
                    Some(rest) => events.limit(rest.as_millis() as usize + 1)?,
                    None => return Ok(How::Committed),
                }
            }
            if events.wait()? == Happened::Ready(STOP) {
                self.tree.finish();
                return Ok(How::Stopped);
            }
        }
    }

    /// The tree, unless its transaction is about to be thrown away.
    fn tree(&mut self) -> Result<&mut Self> {
        match self.tree.state().is_broken {
            true => Err(Error::new(EWOULDBLOCK)),
            false => Ok(self),
        }
    }
}

impl<D: Records> Daemon for Served<'_, '_, D> {
    fn progress(&mut self) -> bool {
        // Both are asked: each forgets its change with the answer.
        let may_sync = std::mem::take(&mut self.syncs.progress);
        self.locks.progress() | self.fifos.progress() | may_sync
    }

    fn cancelled(&mut self, request: Id) {
        self.syncs.waiting.remove(&request);
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

fn now() -> TimeSpec {
    libredox::call::clock_gettime(CLOCK_REALTIME).map_or_else(
        |_| TimeSpec::default(),
        |now| TimeSpec { tv_sec: now.tv_sec, tv_nsec: now.tv_nsec as i32 },
    )
}

fn caller(ctx: &CallerCtx) -> Caller {
    Caller { uid: ctx.uid, gid: ctx.gid, now: now() }
}

/// Who opens a file, and when, if that matters: when it is made or emptied.
fn opener(flags: usize, ctx: &CallerCtx) -> Caller {
    match flags & (O_CREAT | O_TRUNC) {
        0 => Caller { uid: ctx.uid, gid: ctx.gid, now: TimeSpec::default() },
        _ => caller(ctx),
    }
}

impl<D: Records> SchemeSync for Served<'_, '_, D> {
    fn openat(
        &mut self,
        start: usize,
        path: &str,
        flags: usize,
        _fcntl_flags: u32,
        ctx: &CallerCtx,
    ) -> Result<OpenResult> {
        let Self { tree, fifos, .. } = self.tree()?;
        match tree.open(start, path, flags, &opener(flags, ctx)) {
            Err(Error { errno: ENXIO }) => {
                let fifo = tree.fifo(start, path, &opener(flags, ctx))?;
                fifos.open(fifo, flags, ctx.id).map(hand_over)
            }
            answer if flags as u16 & MODE_TYPE == MODE_FIFO => {
                // Its number may have been another's, who is gone.
                let number = answer?;
                fifos.forget(tree.node_of(number)?);
                Ok(opened(number))
            }
            answer => answer.map(opened),
        }
    }

    fn unlinkat(&mut self, start: usize, path: &str, flags: usize, ctx: &CallerCtx) -> Result<()> {
        self.tree()?.tree.unlink(start, path, flags & AT_REMOVEDIR != 0, &caller(ctx))
    }

    fn dup(&mut self, id: usize, what: &[u8], _ctx: &CallerCtx) -> Result<OpenResult> {
        if !what.is_empty() {
            return Err(Error::new(EINVAL));
        }
        self.tree()?.tree.dup(id).map(opened)
    }

    fn read(
        &mut self,
        id: usize,
        buffer: &mut [u8],
        offset: u64,
        _flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        self.tree()?.tree.read(id, offset, buffer)
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
        self.tree()?.tree.write(id, offset, append, buffer, &caller(ctx))
    }

    fn fsize(&mut self, id: usize, _ctx: &CallerCtx) -> Result<u64> {
        self.tree()?.tree.size(id)
    }

    fn fchmod(&mut self, id: usize, mode: u16, ctx: &CallerCtx) -> Result<()> {
        self.tree()?.tree.set_mode(id, mode, &caller(ctx))
    }

    fn fchown(&mut self, id: usize, uid: u32, gid: u32, ctx: &CallerCtx) -> Result<()> {
        self.tree()?.tree.set_owner(id, uid, gid, &caller(ctx))
    }

    fn fcntl(&mut self, id: usize, _cmd: usize, _arg: usize, _ctx: &CallerCtx) -> Result<usize> {
        self.tree.state().owner(id).map(|_| 0)
    }

    fn fevent(&mut self, id: usize, wanted: EventFlags, _ctx: &CallerCtx) -> Result<EventFlags> {
        self.tree.state().owner(id).map(|_| wanted)
    }

    fn flink(&mut self, id: usize, path: &str, ctx: &CallerCtx) -> Result<usize> {
        self.tree()?.tree.link(id, path, &caller(ctx)).map(|()| 0)
    }

    fn frename(&mut self, id: usize, path: &str, ctx: &CallerCtx) -> Result<usize> {
        self.tree()?.tree.rename(id, path, &caller(ctx)).map(|()| 0)
    }

    fn fpath(&mut self, id: usize, buffer: &mut [u8], _ctx: &CallerCtx) -> Result<usize> {
        let state = self.tree.state();
        state.path(id).map(|path| device::write_path(&state.scheme, path, buffer))
    }

    fn fstat(&mut self, id: usize, stat: &mut Stat, _ctx: &CallerCtx) -> Result<()> {
        *stat = self.tree()?.tree.stat(id)?;
        Ok(())
    }

    fn fstatvfs(&mut self, _id: usize, stat: &mut StatVfs, _ctx: &CallerCtx) -> Result<()> {
        *stat = self.tree.stat_space();
        Ok(())
    }

    /// Answered when the transaction has been committed that the request came in.
    fn fsync(&mut self, id: usize, ctx: &CallerCtx) -> Result<()> {
        self.tree.state().owner(id)?;
        if let Some(&transaction) = self.syncs.waiting.get(&ctx.id) {
            if transaction >= self.syncs.ended {
                return Err(Error::new(EWOULDBLOCK));
            }
            self.syncs.waiting.remove(&ctx.id);
            let is_lost = self.syncs.lost.is_some_and(|lost| lost >= transaction);
            return if is_lost { Err(Error::new(EIO)) } else { Ok(()) };
        }
        if !self.tree()?.tree.wants_sync()? {
            return Ok(());
        }
        self.syncs.waiting.insert(ctx.id, self.syncs.ended);
        Err(Error::new(EWOULDBLOCK))
    }

    fn ftruncate(&mut self, id: usize, size: u64, ctx: &CallerCtx) -> Result<()> {
        self.tree()?.tree.truncate(id, size, &caller(ctx))
    }

    fn futimens(&mut self, id: usize, times: &[TimeSpec], ctx: &CallerCtx) -> Result<()> {
        let &[accessed, modified] = times else { return Err(Error::new(EINVAL)) };
        self.tree()?.tree.set_times(id, accessed, modified, &caller(ctx))
    }

    fn getdents<'buffer>(
        &mut self,
        id: usize,
        mut buffer: DirentBuf<&'buffer mut [u8]>,
        after: u64,
    ) -> Result<DirentBuf<&'buffer mut [u8]>> {
        let (mut listed_any, mut too_small) = (false, None);
        self.tree()?.tree.list(id, after, |listed| {
            let entry = buffer.entry(DirEntry {
                inode: listed.node,
                next_opaque_id: listed.number,
                name: &listed.name,
                kind: listed.kind,
            });
            if let Err(error) = entry {
                too_small = Some(error);
            }
            listed_any |= entry.is_ok();
            entry.is_ok()
        })?;
        match too_small {
            Some(error) if !listed_any => Err(error),
            _ => Ok(buffer),
        }
    }

    fn mmap_prep(
        &mut self,
        id: usize,
        offset: u64,
        length: usize,
        flags: MapFlags,
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        self.tree()?.tree.map(id, offset, length, flags)
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
        let (uid, gid) = self.tree.state().owner(id)?;
        let ctx = CallerCtx { pid: ctx.pid, uid, gid, id: ctx.id };
        file_call::unpack(self, ids, kind, payload, metadata, &ctx)
    }
}

/// What a scheme is without a disk that can be used: this error number.
struct Nothing(i32);

impl Daemon for Nothing {}

impl SchemeSync for Nothing {
    fn openat(
        &mut self,
        _start: usize,
        _path: &str,
        _flags: usize,
        _fcntl_flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<OpenResult> {
        Err(Error::new(self.0))
    }

    fn unlinkat(&mut self, _: usize, _: &str, _: usize, _: &CallerCtx) -> Result<()> {
        Err(Error::new(self.0))
    }
}

fn serve_nothing(scheme: &str, errno: i32) -> std::result::Result<(), Failure> {
    let server = Server::waiting().map_err(|error| Failure::fatal("scheme socket", error))?;
    server.register(scheme, ROOT_HANDLE).map_err(|error| Failure::fatal(scheme, error))?;
    server.run(&mut Nothing(errno)).map_err(|error| Failure::fatal("serving", error))
}
