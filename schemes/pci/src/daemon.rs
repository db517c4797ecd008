//! Joins the functions to the scheme protocol.

mod slots;
mod tell;

use std::collections::BTreeMap;
use std::time::Duration;

use libredox::Fd;
use pcid::bus::{self, Function};
use pcid::client::{LEAVING, SETTLED};
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, OpenResult};
use scheme::command::{Failure, no_arguments};
use scheme::events::Events;
use scheme::{Daemon, Server, Turn, device, hand_over};
use syscall::Stat;
use syscall::dirent::{DirEntry, DirentBuf};
use syscall::error::{
    EACCES, EBADF, EBUSY, EINVAL, EISDIR, ENODEV, ENOENT, ENOTDIR, EOPNOTSUPP, Error, Result,
};
use syscall::flag::{
    EventFlags, MODE_CHR, MODE_DIR, MODE_FILE, O_ACCMODE, O_DIRECTORY, O_RDONLY as READ, O_STAT,
};
use syscall::schemev2::NewFdFlags;

use crate::claim::Claim;
use crate::window::{Place, Windows};
use slots::Watched;
use tell::CONFIG;

/// Serves until the kernel closes the socket.
pub(crate) fn run(arguments: &[String]) -> std::result::Result<(), Failure> {
    no_arguments(arguments)?;
    let text = std::fs::read_to_string("/scheme/sys/pci")
        .map_err(|error| Failure::fatal("sys:pci", error))?;
    let places = Place::all(&text);
    let windows = Windows::new(places.clone());
    let mut functions = Vec::new();
    for Place { segment, first, last, .. } in places {
        functions.extend(bus::scan(&windows, segment, first, last));
    }
    let mut server =
        Server::nonblocking().map_err(|error| Failure::fatal("scheme socket", error))?;
    let kept = text.lines().find_map(|line| line.strip_prefix("KEPT ")).map(str::to_owned);
    let mut pci = Pci {
        windows,
        functions,
        kept,
        retired: BTreeMap::new(),
        handles: BTreeMap::new(),
        next: ROOT + 1,
        slots: Vec::new(),
        news: Vec::new(),
        arrivals: 0,
    };
    pci.handles.insert(ROOT, Handle::Root);
    pci.find_slots();
    server.register("pci", ROOT).map_err(|error| Failure::fatal("pci", error))?;
    pci.serve(&mut server).map_err(|error| Failure::fatal("serving", error))
}

/// How often to look at slots, if there are any: twice a second.
const LOOK: Duration = Duration::from_millis(500);

const ROOT: usize = 0;

/// An open file.
enum Handle {
    /// The list of functions.
    Root,
    /// A function's directory.
    Function(usize),
    /// Its text.
    Info(usize),
    /// Its configuration space.
    Config(usize),
    /// What a driver would hold it by, opened only to be looked at.
    Unclaimed(usize),
    /// Its driver's hold on it.
    Claim(Box<Claim>),
}

struct Pci {
    windows: Windows,
    functions: Vec<Function>,
    /// The function that the kernel drives itself.
    kept: Option<String>,
    /// Memory of drivers that are gone, by the function whose device may still write there.
    retired: BTreeMap<String, Vec<Fd>>,
    handles: BTreeMap<usize, Handle>,
    next: usize,
    /// Slots whose devices come and go.
    slots: Vec<Watched>,
    /// Files that somebody has to hear of: claims whose device is to be taken out, and lists that have
    /// become others.
    news: Vec<usize>,
    /// How many times a device was put in.
    arrivals: u32,
}

impl Daemon for Pci {
    fn next_event(&mut self) -> Option<(usize, EventFlags)> {
        self.news.pop().map(|claim| (claim, EventFlags::EVENT_READ))
    }
}

impl Pci {
    fn serve(&mut self, server: &mut Server) -> Result<()> {
        let events = Events::new()?;
        events.watch(server.descriptor(), 0)?;
        loop {
            if !self.slots.is_empty() {
                events.limit(LOOK.as_millis() as usize)?;
            }
            events.wait()?;
            loop {
                match server.turn(self)? {
                    Turn::Served => {}
                    Turn::Idle => break,
                    Turn::Closed => return Ok(()),
                }
            }
            self.look_at_slots();
            server.settle(self);
        }
    }

