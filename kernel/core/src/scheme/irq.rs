//! `irq:N` — interrupt lines, for drivers.
//!
//! Reading parks until the line has fired since this file's last acknowledgement, and gives the
//! count as 8 bytes. Writing those 8 bytes acknowledges; when all who have the line open have done
//! so it may fire again. Only root may open one; the lines of console and keyboard are the kernel's
//! own. `irq:N` is for its opener alone, `irq:N?shared` for all who say so.
//!
//! `irq:N/route` — which CPU the line interrupts. `irq:info` — a row for each line.
//!
//! `irq:msi` — a new line for a device that interrupts by writing to memory. `dup` with the name
//! `message` gives a file that tells, in 24 bytes, to which address and what it has to write, and the
//! line's number. The line is free again when its last file is closed.

use super::debug::{CONSOLE, KEYBOARD, SECOND};
use super::{Opened, Position, Scheme, directory::Entry, place, text::parse_number};
use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::{CpuId, Machine, Message};
use crate::memory::UserSlice;
use crate::table::Table;
use crate::task::{QueueId, Reason, Wait};
use abi::redox::data::Stat;
use abi::redox::flag::{EventFlags, MODE_CHR, MODE_DIR, MODE_FILE};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The number of the directory, and of the rows of all lines.
const DIRECTORY: usize = usize::MAX;
const INFO: usize = usize::MAX - 1;
/// Lines that can be opened.
const LINES: usize = 24;
/// One past the last line there can be.
const LINES_END: usize = 256;
/// Most bytes of a route's text.
const ROUTE_MAX: usize = 16;

/// Which CPU a line interrupts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Route {
    /// This one.
    Cpu(CpuId),
    /// One after the other.
    RoundRobin,
    /// Whichever has the least to do.
    Lowest,
    /// All of them.
    All,
}

impl Default for Route {
    fn default() -> Self {
        Self::Cpu(CpuId(0))
    }
}

impl Route {
    fn parse(text: &str, cpus: u32) -> Option<Self> {
        match text {
            "rr" => Some(Self::RoundRobin),
            "lowest" => Some(Self::Lowest),
            "all" => Some(Self::All),
            _ => cpu(text, cpus).map(Self::Cpu),
        }
    }
}

impl core::fmt::Display for Route {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Cpu(cpu) => write!(f, "cpu={}", cpu.0),
            Self::RoundRobin => f.write_str("rr"),
            Self::Lowest => f.write_str("lowest"),
            Self::All => f.write_str("all"),
        }
    }
}

/// `cpu=N`, when there is such a CPU.
fn cpu(text: &str, cpus: u32) -> Option<CpuId> {
    let number: u32 = parse_number(text.strip_prefix("cpu=")?)?;
    (number < cpus).then_some(CpuId(number))
}

/// A line that somebody has open.
struct Line {
    count: u64,
    opens: usize,
    is_shared: bool,
    fired: QueueId,
}

/// What an open file is.
#[derive(Clone, Copy)]
enum Kind {
    /// The line; the count that was acknowledged last.
    Line { acknowledged: u64 },
    /// What a device has to write where.
    Message,
    /// Which CPU it interrupts.
    Route,
}

#[derive(Clone, Copy)]
struct File {
    line: usize,
    kind: Kind,
}

/// Lines that drivers have open, and what is known of all.
#[derive(Default)]
pub struct Lines {
    open: BTreeMap<usize, Line>,
    files: Table<File>,
    /// Where lines lead that do not lead to the first CPU.
    routes: BTreeMap<usize, Route>,
    /// How often a line has interrupted a CPU.
    counts: BTreeMap<(usize, CpuId), u64>,
    /// The CPU whose turn it was last.
    last: u32,
}

impl Lines {
    fn file(&self, number: usize) -> Option<File> {
        self.files.get(number).copied()
    }

    fn route(&self, line: usize) -> Route {
        self.routes.get(&line).copied().unwrap_or_default()
    }

    /// Whether everybody who has the line open has acknowledged all of it.
    fn is_quiet(&self, line: usize) -> bool {
        let count = self.open.get(&line).map_or(0, |line| line.count);
        self.files.iter().all(|(_, file)| match file.kind {
            Kind::Line { acknowledged } => file.line != line || acknowledged == count,
            _ => true,
        })
    }

