//! The life of a driver's process.
//!
//! `diskd` starts it with a claim on the device. In a byte each, the driver says how many disks it
//! has found and, once it was told the number of the first in a line, that it serves them, as the
//! scheme [`scheme_of`] its device. Before it touches the device it gives up root: from then on it
//! has what the claim gives it, its scheme's socket, and nothing else that is not everybody's.
//!
//! It ends when `diskd` is gone, when the claim is, and when the device breaks its own rules, does
//! not answer, or was taken out ([`GONE`]). To start again is its only way to set a device back.

use std::cell::RefCell;
use std::io::{BufRead, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use pcid::client::{Device as Function, Interrupt};
use pcid::mapping::Mapping;
use scheme::command::Failure;
use scheme::events::{Events, Happened};
use scheme::{Server, Turn};

use crate::device::{Broken, Device};
use crate::files::{Disk, Disks, ROOT};
use crate::memory::{Source, Span};
use crate::registers::Registers;
use crate::requests::Requests;

/// The exit status of a driver whose device was taken out.
pub const GONE: i32 = 3;

/// The scheme that the driver of a function serves.
pub fn scheme_of(function: &str) -> String {
    format!("disk.{}", function.replace(':', "-"))
}

/// What the event queue calls the things that it watches; interrupts come behind them.
const SOCKET: usize = 0;
const STARTER: usize = 1;
const CLAIM: usize = 2;
const INTERRUPTS: usize = 3;

/// What is said when the disks are served.
const READY: u8 = b'!';

/// How often a busy device is looked at, in milliseconds.
const CHECK: usize = 1000;

/// The device, as `pci:` lends it.
pub struct Claimed {
    /// The claim and what it is on.
    pub function: Function,
    interrupts: RefCell<Vec<Rc<Line>>>,
}

/// An interrupt of the device.
pub struct Line {
    interrupt: Interrupt,
    events: Events,
}

/// Registers of the device.
pub struct Window {
    mapping: Mapping,
    /// Where in the mapping the first one is.
    skipped: usize,
}

impl Registers for Window {
    fn read(&self, offset: usize) -> u32 {
        self.mapping.read(self.skipped + offset)
    }

    fn write(&self, offset: usize, value: u32) {
        self.mapping.write(self.skipped + offset, value);
    }
}

impl Window {
    /// How many bytes of registers there are.
    pub fn length(&self) -> usize {
        self.mapping.length() - self.skipped
    }
}

impl Claimed {
    /// The registers at the beginning of a base address register.
    pub fn registers(&self, bar: usize) -> Result<Window, Broken> {
        let registers = self.function.registers(bar, 0);
        let (mapping, offset) = registers.map_err(|error| format!("its registers: {error}"))?;
        let skipped = usize::try_from(-offset).map_err(|_| "registers begin elsewhere")?;
        Ok(Window { mapping, skipped })
    }

    /// Interrupt `number` of the device.
    pub fn interrupt(&self, number: u16) -> Result<Rc<Line>, Broken> {
        let open = || {
            let interrupt = self.function.interrupt(number)?;
            let events = Events::new()?;
            events.watch(interrupt.descriptor(), 0)?;
            Ok(Rc::new(Line { interrupt, events }))
        };
        let line = open().map_err(|error: syscall::Error| format!("its interrupt: {error}"))?;
        self.interrupts.borrow_mut().push(Rc::clone(&line));
        Ok(line)
    }
}

impl Source for Claimed {
    fn memory(&self, length: usize) -> syscall::Result<Span> {
        let dma = self.function.dma(length)?;
        // SAFETY: the mapping is left alone for the life of the process.
        let span = unsafe { Span::new(dma.start(), dma.physical(), dma.length()) };
        std::mem::forget(dma);
        Ok(span)
    }
}

impl Line {
    /// Returns when the interrupt has fired, or after so long.
    pub fn wait(&self, limit: Duration) {
        let limited = self.events.limit(limit.as_millis() as usize);
        // Should the queue fail, whoever waits looks at the device and waits again.
        let _why = limited.and_then(|()| self.events.wait());
        if let Some(fired) = self.interrupt.fired() {
            self.interrupt.acknowledge(fired);
        }
    }
}

/// Drives the device that the command line names, `FUNCTION CLAIM`. `open` sets it up and finds its
/// disks.
pub fn run(
    arguments: &[String],
    open: impl FnOnce(&Rc<Claimed>) -> Result<Vec<Box<dyn Device>>, Broken>,
) -> Result<(), Failure> {
    let usage = || Failure::Usage("it takes FUNCTION CLAIM".to_owned());
    let [name, claim] = arguments else { return Err(usage()) };
    let claim = claim.parse().map_err(|_| usage())?;
    let fatal = |error: syscall::Error| Failure::fatal(format!("pci:{name}"), error);
    let function = Function::inherit(name, claim).map_err(fatal)?;
    let server = Server::nonblocking().map_err(fatal)?;
    server.register(&scheme_of(name), ROOT).map_err(fatal)?;
    become_nobody(name).map_err(fatal)?;
    let claimed = Rc::new(Claimed { function, interrupts: RefCell::default() });
    match drive(server, &claimed, open) {
        Err(Broken::Gone) => {
            eprintln!("pci:{name}: {}", Broken::Gone);
            std::process::exit(GONE)
        }
        driven => driven.map_err(|broken| Failure::fatal(format!("pci:{name}"), broken)),
    }
}

fn drive(
    server: Server,
    claimed: &Rc<Claimed>,
    open: impl FnOnce(&Rc<Claimed>) -> Result<Vec<Box<dyn Device>>, Broken>,
) -> Result<(), Broken> {
    let mut disks = Vec::new();
    let devices = open(claimed)?;
    claimed.function.settled().map_err(|error| format!("its claim: {error}"))?;
    for device in devices {
        let requests = Requests::new(device, &**claimed);
        disks.push(Disk::new(requests.map_err(|error| format!("memory for it: {error}"))?)?);
    }
    match introduce(disks.len()) {
        Some(first) => serve(server, claimed, Disks::new(disks, first)),
        None => Ok(()),
    }
}

/// Gives up root, for a user that nobody else is: one for each function.
fn become_nobody(name: &str) -> syscall::Result<()> {
    let digits = name.chars().filter(char::is_ascii_hexdigit);
    let place = digits.fold(0, |sum: u32, digit| sum << 4 | digit.to_digit(16).unwrap_or(0));
    let user = 0x1_0000 + (place & 0x0FFF_FFFF);
    // SAFETY: the calls only change who this process is.
    let has_changed = unsafe { libc::setgid(user) == 0 && libc::setuid(user) == 0 };
    has_changed.then_some(()).ok_or(syscall::Error::new(syscall::error::EPERM))
}

/// Tells `diskd` how many disks there are, and learns the number of the first. `None` when it does
/// not want any.
fn introduce(count: usize) -> Option<usize> {
    say(count.try_into().ok()?).ok()?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).ok()?;
    line.trim().parse().ok()
}

