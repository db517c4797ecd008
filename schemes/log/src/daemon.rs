//! Joins the log to the scheme protocol.

use libredox::flag::CLOCK_MONOTONIC;
use logd::path::parse;
use logd::reader::{Reader, Scope};
use logd::store::Store;
use logd::writer::Writer;
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, OpenResult};
use scheme::command::{Failure, no_arguments};
use scheme::{Daemon, Server, device, file_call};
use slab::Slab;
use syscall::dirent::{DirEntry, DirentBuf, DirentKind};
use syscall::error::{EBADF, EINVAL, EISDIR, ENOENT, ENOTDIR, EWOULDBLOCK, Error, Result};
use syscall::flag::{
    EventFlags, MODE_DIR, MODE_FILE, O_ACCMODE, O_CREAT, O_DIRECTORY, O_RDONLY, O_STAT, O_WRONLY,
    StdFsCallKind,
};
use syscall::schemev2::NewFdFlags;
use syscall::{Stat, StdFsCallMeta};

/// Serves until the kernel closes the socket.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    no_arguments(arguments)?;
    let server = Server::waiting().map_err(|error| Failure::fatal("scheme socket", error))?;
    let mut log = Log::default();
    let root = log.handles.insert(Handle::List);
    server.register("log", root).map_err(|error| Failure::fatal("log", error))?;
    server.run(&mut log).map_err(|error| Failure::fatal("serving", error))
}

/// An open handle.
enum Handle {
    /// The list of tags, and where paths start.
    List,
    /// Lines.
    Lines(Lines),
}

struct Lines {
    path: Box<str>,
    reader: Option<Reader>,
    writer: Option<Writer>,
    follow: bool,
    is_watched: bool,
    /// Whose words the unfinished line is.
    pid: usize,
}

#[derive(Default)]
struct Log {
    store: Store,
    handles: Slab<Handle>,
    has_changed: bool,
    /// Handles to report as ready.
    ready: Vec<usize>,
}

impl Log {
    fn lines(&mut self, id: usize) -> Result<(&mut Lines, &mut Store)> {
        match self.handles.get_mut(id) {
            Some(Handle::Lines(lines)) => Ok((lines, &mut self.store)),
            Some(Handle::List) => Err(Error::new(EISDIR)),
            None => Err(Error::new(EBADF)),
        }
    }

    fn open(&mut self, path: &str, flags: usize) -> Result<Handle> {
        let is_root = path.trim_matches('/').is_empty();
        // Who only looks sees a directory, so that `ls log:` lists the tags.
        if is_root && flags & (O_DIRECTORY | O_STAT) != 0 {
            return Ok(Handle::List);
        }
        if flags & O_DIRECTORY != 0 {
            return Err(Error::new(ENOTDIR));
        }
        let opened = parse(path)?;
        let access = if flags & O_STAT != 0 { 0 } else { flags & O_ACCMODE };
        let (read, write) = (access & O_RDONLY != 0, access & O_WRONLY != 0);
        let writer = match opened.tag {
            None if write => return Err(Error::new(EISDIR)),
            Some(tag) if write => Some(Writer::new(tag)),
            Some(tag) => {
                let may_come = opened.follow || flags & O_CREAT != 0;
                if !may_come && self.store.find(tag).is_none() {
                    return Err(Error::new(ENOENT));
                }
                None
            }
            None => None,
        };
        let scope = opened.tag.map_or(Scope::All, |tag| Scope::Tag(tag.into()));
        Ok(Handle::Lines(Lines {
            path: path.trim_matches('/').into(),
            reader: read.then(|| Reader::new(scope)),
            writer,
            follow: opened.follow,
            is_watched: false,
            pid: 0,
        }))
    }

    /// Lets followers see new lines.
    fn changed(&mut self) {
        self.has_changed = true;
        let watched = self.handles.iter().filter_map(|(id, handle)| match handle {
            Handle::Lines(lines) if lines.is_watched => Some(id),
            _ => None,
        });
        self.ready = watched.collect();
    }
}

/// Time since the machine started, in µs.
fn now_us() -> u64 {
    let time = libredox::call::clock_gettime(CLOCK_MONOTONIC);
    time.map_or(0, |time| time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000)
}

fn readiness(lines: &Lines, store: &Store) -> EventFlags {
    let mut ready = EventFlags::empty();
    let has_more = |reader: &Reader| -> bool { !lines.follow || reader.has_more(store) };
    ready.set(EventFlags::EVENT_READ, lines.reader.as_ref().is_some_and(has_more));
    ready.set(EventFlags::EVENT_WRITE, lines.writer.is_some());
    ready
}

