//! Joins the terminal to the serial line, the screen, the keyboard and the scheme protocol.

use crate::screen::Screen;
use consoled::Terminal;
use consoled::foreground::{may_give, send_signals};
use consoled::handle::{Handle, Kind};
use consoled::reading::Reads;
use consoled::settings::WindowSize;
use libredox::Fd;
use libredox::flag::{CLOCK_MONOTONIC, O_CLOEXEC, O_NONBLOCK, O_RDONLY, O_WRONLY};
use redox_scheme::scheme::SchemeSync;
use redox_scheme::{CallerCtx, Id, OpenResult};
use scheme::command::Failure;
use scheme::events::{Events, Happened};
use scheme::{Daemon, Server, Turn, device, file_call};
use syscall::error::{EINTR, EWOULDBLOCK, Error, Result};
use syscall::flag::{EventFlags, StdFsCallKind};
use syscall::schemev2::NewFdFlags;
use syscall::{Stat, StdFsCallMeta};
use terminal::Keyboard;
use terminal::keys::LAYOUTS;

const DEFAULT_SIZE: WindowSize = WindowSize::new(80, 24);
const DEVICE: &str = "/scheme/debug";
const KEYBOARD: &str = "/scheme/serio/0";

/// Numbers of what is watched.
const SOCKET: usize = 0;
const LINE: usize = 1;
const KEYS: usize = 2;
const SCREEN: usize = 3;

const MILLISECOND_NS: u64 = 1_000_000;

/// Serves until the kernel closes the socket.
pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let options = Options::parse(arguments)?;
    let mut console = Console::new(options).map_err(|error| Failure::fatal(DEVICE, error))?;
    let mut server =
        Server::nonblocking().map_err(|error| Failure::fatal("scheme socket", error))?;
    server
        .register("console", Handle::ROOT.number())
        .map_err(|error| Failure::fatal("console", error))?;
    console.serve(&mut server).map_err(|error| Failure::fatal("serving", error))
}

/// What the command line asks for.
struct Options {
    size: Option<WindowSize>,
    keyboard: Keyboard,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, Failure> {
        let mut options = Self { size: None, keyboard: Keyboard::us() };
        let mut words = arguments.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let mut value = |what: &str| {
                words.next().ok_or_else(|| Failure::Usage(format!("{word} needs {what}")))
            };
            match word {
                "--size" => {
                    let text = value("COLUMNSxROWS")?;
                    let size = WindowSize::parse(text);
                    let wrong = || Failure::Usage(format!("'{text}' is not a window size"));
                    options.size = Some(size.ok_or_else(wrong)?);
                }
                "--layout" => {
                    let name = value("NAME")?;
                    let wrong = || {
                        let names = LAYOUTS.join(" ");
                        Failure::Usage(format!("no layout is called '{name}'; there are {names}"))
                    };
                    options.keyboard = Keyboard::new(name).ok_or_else(wrong)?;
                }
                extra => return Err(Failure::Usage(format!("unexpected argument '{extra}'"))),
            }
        }
        Ok(options)
    }
}

struct Console {
    terminal: Terminal,
    /// The serial line, to read and to write.
    typed: Fd,
    line: Fd,
    /// A keyboard, if there is one.
    keys: Option<Fd>,
    keyboard: Keyboard,
    /// A screen, if there is one.
    screen: Option<Screen>,
    reads: Reads,
    /// Something happened that waiting requests may have waited for.
    has_changed: bool,
    /// Handles that somebody watches.
    watched: Vec<usize>,
    /// Handles to report as ready.
    ready: Vec<usize>,
}

impl Console {
    fn new(options: Options) -> Result<Self> {
        let Options { size, keyboard } = options;
        let input = O_RDONLY | O_NONBLOCK | O_CLOEXEC;
        // A machine may have neither screen nor keyboard; what else is wrong with them must not
        // take the serial line with it.
        let screen = Screen::open().ok();
        let of_screen = screen.as_ref().map(Screen::grid);
        let of_screen = of_screen.map(|(columns, rows)| {
            WindowSize::new(columns.try_into().unwrap_or(80), rows.try_into().unwrap_or(24))
        });
        Ok(Self {
            terminal: Terminal::new(size.or(of_screen).unwrap_or(DEFAULT_SIZE)),
            typed: Fd::open(DEVICE, input, 0)?,
            line: Fd::open(DEVICE, O_WRONLY | O_CLOEXEC, 0)?,
            keys: Fd::open(KEYBOARD, input, 0).ok(),
            keyboard,
            screen,
            reads: Reads::default(),
            has_changed: false,
            watched: Vec::new(),
            ready: Vec::new(),
        })
    }