    /// Counts one more file of a line.
    fn add(&mut self, line: usize, kind: Kind) -> usize {
        if let Some(open) = self.open.get_mut(&line) {
            open.opens += 1;
        }
        self.files.insert(File { line, kind })
    }
}

pub(super) struct Irq;

impl<M: Machine> Scheme<M> for Irq {
    fn name(&self) -> &'static str {
        "irq"
    }

    fn open(&self, k: &mut Kernel<M>, caller: Caller, path: &str, _: usize) -> Outcome<Opened> {
        match path {
            "" => return Opened::stream(DIRECTORY),
            "info" => return Ok(Opened { number: INFO, is_positioned: true }),
            _ => {}
        }
        if k.processes[caller.process.0].ids.euid != 0 {
            return fail(EACCES);
        }
        let (name, wish) = path.split_once('?').unwrap_or((path, ""));
        if name == "msi" {
            let to = if wish.is_empty() { "cpu=0" } else { wish };
            let to = cpu(to, k.machine.cpu_count()).ok_or(Errno(ENOENT))?;
            let line = free_message(k)?;
            k.lines.routes.insert(line, Route::Cpu(to));
            return open_line(k, line, false);
        }
        let (name, file) = name.split_once('/').unwrap_or((name, ""));
        let line = parse_number(name).filter(|line| *line < LINES).ok_or(Errno(ENOENT))?;
        match (file, wish) {
            ("", "") => open_line(k, line, false),
            ("", "shared") => open_line(k, line, true),
            ("route", "") => {
                let number = k.lines.files.insert(File { line, kind: Kind::Route });
                Ok(Opened { number, is_positioned: true })
            }
            _ => fail(ENOENT),
        }
    }

    fn dup(&self, k: &mut Kernel<M>, _: Caller, number: usize, what: &[u8]) -> Outcome<Opened> {
        let line = match k.lines.file(number) {
            Some(File { line, kind: Kind::Line { .. } }) if what == b"message" => line,
            _ => return fail(EOPNOTSUPP),
        };
        if message(k, line).is_none() {
            return fail(EOPNOTSUPP);
        }
        Opened::stream(k.lines.add(line, Kind::Message))
    }

    fn read(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        into: UserSlice,
        at: Position,
    ) -> Outcome {
        let text = match k.lines.file(number) {
            None if number == INFO => info(k),
            None => return fail(EISDIR),
            Some(File { line, kind: Kind::Route }) => format!("{}\n", k.lines.route(line)),
            Some(File { line, kind: Kind::Message }) => return read_message(k, caller, line, into),
            Some(File { line, kind: Kind::Line { acknowledged } }) => {
                return read_count(k, caller, line, acknowledged, into, at);
            }
        };
        let rest = text.as_bytes().get(at.offset as usize..).unwrap_or_default();
        let rest = &rest[..rest.len().min(into.length)];
        k.copy_out(caller.space, into, rest)?;
        Ok(rest.len())
    }

    fn write(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        from: UserSlice,
        _: Position,
    ) -> Outcome {
        let nothing = if number == INFO { EBADF } else { EISDIR };
        let File { line, kind } = k.lines.file(number).ok_or(Errno(nothing))?;
        match kind {
            Kind::Message => return fail(EBADF),
            Kind::Route => return write_route(k, caller, line, from),
            Kind::Line { .. } => {}
        }
        if from.length < 8 {
            return fail(EINVAL);
        }
        let [seen] = k.copy_in_words(caller.space, from.address)?;
        let count = k.lines.open.get(&line).map_or(0, |line| line.count);
        if seen as u64 != count {
            return fail(EINVAL);
        }
        if let Some(file) = k.lines.files.get_mut(number) {
            file.kind = Kind::Line { acknowledged: count };
        }
        if k.lines.is_quiet(line) {
            k.choose_cpu(line, false);
            k.machine.unmask_line(line as u8);
        }
        Ok(8)
    }

    fn close(&self, k: &mut Kernel<M>, number: usize) {
        if number >= INFO {
            return;
        }
        let File { line, kind } = k.lines.files.remove(number);
        if matches!(kind, Kind::Route) {
            return;
        }
        let Some(open) = k.lines.open.get_mut(&line) else { return };
        open.opens -= 1;
        if open.opens > 0 {
            // The others may have waited for its acknowledgement alone.
            if k.lines.is_quiet(line) {
                k.machine.unmask_line(line as u8);
            }
            return;
        }
        let queue = open.fired;
        k.lines.open.remove(&line);
        if line >= LINES {
            k.lines.routes.remove(&line);
        }
        k.end_queue(queue);
    }

    fn ready(&self, k: &mut Kernel<M>, number: usize) -> EventFlags {
        let mut flags = EventFlags::EVENT_WRITE;
        let fired = match k.lines.file(number) {
            Some(File { line, kind: Kind::Line { acknowledged } }) => {
                k.lines.open.get(&line).is_some_and(|line| line.count != acknowledged)
            }
            _ => false,
        };
        flags.set(EventFlags::EVENT_READ, fired);
        flags
    }

    fn path(&self, k: &mut Kernel<M>, number: usize) -> String {
        match k.lines.file(number) {
            Some(File { line, kind: Kind::Message }) => format!("{line}/message"),
            Some(File { line, kind: Kind::Route }) => format!("{line}/route"),
            Some(File { line, .. }) => format!("{line}"),
            None if number == INFO => "info".to_string(),
            None => String::new(),
        }
    }

    fn stat(&self, _: &mut Kernel<M>, number: usize) -> Outcome<Stat> {
        let mode = match number {
            DIRECTORY => MODE_DIR | 0o555,
            INFO => MODE_FILE | 0o444,
            _ => MODE_CHR | 0o600,
        };
        Ok(Stat { st_mode: mode, ..Stat::default() })
    }

    fn entry(
        &self,
        _: &mut Kernel<M>,
        _: Caller,
        number: usize,
        from: usize,
    ) -> Outcome<Option<Entry>> {
        match number {
            DIRECTORY if from == LINES => Ok(Some(Entry::file(from, "info"))),
            DIRECTORY => Ok((from < LINES).then(|| Entry::file(from, from.to_string()))),
            _ => fail(ENOTDIR),
        }
    }
}