    fn handle(&self, id: usize) -> Result<&Handle> {
        self.handles.get(&id).ok_or(Error::new(EBADF))
    }

    fn add(&mut self, handle: Handle) -> OpenResult {
        let number = self.next;
        self.next += 1;
        self.handles.insert(number, handle);
        OpenResult::ThisScheme { number, flags: NewFdFlags::POSITIONED }
    }

    fn find(&self, name: &str) -> Result<usize> {
        let is_it = |function: &Function| !function.is_gone && function.name() == name;
        self.functions.iter().position(is_it).ok_or(Error::new(ENOENT))
    }

    fn open(&mut self, path: &str, flags: usize, uid: u32) -> Result<Handle> {
        let path = path.trim_matches('/');
        if path.is_empty() {
            return Ok(Handle::Root);
        }
        let (name, file) = path.split_once('/').unwrap_or((path, ""));
        let index = self.find(name)?;
        // What the driver calls itself.
        let (file, driver) = match file.split_once('/') {
            Some(("claim", driver)) => ("claim", driver),
            Some(_) => return Err(Error::new(ENOTDIR)),
            None => (file, "unknown"),
        };
        let is_private = matches!(file, "config" | "claim");
        if is_private && uid != 0 {
            return Err(Error::new(EACCES));
        }
        if file != "claim" && flags & O_ACCMODE & !READ != 0 {
            return Err(Error::new(if file.is_empty() { EISDIR } else { EACCES }));
        }
        if !file.is_empty() && flags & O_DIRECTORY != 0 {
            return Err(Error::new(ENOTDIR));
        }
        match file {
            "" => Ok(Handle::Function(index)),
            "info" => Ok(Handle::Info(index)),
            "config" => Ok(Handle::Config(index)),
            // Only looked at.
            "claim" if flags & O_STAT != 0 => Ok(Handle::Unclaimed(index)),
            "claim" => self.claim(index, driver),
            _ => Err(Error::new(ENOENT)),
        }
    }

    fn claim(&mut self, index: usize, driver: &str) -> Result<Handle> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if driver.is_empty() || driver.len() > 32 || !driver.chars().all(is_name) {
            return Err(Error::new(EINVAL));
        }
        let function = &self.functions[index];
        if !function.is_gone && self.claim_of(function).is_some() || self.is_kept(function) {
            return Err(Error::new(EBUSY));
        }
        if function.is_gone || self.is_leaving(function) {
            return Err(Error::new(ENODEV));
        }
        Ok(Handle::Claim(Box::new(Claim::new(&self.windows, function, driver)?)))
    }

    fn claim_of(&self, function: &Function) -> Option<&Claim> {
        let name = function.name();
        self.handles.values().find_map(|handle| match handle {
            Handle::Claim(claim) if claim.name() == name && !claim.function().is_gone => {
                Some(&**claim)
            }
            _ => None,
        })
    }

    /// Whether the kernel drives it itself.
    fn is_kept(&self, function: &Function) -> bool {
        self.kept.as_deref() == Some(function.name().as_str())
    }
}

impl SchemeSync for Pci {
    fn openat(
        &mut self,
        start: usize,
        path: &str,
        flags: usize,
        _fcntl_flags: u32,
        ctx: &CallerCtx,
    ) -> Result<OpenResult> {
        let Self { windows, functions, handles, .. } = self;
        match handles.get_mut(&start).ok_or(Error::new(EBADF))? {
            Handle::Claim(claim) => claim.open(windows, path).map(hand_over),
            Handle::Root => {
                let handle = self.open(path, flags, ctx.uid)?;
                Ok(self.add(handle))
            }
            Handle::Function(index) => {
                let path = format!("{}/{path}", functions[*index].name());
                let handle = self.open(&path, flags, ctx.uid)?;
                Ok(self.add(handle))
            }
            Handle::Info(_) | Handle::Config(_) | Handle::Unclaimed(_) => Err(Error::new(ENOTDIR)),
        }
    }

