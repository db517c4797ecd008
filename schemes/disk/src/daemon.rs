//! `disk:` itself: a list of what the drivers serve, and the way to them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use diskd::driver::scheme_of;
use libredox::Fd;
use libredox::flag::O_CLOEXEC;
use pcid::client;
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, OpenResult};
use scheme::command::{Failure, no_arguments};
use scheme::events::{Events, Happened};
use scheme::{Daemon, Server, Turn, device};
use syscall::Stat;
use syscall::dirent::{DirEntry, DirentBuf, DirentKind};
use syscall::error::{
    EACCES, EBADF, EEXIST, EISDIR, ENODEV, ENOENT, ENOTDIR, EWOULDBLOCK, Error, Result,
};
use syscall::flag::{
    MODE_DIR, MODE_FILE, O_ACCMODE, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_STAT, O_WRONLY,
};
use syscall::schemev2::NewFdFlags;

use crate::starter::{Driver, State, program};

const ROOT: usize = 0;
/// The file that tells what there is.
const INFO: &str = "info";
/// How long the drivers may take until they have looked at their devices. `init` waits 5 seconds for
/// the scheme; a device that does not answer must not keep the others' disks from being there.
const PATIENCE: Duration = Duration::from_millis(3500);
/// How long those that have found disks may then take until they serve them.
const BEGINNING: Duration = Duration::from_secs(1);

/// What the event queue calls the socket; drivers come behind it.
const SOCKET: usize = 0;
const DRIVERS: usize = 1;

/// Serves until the kernel closes the socket.
pub(crate) fn run(arguments: &[String]) -> std::result::Result<(), Failure> {
    no_arguments(arguments)?;
    let names = client::list().map_err(|error| Failure::fatal("pci:", error))?;
    let mut drivers = Vec::new();
    for name in names {
        let Ok(info) = client::info(&name) else { continue };
        // The kernel keeps the device of the emergency store to itself.
        if info.driver.as_deref() != Some("kernel") {
            drivers.extend(program(&info).map(|program| Driver::new(name, program)));
        }
    }
    let failed = |error: Error| Failure::fatal("disk", error);
    let mut server = Server::nonblocking().map_err(failed)?;
    let events = Events::new().map_err(failed)?;
    events.watch(server.descriptor(), SOCKET).map_err(failed)?;
    let mut disks = Disks::new(drivers, events);
    disks.look().map_err(failed)?;
    server.register("disk", ROOT).map_err(failed)?;
    while disks.turn(&mut server).map_err(failed)? {}
    Ok(())
}

/// An open file of the daemon's own.
enum Handle {
    Root,
    Info,
}

struct Disks {
    drivers: Vec<Driver>,
    events: Events,
    handles: BTreeMap<usize, Handle>,
    next: usize,
    /// The number of the next new disk.
    next_disk: usize,
    /// Set when a driver came or went.
    has_news: bool,
    /// Drivers' files that were handed over and not yet closed here.
    handed: Vec<Fd>,
}

impl Daemon for Disks {
    fn progress(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    fn sent(&mut self) {
        self.handed.clear();
    }
}

impl Disks {
    fn new(drivers: Vec<Driver>, events: Events) -> Self {
        Self {
            drivers,
            events,
            handles: BTreeMap::from([(ROOT, Handle::Root)]),
            next: ROOT + 1,
            next_disk: 0,
            has_news: false,
            handed: Vec::new(),
        }
    }

    /// Starts the drivers, all at once, numbers their disks in the order of the devices, and
    /// returns when all serve that will.
    fn look(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline && !self.drivers.iter().all(Driver::is_known) {
            self.pass_time(Some(deadline))?;
        }
        let deadline = Instant::now() + BEGINNING;
        while Instant::now() < deadline {
            self.number();
            let is_waited_for = |d: &Driver| matches!(d.state, State::Found(_));
            if !self.drivers.iter().any(is_waited_for) {
                break;
            }
            self.pass_time(Some(deadline))?;
        }
        Ok(())
    }