/// Whether a line is the kernel's: the consoles' and the keyboard's.
fn is_own<M: Machine>(k: &Kernel<M>, line: usize) -> bool {
    let machine = &k.machine;
    let own = [Some(machine.console_line()), machine.second_line(), machine.keyboard_line()];
    own.into_iter().flatten().any(|own| usize::from(own) == line)
}

/// Opens a line: for its opener alone, or with all who share it.
fn open_line<M: Machine>(k: &mut Kernel<M>, line: usize, is_shared: bool) -> Outcome<Opened> {
    if is_own(k, line) {
        return fail(EBUSY);
    }
    let acknowledged = match k.lines.open.get(&line) {
        Some(open) if !(open.is_shared && is_shared) => return fail(EBUSY),
        Some(open) => open.count,
        None => {
            let fired = k.waits.create();
            k.lines.open.insert(line, Line { count: 0, opens: 0, is_shared, fired });
            k.machine.unmask_line(line as u8);
            0
        }
    };
    Opened::stream(k.lines.add(line, Kind::Line { acknowledged }))
}

fn read_count<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    line: usize,
    acknowledged: u64,
    into: UserSlice,
    at: Position,
) -> Outcome {
    let line = k.lines.open.get(&line).ok_or(Errno(EISDIR))?;
    if into.length < 8 {
        return fail(EINVAL);
    }
    if line.count == acknowledged {
        return match at.is_nonblocking {
            true => fail(EAGAIN),
            false => Err(Stop::Park(Wait::on(Reason::Readable, line.fired))),
        };
    }
    let count = line.count;
    k.copy_out(caller.space, into, &count.to_ne_bytes())?;
    Ok(8)
}

/// What a device has to write where to make a line fire.
fn message<M: Machine>(k: &Kernel<M>, line: usize) -> Option<Message> {
    let to = match k.lines.route(line) {
        Route::Cpu(cpu) => cpu,
        _ => CpuId(0),
    };
    k.machine.message(u8::try_from(line).ok()?, to)
}

/// The first line that devices can write to and nobody has open.
fn free_message<M: Machine>(k: &Kernel<M>) -> Outcome<usize> {
    let mut lines = LINES..LINES_END;
    let is_free = |line: &usize| !k.lines.open.contains_key(line) && message(k, *line).is_some();
    lines.find(is_free).ok_or(Errno(EBUSY).into())
}