/// Says one byte to `diskd`.
fn say(word: u8) -> std::io::Result<()> {
    let mut output = std::io::stdout().lock();
    output.write_all(&[word])?;
    output.flush()
}

fn serve(mut server: Server, claimed: &Claimed, mut disks: Disks) -> Result<(), Broken> {
    let failed = |error: syscall::Error| Broken::Unruly(format!("waiting: {error}"));
    let events = Events::new().map_err(failed)?;
    events.watch(server.descriptor(), SOCKET).map_err(failed)?;
    events.watch(0, STARTER).map_err(failed)?;
    events.watch(claimed.function.descriptor(), CLAIM).map_err(failed)?;
    let lines = claimed.interrupts.borrow();
    for (number, line) in lines.iter().enumerate() {
        events.watch(line.interrupt.descriptor(), INTERRUPTS + number).map_err(failed)?;
    }
    say(READY).map_err(|error| error.to_string())?;
    let mut has_limit = false;
    loop {
        if !has_limit && disks.disks.iter().any(|disk| disk.requests.is_busy()) {
            events.limit(CHECK).map_err(failed)?;
            has_limit = true;
        }
        match events.wait().map_err(failed)? {
            Happened::Ready(SOCKET) => loop {
                match server.turn(&mut disks).map_err(failed)? {
                    Turn::Served => {}
                    Turn::Idle => break,
                    Turn::Closed => return Ok(()),
                }
            },
            Happened::Ready(CLAIM) if claimed.function.is_leaving() => return Err(Broken::Gone),
            Happened::Ready(STARTER | CLAIM) => return Ok(()),
            Happened::Ready(number) => {
                let line = &lines[number - INTERRUPTS];
                let fired = line.interrupt.fired();
                disks.collect()?;
                server.settle(&mut disks);
                if let Some(fired) = fired {
                    line.interrupt.acknowledge(fired);
                }
            }
            Happened::TimedOut => {
                has_limit = false;
                let now = Instant::now();
                disks.disks.iter_mut().try_for_each(|disk| disk.requests.check(now))?;
            }
        }
        if let Some(broken) = disks.broken.take() {
            return Err(broken);
        }
    }
}