impl Daemon for Log {
    fn progress(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    fn next_event(&mut self) -> Option<(usize, EventFlags)> {
        while let Some(id) = self.ready.pop() {
            if let Ok((lines, store)) = self.lines(id)
                && readiness(lines, store).contains(EventFlags::EVENT_READ)
            {
                return Some((id, EventFlags::EVENT_READ));
            }
        }
        None
    }
}

impl SchemeSync for Log {
    fn openat(
        &mut self,
        start: usize,
        path: &str,
        flags: usize,
        _fcntl_flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<OpenResult> {
        match self.handles.get(start) {
            Some(Handle::List) => {}
            Some(Handle::Lines(_)) => return Err(Error::new(ENOTDIR)),
            None => return Err(Error::new(EBADF)),
        }
        let handle = self.open(path, flags)?;
        let number = self.handles.insert(handle);
        Ok(OpenResult::ThisScheme { number, flags: NewFdFlags::empty() })
    }

    fn read(
        &mut self,
        id: usize,
        buffer: &mut [u8],
        _offset: u64,
        _flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        let (lines, store) = self.lines(id)?;
        let reader = lines.reader.as_mut().ok_or(Error::new(EBADF))?;
        match reader.read(store, buffer) {
            0 if lines.follow && !buffer.is_empty() => Err(Error::new(EWOULDBLOCK)),
            length => Ok(length),
        }
    }

    fn write(
        &mut self,
        id: usize,
        buffer: &[u8],
        _offset: u64,
        _flags: u32,
        ctx: &CallerCtx,
    ) -> Result<usize> {
        let (lines, store) = self.lines(id)?;
        lines.pid = ctx.pid;
        let writer = lines.writer.as_mut().ok_or(Error::new(EBADF))?;
        let written = writer.write(store, buffer, now_us(), ctx.pid)?;
        self.changed();
        Ok(written)
    }

    fn fcntl(&mut self, id: usize, _cmd: usize, _arg: usize, _ctx: &CallerCtx) -> Result<usize> {
        if self.handles.contains(id) { Ok(0) } else { Err(Error::new(EBADF)) }
    }

    fn fevent(&mut self, id: usize, wanted: EventFlags, _ctx: &CallerCtx) -> Result<EventFlags> {
        let (lines, store) = self.lines(id)?;
        lines.is_watched = wanted.contains(EventFlags::EVENT_READ);
        Ok(readiness(lines, store) & wanted)
    }

    fn fpath(&mut self, id: usize, buffer: &mut [u8], _ctx: &CallerCtx) -> Result<usize> {
        match self.handles.get(id) {
            Some(Handle::Lines(lines)) => Ok(device::write_path("log", &lines.path, buffer)),
            Some(Handle::List) => Ok(device::write_path("log", "", buffer)),
            None => Err(Error::new(EBADF)),
        }
    }

    fn fstat(&mut self, id: usize, stat: &mut Stat, _ctx: &CallerCtx) -> Result<()> {
        let st_mode = match self.handles.get(id) {
            Some(Handle::Lines(_)) => MODE_FILE | 0o666,
            Some(Handle::List) => MODE_DIR | 0o777,
            None => return Err(Error::new(EBADF)),
        };
        *stat = Stat { st_mode, st_nlink: 1, ..Stat::default() };
        Ok(())
    }

    fn ftruncate(&mut self, _id: usize, _length: u64, _ctx: &CallerCtx) -> Result<()> {
        Err(Error::new(EINVAL))
    }

    fn getdents<'buffer>(
        &mut self,
        id: usize,
        mut buffer: DirentBuf<&'buffer mut [u8]>,
        after: u64,
    ) -> Result<DirentBuf<&'buffer mut [u8]>> {
        match self.handles.get(id) {
            Some(Handle::List) => {}
            Some(Handle::Lines(_)) => return Err(Error::new(ENOTDIR)),
            None => return Err(Error::new(EBADF)),
        }
        let skipped = usize::try_from(after).unwrap_or(usize::MAX);
        for (index, name) in self.store.names().enumerate().skip(skipped) {
            let number = index as u64 + 1;
            let entry = buffer.entry(DirEntry {
                inode: number,
                next_opaque_id: number,
                name,
                kind: DirentKind::Regular,
            });
            match entry {
                Ok(()) => {}
                // The buffer is full.
                Err(_) if index > skipped => break,
                Err(error) => return Err(error),
            }
        }
        Ok(buffer)
    }

    fn on_close(&mut self, id: usize) {
        // The root is registered for as long as the daemon lives.
        if id == 0 {
            return;
        }
        if let Some(Handle::Lines(Lines { writer: Some(mut writer), pid, .. })) =
            self.handles.try_remove(id)
        {
            writer.flush(&mut self.store, now_us(), pid);
            self.changed();
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
        file_call::unpack(self, ids, kind, payload, metadata, ctx)
    }
}