    fn serve(&mut self, server: &mut Server) -> Result<()> {
        let events = Events::new()?;
        events.watch(server.descriptor(), SOCKET)?;
        events.watch(self.typed.raw(), LINE)?;
        if let Some(keys) = &self.keys {
            events.watch(keys.raw(), KEYS)?;
        }
        if let Some(screen) = &self.screen {
            events.watch(screen.descriptor(), SCREEN)?;
        }
        loop {
            let picture = self.screen.as_ref().and_then(Screen::deadline);
            if let Some(deadline) = [self.reads.deadline(), picture].into_iter().flatten().min() {
                let left = deadline.saturating_sub(now());
                events.limit(left.div_ceil(MILLISECOND_NS) as usize)?;
            }
            match events.wait() {
                Ok(Happened::Ready(SOCKET)) => loop {
                    match server.turn(self)? {
                        Turn::Served => {}
                        Turn::Idle => break,
                        Turn::Closed => return Ok(()),
                    }
                },
                Ok(Happened::Ready(SCREEN)) => {
                    self.screen.iter_mut().for_each(|screen| screen.hear(now()));
                }
                Ok(Happened::Ready(KEYS)) => self.press()?,
                Ok(Happened::Ready(_)) => self.type_in()?,
                Ok(Happened::TimedOut) => self.has_changed = true,
                Err(Error { errno: EINTR }) => {}
                Err(error) => return Err(error),
            }
            self.screen.iter_mut().for_each(|screen| screen.draw_when_due(now()));
            server.settle(self);
        }
    }