    /// Gives numbers to the disks of drivers that have found some.
    fn number(&mut self) {
        for driver in &mut self.drivers {
            if !matches!(driver.state, State::Found(_)) || driver.is_told {
                continue;
            }
            if driver.found == 0 {
                driver.dismiss();
                continue;
            }
            let (first, count) = *driver.numbers.get_or_insert_with(|| {
                let first = self.next_disk;
                self.next_disk += driver.found;
                (first, driver.found)
            });
            if driver.found > count {
                // Its numbers would be others'.
                eprintln!("diskd: pci:{} has more disks than before", driver.function);
                driver.dismiss();
                continue;
            }
            driver.tell(first);
        }
    }

    /// Waits for one thing to happen that concerns drivers, and starts those whose time has come.
    /// Waits no longer than until `deadline`. Returns whether it was the socket instead.
    fn pass_time(&mut self, deadline: Option<Instant>) -> Result<bool> {
        let now = Instant::now();
        for (index, driver) in self.drivers.iter_mut().enumerate() {
            if driver.start(now) {
                if let Some(descriptor) = driver.descriptor() {
                    self.events.watch(descriptor, DRIVERS + index)?;
                }
            }
        }
        let starts = self.drivers.iter().filter_map(|driver| match driver.state {
            State::Pausing(until) => Some(until),
            _ => None,
        });
        if let Some(next) = starts.chain(deadline).min() {
            let pause = next.saturating_duration_since(now);
            self.events.limit(pause.as_millis() as usize + 1)?;
        }
        match self.events.wait()? {
            Happened::Ready(SOCKET) => return Ok(true),
            Happened::Ready(number) => {
                self.drivers[number - DRIVERS].hear();
                self.has_news = true;
            }
            Happened::TimedOut => {}
        }
        Ok(false)
    }

    /// Does the next thing there is to do. Returns whether the socket is still open.
    fn turn(&mut self, server: &mut Server) -> Result<bool> {
        if !self.pass_time(None)? {
            self.number();
            server.settle(self);
            return Ok(true);
        }
        loop {
            match server.turn(self)? {
                Turn::Served => {}
                Turn::Idle => return Ok(true),
                Turn::Closed => return Ok(false),
            }
        }
    }

    /// `EWOULDBLOCK` while a driver is on its way whose disks have been seen before.
    fn wait_for_all(&self) -> Result<()> {
        let is_missing = |driver: &Driver| driver.numbers.is_some() && driver.is_coming();
        match self.drivers.iter().any(is_missing) {
            true => Err(Error::new(EWOULDBLOCK)),
            false => Ok(()),
        }
    }

    /// What all drivers tell of their disks.
    fn info(&self) -> Result<String> {
        self.wait_for_all()?;
        let mut text = String::new();
        for driver in &self.drivers {
            if matches!(driver.state, State::Serving(..)) {
                let path = format!("/scheme/{}/{INFO}", scheme_of(&driver.function));
                match std::fs::read_to_string(path) {
                    Ok(lines) => text += &lines,
                    Err(_) => wait_if_gone(driver)?,
                }
            }
        }
        Ok(text)
    }

    /// Everything that can be opened.
    fn names(&self) -> Result<Vec<String>> {
        let info = self.info()?;
        let names = info.lines().filter_map(|line| line.split_whitespace().next());
        Ok(names.map(str::to_owned).chain([INFO.to_owned()]).collect())
    }

    fn open_own(&mut self, handle: Handle) -> OpenResult {
        let number = self.next;
        self.next += 1;
        self.handles.insert(number, handle);
        OpenResult::ThisScheme { number, flags: NewFdFlags::POSITIONED }
    }

