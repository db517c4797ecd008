//! Drivers: one process for each controller, started again when it ends.
//!
//! A driver that never came to serve is tried again a few times, each time later; then its disks
//! are given up. One that has served is always started again, so whoever kills it loses time.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use diskd::driver::GONE;
use libredox::Fd;
use libredox::flag::O_RDWR;
use pcid::info::Info;
use syscall::error::{EBUSY, ENOENT, Error};

/// So many starts in a row that come to nothing are the last.
const STARTS_MAX: u32 = 4;
/// How long to wait after the first of them; twice as long after each further one.
const PAUSE: Duration = Duration::from_millis(20);
/// A function that somebody else has claimed, as the driver before may have for a moment, is tried so
/// often, with such pauses: for 5 seconds.
const CLAIMS_MAX: u32 = 250;
const CLAIM_PAUSE: Duration = Duration::from_millis(20);
/// A driver that served less than this waits before it is started again.
const SHORT: Duration = Duration::from_secs(1);

/// Signals by which others end a driver: `SIGKILL` and `SIGTERM`.
const KILLED: i32 = 9;
const ASKED: i32 = 15;

/// The program that drives a function, if there is one.
pub(crate) fn program(info: &Info) -> Option<&'static str> {
    /// Who makes virtio devices, and block devices by their old number and their new one (Virtio
    /// 1.2, 4.1.2).
    const VIRTIO: u16 = 0x1AF4;
    match (info.vendor, info.device, info.class) {
        (VIRTIO, 0x1001 | 0x1042, _) => Some("virtio-blkd"),
        // Mass storage: NVM Express, and AHCI (PCI Code and ID Assignment 1.16, 1.2).
        (_, _, 0x01_0802) => Some("nvmed"),
        (_, _, 0x01_0601) => Some("ahcid"),
        _ => None,
    }
}

/// Where a driver is in its life.
pub(crate) enum State {
    /// It will be started at that moment.
    Pausing(Instant),
    /// It was started, and has not said how many disks there are.
    Looking(Process),
    /// It has; it waits for a number, or was given one and is about to serve.
    Found(Process),
    /// It serves.
    Serving(Process, Instant),
    /// Nobody drives the device any more.
    Over,
}

/// A running driver.
pub(crate) struct Process {
    child: Child,
    /// Closed when this daemon ends, which ends the driver.
    to: ChildStdin,
    from: ChildStdout,
}

/// A controller and its driver.
pub(crate) struct Driver {
    /// The function's name.
    pub(crate) function: String,
    /// Which device it was that was put in.
    pub(crate) arrival: u32,
    program: &'static str,
    pub(crate) state: State,
    starts: u32,
    /// How often in a row the function was somebody else's.
    refusals: u32,
    /// The number of its first disk and how many there are, once known.
    pub(crate) numbers: Option<(usize, usize)>,
    /// How many it says there are.
    pub(crate) found: usize,
    /// Whether it was told its number.
    pub(crate) is_told: bool,
}

impl Driver {
    pub(crate) fn new(function: String, arrival: u32, program: &'static str) -> Self {
        let state = State::Pausing(Instant::now());
        let (starts, refusals) = (0, 0);
        let (numbers, found, is_told) = (None, 0, false);
        Self { function, arrival, program, state, starts, refusals, numbers, found, is_told }
    }

    /// What tells when the driver has something to say, or has ended.
    pub(crate) fn descriptor(&self) -> Option<usize> {
        match &self.state {
            State::Looking(process) | State::Found(process) | State::Serving(process, _) => {
                Some(process.from.as_raw_fd() as usize)
            }
            State::Pausing(_) | State::Over => None,
        }
    }

    /// Whether it may come to serve, but does not yet.
    pub(crate) fn is_coming(&self) -> bool {
        !matches!(self.state, State::Serving(..) | State::Over)
    }

    /// Whether it has said what it found, or never will.
    pub(crate) fn is_known(&self) -> bool {
        !matches!(self.state, State::Pausing(_) | State::Looking(_))
    }

    /// Starts it, if it is time. Returns whether it was started.
    pub(crate) fn start(&mut self, now: Instant) -> bool {
        let State::Pausing(until) = self.state else { return false };
        if now < until {
            return false;
        }
        self.starts += 1;
        self.is_told = false;
        match self.launch() {
            Ok(process) => {
                self.refusals = 0;
                self.state = State::Looking(process);
            }
            Err(Error { errno: EBUSY }) => self.refused(now),
            // It was taken out.
            Err(Error { errno: ENOENT }) => self.state = State::Over,
            Err(error) => {
                eprintln!("diskd: pci:{}: {error}", self.function);
                self.pause();
            }
        }
        matches!(self.state, State::Looking(_))
    }