fn read_message<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    line: usize,
    into: UserSlice,
) -> Outcome {
    let Message { address, data } = message(k, line).ok_or(Errno(ENOENT))?;
    if into.length < 16 {
        return fail(EINVAL);
    }
    let words = [address, u64::from(data), line as u64].map(u64::to_ne_bytes).concat();
    // Who has no room for the line's number does without.
    let words = if into.length < words.len() { &words[..16] } else { &words[..] };
    k.copy_out(caller.space, into, words)?;
    Ok(words.len())
}

fn write_route<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    line: usize,
    from: UserSlice,
) -> Outcome {
    let mut bytes = [0; ROUTE_MAX];
    let bytes = bytes.get_mut(..from.length).ok_or(Errno(EINVAL))?;
    k.copy_in(caller.space, from, bytes)?;
    let text = core::str::from_utf8(bytes).map_err(|_| Errno(EINVAL))?.trim();
    let route = Route::parse(text, k.machine.cpu_count()).ok_or(Errno(EINVAL))?;
    k.lines.routes.insert(line, route);
    k.choose_cpu(line, true);
    Ok(from.length)
}

/// A row for each line that is open or has fired: line, who may open it beside its opener, route,
/// files, count, and the count of each CPU.
fn info<M: Machine>(k: &Kernel<M>) -> String {
    let mut text = String::from("LINE USE ROUTE FILES COUNT");
    let cpus: Vec<CpuId> = (0..k.machine.cpu_count()).map(CpuId).collect();
    cpus.iter().for_each(|cpu| text += &format!(" CPU{}", cpu.0));
    text.push('\n');
    for line in 0..LINES_END {
        let (open, count) = (k.lines.open.get(&line), k.stats.lines[line]);
        let used = match open {
            _ if is_own(k, line) => "kernel",
            Some(open) if open.is_shared => "shared",
            Some(_) => "alone",
            None if count > 0 => "-",
            None => continue,
        };
        let files = open.map_or(0, |open| open.opens);
        text += &format!("{line} {used} {} {files} {count}", k.lines.route(line));
        for cpu in &cpus {
            text += &format!(" {}", k.lines.counts.get(&(line, *cpu)).unwrap_or(&0));
        }
        text.push('\n');
    }
    text
}

impl<M: Machine> Kernel<M> {
    /// Leads a line to the CPU that its route asks for. `is_new` when the route was just set;
    /// otherwise only routes that wander do anything.
    fn choose_cpu(&mut self, line: usize, is_new: bool) {
        let count = self.machine.cpu_count();
        let to = match self.lines.route(line) {
            Route::Cpu(_) | Route::All if !is_new => return,
            Route::Cpu(cpu) => Some(cpu),
            Route::All => None,
            Route::RoundRobin => {
                self.lines.last = (self.lines.last + 1) % count;
                Some(CpuId(self.lines.last))
            }
            Route::Lowest => {
                let load = |cpu: &CpuId| {
                    let cpu = &self.cpus[*cpu];
                    (!cpu.is_idle, cpu.stats.interrupts)
                };
                (0..count).map(CpuId).min_by_key(load)
            }
        };
        self.machine.route_line(line as u8, to);
    }

    /// A line fired; it stays masked until all who have it acknowledge.
    pub(crate) fn line_fired(&mut self, cpu: CpuId, line: u8) {
        let number = usize::from(line);
        self.stats.lines[number] += 1;
        *self.lines.counts.entry((number, cpu)).or_default() += 1;
        self.cpus[cpu].stats.interrupts += 1;
        if line == self.machine.console_line() {
            self.console_fired(CONSOLE);
            self.machine.unmask_line(line);
            return;
        }
        if Some(line) == self.machine.second_line() {
            self.console_fired(SECOND);
            self.machine.unmask_line(line);
            return;
        }
        if Some(line) == self.machine.keyboard_line() {
            self.console_fired(KEYBOARD);
            self.machine.unmask_line(line);
            return;
        }
        let Some(open) = self.lines.open.get_mut(&number) else { return };
        open.count += 1;
        let queue = open.fired;
        self.wake_all(queue);
        for at in 0..self.lines.files.limit() {
            let file = self.lines.file(at).filter(|file| file.line == number);
            if file.is_some_and(|file| matches!(file.kind, Kind::Line { .. })) {
                self.raise((place::IRQ, at), EventFlags::EVENT_READ);
            }
        }
    }
}