    fn dup(&mut self, id: usize, what: &[u8], _ctx: &CallerCtx) -> Result<OpenResult> {
        let path = std::str::from_utf8(what).map_err(|_| Error::new(ENOENT))?;
        let Self { windows, handles, .. } = self;
        match handles.get_mut(&id) {
            Some(Handle::Claim(claim)) if path == "config" => {
                let name = claim.name();
                if claim.function().is_gone {
                    return Err(Error::new(ENODEV));
                }
                let index = self.find(&name)?;
                Ok(self.add(Handle::Config(index)))
            }
            Some(Handle::Claim(claim)) => claim.open(windows, path).map(hand_over),
            _ => Err(Error::new(EOPNOTSUPP)),
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
        let bytes = match self.handle(id)? {
            Handle::Root | Handle::Function(_) => return Err(Error::new(EISDIR)),
            Handle::Info(index) => self.info(*index).into_bytes(),
            Handle::Config(index) => self.config(*index),
            Handle::Claim(claim) if self.is_leaving(claim.function()) => {
                // Wherever in the file writing has led.
                let length = LEAVING.len().min(buffer.len());
                buffer[..length].copy_from_slice(&LEAVING[..length]);
                return Ok(length);
            }
            Handle::Unclaimed(_) | Handle::Claim(_) => return Err(Error::new(EBADF)),
        };
        let rest = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    /// A driver says that it has set its device back, so that the device knows nothing any more of
    /// memory that drivers before had.
    fn write(
        &mut self,
        id: usize,
        buffer: &[u8],
        _offset: u64,
        _flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<usize> {
        let Handle::Claim(claim) = self.handle(id)? else { return Err(Error::new(EBADF)) };
        if buffer != SETTLED {
            return Err(Error::new(EINVAL));
        }
        if claim.function().is_gone {
            return Err(Error::new(ENODEV));
        }
        let name = claim.name();
        self.retired.remove(&name);
        Ok(buffer.len())
    }

    /// A driver watches its claim to learn that this daemon is gone, or that the device is to be
    /// taken out; the list of functions tells when it has become another one.
    fn fevent(&mut self, id: usize, _wanted: EventFlags, _ctx: &CallerCtx) -> Result<EventFlags> {
        Ok(match self.handle(id)? {
            Handle::Claim(claim) if self.is_leaving(claim.function()) => EventFlags::EVENT_READ,
            _ => EventFlags::empty(),
        })
    }

    fn fpath(&mut self, id: usize, buffer: &mut [u8], _ctx: &CallerCtx) -> Result<usize> {
        let file = |index: &usize, file: &str| format!("{}{file}", self.functions[*index].name());
        let path = match self.handle(id)? {
            Handle::Root => String::new(),
            Handle::Function(index) => file(index, ""),
            Handle::Info(index) => file(index, "/info"),
            Handle::Config(index) => file(index, "/config"),
            Handle::Unclaimed(index) => file(index, "/claim"),
            Handle::Claim(claim) => format!("{}/claim", claim.name()),
        };
        Ok(device::write_path("pci", &path, buffer))
    }

    fn fsize(&mut self, id: usize, ctx: &CallerCtx) -> Result<u64> {
        let mut stat = Stat::default();
        self.fstat(id, &mut stat, ctx)?;
        Ok(stat.st_size)
    }

    fn fstat(&mut self, id: usize, stat: &mut Stat, _ctx: &CallerCtx) -> Result<()> {
        let (mode, size) = match self.handle(id)? {
            Handle::Root | Handle::Function(_) => (MODE_DIR | 0o555, 0),
            Handle::Info(index) => (MODE_FILE | 0o444, self.info(*index).len()),
            Handle::Config(_) => (MODE_FILE | 0o400, CONFIG),
            Handle::Unclaimed(_) | Handle::Claim(_) => (MODE_CHR | 0o600, 0),
        };
        *stat = Stat { st_mode: mode, st_nlink: 1, st_size: size as u64, ..Stat::default() };
        Ok(())
    }

    fn getdents<'buffer>(
        &mut self,
        id: usize,
        mut buffer: DirentBuf<&'buffer mut [u8]>,
        after: u64,
    ) -> Result<DirentBuf<&'buffer mut [u8]>> {
        let names = self.names(id)?;
        for (at, (name, kind)) in names.iter().enumerate().skip(after as usize) {
            let number = at as u64 + 1;
            let entry = DirEntry { inode: number, next_opaque_id: number, name, kind: *kind };
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
        if let Some(Handle::Claim(claim)) = self.handles.remove(&id) {
            let name = claim.name();
            let memory = claim.end(&self.windows);
            if !memory.is_empty() {
                self.retired.entry(name).or_default().extend(memory);
            }
        }
    }
}