    /// Somebody else has claimed the function: that is no failed start, unless it lasts.
    fn refused(&mut self, now: Instant) {
        self.starts -= 1;
        self.refusals += 1;
        self.state = match self.refusals {
            ..CLAIMS_MAX => State::Pausing(now + CLAIM_PAUSE),
            _ => State::Over,
        };
    }

    fn launch(&self) -> syscall::Result<Process> {
        let Self { function, program, .. } = self;
        // Without O_CLOEXEC: the driver gets it, and it is closed here at the end of this function.
        let claim = Fd::open(&format!("/scheme/pci/{function}/claim/{program}"), O_RDWR, 0)?;
        let mut command = Command::new(format!("/bin/{program}"));
        command.arg(function).arg(claim.raw().to_string());
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let failed =
            |error: std::io::Error| Error::new(error.raw_os_error().unwrap_or(syscall::error::EIO));
        let mut child = spawned.map_err(failed)?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::new(syscall::error::EIO));
        };
        // SAFETY: the descriptor is open, and the call touches no memory.
        if unsafe { libc::fcntl(from.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) } < 0 {
            return Err(Error::new(syscall::error::EIO));
        }
        Ok(Process { child, to, from })
    }

    fn pause(&mut self) {
        let pause = PAUSE * 2_u32.pow(self.starts.min(8));
        self.state = State::Pausing(Instant::now() + pause);
    }

    /// Hears what the driver says: how many disks there are, that it serves, or nothing, when it
    /// has ended. All of it: a word and the end may be told of by one event.
    pub(crate) fn hear(&mut self) {
        while self.hear_one() {}
    }

    /// Hears one byte, or the end. Returns whether there may be more.
    fn hear_one(&mut self) -> bool {
        let (State::Looking(process) | State::Found(process) | State::Serving(process, _)) =
            &mut self.state
        else {
            return false;
        };
        let mut word = [0];
        let heard = process.from.read(&mut word);
        if heard.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
            return false;
        }
        let has_word = matches!(heard, Ok(1..));
        self.state = match (std::mem::replace(&mut self.state, State::Over), has_word) {
            (State::Looking(process), true) => {
                self.found = usize::from(word[0]);
                State::Found(process)
            }
            (State::Found(process), true) => State::Serving(process, Instant::now()),
            // One that serves says nothing more.
            (State::Serving(process, since), _) => {
                self.ended(process, Some(since));
                return false;
            }
            (State::Looking(process) | State::Found(process), false) => {
                self.ended(process, None);
                return false;
            }
            (state @ (State::Pausing(_) | State::Over), _) => state,
        };
        true
    }

    /// Tells the driver which number its first disk has.
    pub(crate) fn tell(&mut self, first: usize) {
        if let State::Found(process) = &mut self.state {
            // One that has ended meanwhile is heard of.
            let _ended = writeln!(process.to, "{first}");
            self.is_told = true;
        }
    }

    /// It hangs: ends it, which is heard of like any other end.
    pub(crate) fn kill(&mut self) {
        if let State::Serving(process, _) = &mut self.state {
            eprintln!("diskd: {} of pci:{} does not answer", self.program, self.function);
            // One that has ended meanwhile is heard of.
            let _ended = process.child.kill();
        }
    }

    /// Its disks are nothing to serve: lets it end for good.
    pub(crate) fn dismiss(&mut self) {
        if let State::Found(process) = std::mem::replace(&mut self.state, State::Over) {
            let Process { mut child, to, from } = process;
            drop((to, from));
            let _ended = child.wait();
        }
    }

    fn ended(&mut self, mut process: Process, served: Option<Instant>) {
        // It has closed its output, so it is gone or about to be.
        let _gone = process.child.kill();
        let status = process.child.wait().ok();
        let how = status.map_or_else(|| "somehow".to_owned(), |status| status.to_string());
        if status.is_some_and(|status| status.code() == Some(GONE)) {
            self.state = State::Over;
            return;
        }
        eprintln!("diskd: {} of pci:{} ended: {how}", self.program, self.function);
        if let Some(since) = served {
            self.starts = u32::from(since.elapsed() < SHORT);
        } else if status.is_some_and(|status| matches!(status.signal(), Some(KILLED | ASKED))) {
            // Somebody else's doing, which says nothing about the device.
            self.starts = self.starts.saturating_sub(1);
        }
        if self.starts >= STARTS_MAX {
            eprintln!("diskd: pci:{} is given up", self.function);
            return;
        }
        match self.starts {
            0 => self.state = State::Pausing(Instant::now()),
            _ => self.pause(),
        }
    }
}