    /// Takes everything that the keyboard sent.
    fn press(&mut self) -> Result<()> {
        let mut codes = [0; 256];
        while let Some(keys) = &self.keys {
            match keys.read(&mut codes) {
                Ok(0) => break,
                Ok(count) => {
                    for code in &codes[..count] {
                        if let Some(bytes) = self.keyboard.byte(*code) {
                            self.terminal.input(bytes.as_slice(), now());
                        }
                    }
                }
                Err(error) if error.is_wouldblock() => break,
                Err(error) if error.is_interrupt() => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.changed();
        Ok(())
    }

    /// Takes everything that was typed on the serial line.
    fn type_in(&mut self) -> Result<()> {
        let mut keys = [0; 256];
        loop {
            match self.typed.read(&mut keys) {
                Ok(0) => return Ok(()),
                Ok(count) => self.terminal.input(&keys[..count], now()),
                Err(error) if error.is_wouldblock() => break,
                Err(error) if error.is_interrupt() => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.changed();
        Ok(())
    }

    /// Shows what is to be shown, sends what is to be sent, and lets waiting requests try again.
    fn changed(&mut self) {
        self.show();
        send_signals(&mut self.terminal);
        self.has_changed = true;
        self.ready.clone_from(&self.watched);
    }

    fn show(&mut self) {
        let bytes = self.terminal.take_output();
        if let Some(screen) = self.screen.as_mut().filter(|_| !bytes.is_empty()) {
            screen.write(&bytes, now());
        }
        let mut left = &bytes[..];
        while !left.is_empty() {
            match self.line.write(left) {
                Ok(count) if count > 0 => left = &left[count.min(left.len())..],
                Err(error) if error.is_interrupt() => {}
                // A line that takes nothing cannot show an error either.
                _ => return,
            }
        }
    }

    fn readiness(&mut self, handle: Handle) -> EventFlags {
        let mut ready = EventFlags::empty();
        let is_terminal = handle.kind == Kind::Terminal;
        let readable = !is_terminal || self.terminal.is_readable();
        let writable = !is_terminal || self.terminal.is_writable();
        ready.set(EventFlags::EVENT_READ, handle.read && readable);
        ready.set(EventFlags::EVENT_WRITE, handle.write && writable);
        ready
    }

    fn read_terminal(&mut self, buffer: &mut [u8], ctx: &CallerCtx) -> Result<usize> {
        let group = self.terminal.group();
        let (now, terminal) = (now(), &mut self.terminal);
        let read = |since| Ok(terminal.read(buffer, since, now));
        self.reads.try_read(ctx, group, now, read)
    }
}

/// Time since the machine started, in ns.
fn now() -> u64 {
    let time = libredox::call::clock_gettime(CLOCK_MONOTONIC);
    time.map_or(0, |time| time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

impl Daemon for Console {
    fn progress(&mut self) -> bool {
        if self.has_changed {
            self.reads.begin_anew();
        }
        std::mem::take(&mut self.has_changed)
    }

    fn cancelled(&mut self, request: Id) {
        self.reads.ended(request);
    }

    fn next_event(&mut self) -> Option<(usize, EventFlags)> {
        while let Some(number) = self.ready.pop() {
            let flags = Handle::from_number(number).map(|handle| self.readiness(handle));
            if let Ok(flags) = flags
                && !flags.is_empty()
            {
                return Some((number, flags));
            }
        }
        None
    }
}

fn opened(handle: Handle) -> OpenResult {
    OpenResult::ThisScheme { number: handle.number(), flags: NewFdFlags::empty() }
}

impl SchemeSync for Console {
    fn openat(
        &mut self,
        root: usize,
        path: &str,
        flags: usize,
        _fcntl_flags: u32,
        _ctx: &CallerCtx,
    ) -> Result<OpenResult> {
        Handle::from_number(root)?.open(path, flags).map(opened)
    }

    fn dup(&mut self, id: usize, what: &[u8], _ctx: &CallerCtx) -> Result<OpenResult> {
        Handle::from_number(id)?.dup(what).map(opened)
    }

    fn read(
        &mut self,
        id: usize,
        buffer: &mut [u8],
        _offset: u64,
        flags: u32,
        ctx: &CallerCtx,
    ) -> Result<usize> {
        match Handle::from_number(id)?.readable()?.kind {
            Kind::Terminal => {
                let read = self.read_terminal(buffer, ctx);
                if flags as usize & syscall::flag::O_NONBLOCK != 0 {
                    self.cancelled(ctx.id);
                }
                read
            }
            Kind::Settings => self.terminal.settings().read(buffer),
            Kind::Size => self.terminal.size().read(buffer),
            Kind::Group => self.terminal.read_group(buffer),
            Kind::Root | Kind::Flush => Ok(0),
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
        let written = match Handle::from_number(id)?.writable()?.kind {
            Kind::Terminal => {
                let taken = self.terminal.write(buffer).ok_or(Error::new(EWOULDBLOCK))?;
                self.show();
                return Ok(taken);
            }
            Kind::Settings => self.terminal.write_settings(buffer)?,
            Kind::Size => self.terminal.write_size(buffer)?,
            Kind::Group => {
                let may_have = |group| may_give(ctx.pid, ctx.uid, group);
                self.terminal.write_group(buffer, may_have)?
            }
            Kind::Flush => self.terminal.write_flush(buffer)?,
            Kind::Root => return Ok(0),
        };
        self.changed();
        Ok(written)
    }

    fn fcntl(&mut self, id: usize, _cmd: usize, _arg: usize, _ctx: &CallerCtx) -> Result<usize> {
        Handle::from_number(id).map(|_| 0)
    }

    fn fevent(&mut self, id: usize, wanted: EventFlags, _ctx: &CallerCtx) -> Result<EventFlags> {
        let handle = Handle::from_number(id)?;
        self.watched.retain(|&number| number != id);
        if !wanted.is_empty() {
            self.watched.push(id);
        }
        Ok(self.readiness(handle) & wanted)
    }

    fn fpath(&mut self, id: usize, buffer: &mut [u8], _ctx: &CallerCtx) -> Result<usize> {
        Handle::from_number(id).map(|_| device::write_path("console", "", buffer))
    }

    fn fstat(&mut self, id: usize, stat: &mut Stat, _ctx: &CallerCtx) -> Result<()> {
        Handle::from_number(id)?;
        *stat = Stat { st_mode: device::MODE, st_nlink: 1, ..Stat::default() };
        Ok(())
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