    /// Opens a driver's file, for the client.
    fn open_disk(&mut self, name: &str, flags: usize, uid: u32) -> Result<OpenResult> {
        let digits = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len());
        let disk: usize = name[..digits].parse().map_err(|_| Error::new(ENOENT))?;
        let has_it = |driver: &&Driver| {
            driver.numbers.is_some_and(|(first, count)| (first..first + count).contains(&disk))
        };
        let driver = self.drivers.iter().find(has_it).ok_or(Error::new(ENOENT))?;
        match driver.state {
            State::Serving(..) => {}
            State::Over => return Err(Error::new(ENODEV)),
            _ => return Err(Error::new(EWOULDBLOCK)),
        }
        if uid != 0 && flags & O_STAT == 0 {
            return Err(Error::new(EACCES));
        }
        if flags & O_DIRECTORY != 0 {
            return Err(Error::new(ENOTDIR));
        }
        let path = format!("/scheme/{}/{name}", scheme_of(&driver.function));
        let kept = (flags & (O_ACCMODE | O_STAT)) as i32;
        let file = match Fd::open(&path, kept | O_CLOEXEC, 0) {
            Ok(file) => file,
            Err(error) => {
                wait_if_gone(driver)?;
                return Err(error.into());
            }
        };
        let fd = file.raw();
        self.handed.push(file);
        Ok(OpenResult::OtherScheme { fd })
    }

    fn handle(&self, id: usize) -> Result<&Handle> {
        self.handles.get(&id).ok_or(Error::new(EBADF))
    }
}

/// `EWOULDBLOCK` when a driver has ended and nobody has heard of it yet: that news will come.
fn wait_if_gone(driver: &Driver) -> Result<()> {
    let schemes = std::fs::read_to_string("/scheme/sys/scheme").unwrap_or_default();
    let scheme = scheme_of(&driver.function);
    let is_there = schemes.lines().any(|line| line.split(' ').next() == Some(&scheme));
    if is_there { Ok(()) } else { Err(Error::new(EWOULDBLOCK)) }
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
        let path = path.trim_matches('/');
        let wants_write = flags & O_ACCMODE & !O_RDONLY & O_WRONLY != 0;
        if flags & O_CREAT != 0 && flags & O_EXCL != 0 {
            return Err(Error::new(EEXIST));
        }
        match path {
            "" if wants_write => Err(Error::new(EISDIR)),
            "" => Ok(self.open_own(Handle::Root)),
            INFO if flags & O_DIRECTORY != 0 => Err(Error::new(ENOTDIR)),
            INFO if wants_write => Err(Error::new(EACCES)),
            INFO => {
                self.wait_for_all()?;
                Ok(self.open_own(Handle::Info))
            }
            _ => self.open_disk(path, flags, ctx.uid),
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
        if matches!(self.handle(id)?, Handle::Root) {
            return Err(Error::new(EISDIR));
        }
        let text = self.info()?;
        let rest = usize::try_from(offset).ok().and_then(|at| text.as_bytes().get(at..));
        let rest = rest.unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn fsize(&mut self, id: usize, _ctx: &CallerCtx) -> Result<u64> {
        match self.handle(id)? {
            Handle::Root => Ok(0),
            Handle::Info => self.info().map(|text| text.len() as u64),
        }
    }

    fn fcntl(&mut self, id: usize, _cmd: usize, _arg: usize, _ctx: &CallerCtx) -> Result<usize> {
        self.handle(id).map(|_| 0)
    }

    fn fpath(&mut self, id: usize, buffer: &mut [u8], _ctx: &CallerCtx) -> Result<usize> {
        let path = match self.handle(id)? {
            Handle::Root => "",
            Handle::Info => INFO,
        };
        Ok(device::write_path("disk", path, buffer))
    }

    fn fstat(&mut self, id: usize, stat: &mut Stat, ctx: &CallerCtx) -> Result<()> {
        let mode = match self.handle(id)? {
            Handle::Root => MODE_DIR | 0o555,
            Handle::Info => MODE_FILE | 0o444,
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
        if !matches!(self.handle(id)?, Handle::Root) {
            return Err(Error::new(ENOTDIR));
        }
        for (at, name) in self.names()?.iter().enumerate().skip(after as usize) {
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
