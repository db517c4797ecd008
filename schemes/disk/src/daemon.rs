//! `disk:` itself: a list of what the drivers serve, and the way to them.

mod calls;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use diskd::driver::scheme_of;
use pcid::client;
use redox_scheme::{CallerCtx, Id, OpenResult};
use scheme::command::{Failure, no_arguments};
use scheme::events::{Events, Happened};
use scheme::{Daemon, Server, Turn, hand_over};
use syscall::error::{EACCES, EBADF, EIO, ENODEV, ENOENT, ENOTDIR, EWOULDBLOCK, Error, Result};
use syscall::flag::{O_ACCMODE, O_DIRECTORY, O_STAT};
use syscall::schemev2::NewFdFlags;

use crate::asking::{Answer, Asking, Question, Ticket};
use crate::starter::{Driver, State, program};

const ROOT: usize = 0;
/// The file that tells what there is.
const INFO: &str = "info";
/// How long the drivers may take until they have looked at their devices. `init` waits 5 seconds for
/// the scheme; a device that does not answer must not keep the others' disks from being there.
const PATIENCE: Duration = Duration::from_millis(3500);
/// How long those that have found disks may then take until they serve them.
const BEGINNING: Duration = Duration::from_secs(1);

/// What the event queue calls the socket, the bell and the list of devices; drivers come behind them.
const SOCKET: usize = 0;
const BELL: usize = 1;
const LIST: usize = 2;
const DRIVERS: usize = 3;

/// Serves until the kernel closes the socket.
pub(crate) fn run(arguments: &[String]) -> std::result::Result<(), Failure> {
    no_arguments(arguments)?;
    let failed = |error: Error| Failure::fatal("disk", error);
    let mut server = Server::nonblocking().map_err(failed)?;
    let events = Events::new().map_err(failed)?;
    events.watch(server.descriptor(), SOCKET).map_err(failed)?;
    let asking = Asking::new().map_err(failed)?;
    events.watch(asking.descriptor(), BELL).map_err(failed)?;
    // Watched before it is read for the first time: nothing that comes is missed.
    let list = client::watch().map_err(|error| Failure::fatal("pci:", error))?;
    events.watch(list.raw(), LIST).map_err(failed)?;
    let mut disks = Disks::new(events, asking);
    disks.find().map_err(failed)?;
    disks.look().map_err(failed)?;
    server.register("disk", ROOT).map_err(failed)?;
    while disks.turn(&mut server).map_err(failed)? {}
    Ok(())
}

/// An open file of the daemon's own, with what it tells: how things were when it was opened.
enum Handle {
    Root(Vec<String>),
    Info(String),
}

/// What a request waits for: answers of these drivers.
type Waited = Vec<(usize, Ticket)>;

struct Disks {
    drivers: Vec<Driver>,
    events: Events,
    handles: BTreeMap<usize, Handle>,
    next: usize,
    /// The number of the next new disk.
    next_disk: usize,
    /// Set when a driver came or went.
    has_news: bool,
    asking: Asking,
    /// Requests that drivers were asked for.
    waiting: BTreeMap<Id, Waited>,
}

impl Daemon for Disks {
    fn progress(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    /// Each driver answers, or is ended.
    fn finishes_soon(&self) -> bool {
        true
    }
}

impl Disks {
    fn new(events: Events, asking: Asking) -> Self {
        Self {
            drivers: Vec::new(),
            events,
            handles: BTreeMap::from([(ROOT, Handle::Root(Vec::new()))]),
            next: ROOT + 1,
            next_disk: 0,
            has_news: false,
            asking,
            waiting: BTreeMap::new(),
        }
    }

    /// Finds controllers that are not driven yet. One whose place another device had before has to wait
    /// until that one's driver has ended.
    fn find(&mut self) -> Result<()> {
        let names = client::list().map_err(|_| Error::new(EIO))?;
        for name in names {
            let Ok(info) = client::info(&name) else { continue };
            // The kernel keeps the device of the emergency store to itself.
            let Some(program) = program(&info).filter(|_| info.driver.as_deref() != Some("kernel"))
            else {
                continue;
            };
            let is_there = |driver: &Driver| {
                let is_same = driver.arrival == info.arrival;
                driver.function == name && (is_same || !matches!(driver.state, State::Over))
            };
            if !self.drivers.iter().any(is_there) {
                self.asking.add()?;
                self.drivers.push(Driver::new(name, info.arrival, program));
            }
        }
        Ok(())
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
            if driver.start(now)
                && let Some(descriptor) = driver.descriptor()
            {
                self.events.watch(descriptor, DRIVERS + index)?;
            }
        }
        self.look_after(now);
        let asking = &self.asking;
        let starts = self.drivers.iter().enumerate().filter_map(|(index, d)| match d.state {
            State::Pausing(until) => Some(until),
            State::Serving(..) => Some(asking.next_look(index)),
            _ => None,
        });
        if let Some(next) = starts.chain(deadline).min() {
            let pause = next.saturating_duration_since(now);
            self.events.limit(pause.as_millis() as usize + 1)?;
        }
        match self.events.wait()? {
            Happened::Ready(SOCKET) => return Ok(true),
            Happened::Ready(BELL) => {
                self.asking.collect();
                self.has_news = true;
            }
            Happened::Ready(LIST) => self.find()?,
            Happened::Ready(number) => {
                let driver = &mut self.drivers[number - DRIVERS];
                driver.hear();
                if matches!(driver.state, State::Over) {
                    self.find()?;
                }
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

    /// Sees to it that drivers answer, and ends those that do not.
    fn look_after(&mut self, now: Instant) {
        for (index, driver) in self.drivers.iter_mut().enumerate() {
            if matches!(driver.state, State::Serving(..)) {
                self.asking.check(index, now, || Question::Text(info_of(driver)));
                if self.asking.stuck(index, now) {
                    driver.kill();
                }
            }
        }
    }

    /// The answers that a request waits for, once all are there; asks for them the first time.
    ///
    /// # Errors
    /// `EWOULDBLOCK` until then.
    fn answers(
        &mut self,
        request: Id,
        ask: impl FnOnce(&mut Self) -> Result<Waited>,
    ) -> Result<Vec<(usize, Answer)>> {
        let waited = match self.waiting.remove(&request) {
            Some(waited) => waited,
            None => ask(self)?,
        };
        if !waited.iter().all(|(_, ticket)| self.asking.has_answer(*ticket)) {
            self.waiting.insert(request, waited);
            return Err(Error::new(EWOULDBLOCK));
        }
        let asking = &mut self.asking;
        let taken = waited.into_iter().filter_map(|(at, ticket)| Some((at, asking.take(ticket)?)));
        Ok(taken.collect())
    }

    /// What all drivers tell of their disks.
    fn info(&mut self, request: Id) -> Result<String> {
        self.wait_for_all()?;
        let answers = self.answers(request, |disks| {
            let serving = disks.drivers.iter().enumerate();
            let serving = serving.filter(|(_, driver)| matches!(driver.state, State::Serving(..)));
            let asking = &mut disks.asking;
            let ask = |(at, d): (usize, &Driver)| (at, asking.ask(at, Question::Text(info_of(d))));
            Ok(serving.map(ask).collect())
        })?;
        let mut text = String::new();
        for (index, answer) in answers {
            match answer {
                Answer::Text(Ok(lines)) => text += &lines,
                _ => wait_if_gone(&self.drivers[index])?,
            }
        }
        Ok(text)
    }

    /// Everything that can be opened.
    fn names(&mut self, request: Id) -> Result<Vec<String>> {
        let info = self.info(request)?;
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
    fn open_disk(&mut self, name: &str, flags: usize, ctx: &CallerCtx) -> Result<OpenResult> {
        let digits = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len());
        let disk: usize = name[..digits].parse().map_err(|_| Error::new(ENOENT))?;
        let has_it = |driver: &Driver| {
            driver.numbers.is_some_and(|(first, count)| (first..first + count).contains(&disk))
        };
        let index = self.drivers.iter().position(has_it).ok_or(Error::new(ENOENT))?;
        if ctx.uid != 0 && flags & O_STAT == 0 {
            return Err(Error::new(EACCES));
        }
        if flags & O_DIRECTORY != 0 {
            return Err(Error::new(ENOTDIR));
        }
        let answers = self.answers(ctx.id, |disks| {
            let driver = &disks.drivers[index];
            match driver.state {
                State::Serving(..) => {}
                State::Over => return Err(Error::new(ENODEV)),
                _ => return Err(Error::new(EWOULDBLOCK)),
            }
            let path = format!("/scheme/{}/{name}", scheme_of(&driver.function));
            let kept = (flags & (O_ACCMODE | O_STAT)) as i32;
            Ok(vec![(index, disks.asking.ask(index, Question::File(path, kept)))])
        })?;
        let Some((_, Answer::File(opened))) = answers.into_iter().next() else {
            return Err(Error::new(EIO));
        };
        match opened {
            Ok(file) => Ok(hand_over(file)),
            Err(error) => {
                wait_if_gone(&self.drivers[index])?;
                Err(error)
            }
        }
    }

    fn handle(&self, id: usize) -> Result<&Handle> {
        self.handles.get(&id).ok_or(Error::new(EBADF))
    }
}

/// The file in which a driver tells of its disks.
fn info_of(driver: &Driver) -> String {
    format!("/scheme/{}/{INFO}", scheme_of(&driver.function))
}

/// `EWOULDBLOCK` when a driver has ended: what comes next is news.
fn wait_if_gone(driver: &Driver) -> Result<()> {
    if driver.is_coming() {
        return Err(Error::new(EWOULDBLOCK));
    }
    // It may have ended without anybody having heard of it.
    let schemes = std::fs::read_to_string("/scheme/sys/scheme").unwrap_or_default();
    let scheme = scheme_of(&driver.function);
    let is_there = schemes.lines().any(|line| line.split(' ').next() == Some(&scheme));
    let is_over = matches!(driver.state, State::Over);
    if is_there || is_over { Ok(()) } else { Err(Error::new(EWOULDBLOCK)) }
}
