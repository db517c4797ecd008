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

use super::{Opened, Position, Scheme, directory::Entry, text::parse_number};
use crate::error::*;
use crate::irq::{File, Kind, LINES_END, Route, WIRES};
use crate::kernel::{Caller, Kernel};
use crate::machine::{CpuId, Machine, Message};
use crate::memory::UserSlice;
use crate::task::{Reason, Wait};
use abi::redox::data::Stat;
use abi::redox::flag::{EventFlags, MODE_CHR, MODE_DIR, MODE_FILE};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The number of the directory, and of the rows of all lines.
const DIRECTORY: usize = usize::MAX;
const INFO: usize = usize::MAX - 1;
/// Most bytes of a route's text.
const ROUTE_MAX: usize = 16;

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

pub(super) struct Irq;

impl<M: Machine> Scheme<M> for Irq {
    fn name(&self) -> &'static str {
        "irq"
    }

    fn open(&self, k: &mut Kernel<M>, caller: Caller, path: &str, _: usize) -> Outcome<Opened> {
        match path {
            "" => return Opened::stream(DIRECTORY),
            "info" => return Opened::positioned(INFO),
            _ => {}
        }
        if k.processes[caller.process.0].ids.euid != 0 {
            return fail(EACCES);
        }
        let (name, wish) = path.split_once('?').unwrap_or((path, ""));
        if name == "msi" {
            let to = if wish.is_empty() { "cpu=0" } else { wish };
            let to = cpu(to, k.machine.cpu_count()).ok_or(Errno(ENOENT))?;
            return Opened::stream(k.open_message_line(to)?);
        }
        let (name, file) = name.split_once('/').unwrap_or((name, ""));
        let line = parse_number(name).filter(|line| *line < WIRES).ok_or(Errno(ENOENT))?;
        match (file, wish) {
            ("", "") => Opened::stream(k.open_line(line, false)?),
            ("", "shared") => Opened::stream(k.open_line(line, true)?),
            ("route", "") => Opened::positioned(k.lines.add(line, Kind::Route)),
            _ => fail(ENOENT),
        }
    }

    fn dup(&self, k: &mut Kernel<M>, _: Caller, number: usize, what: &[u8]) -> Outcome<Opened> {
        let line = match k.lines.file(number) {
            Some(File { line, kind: Kind::Line { .. } }) if what == b"message" => line,
            _ => return fail(EOPNOTSUPP),
        };
        if k.line_message(line).is_none() {
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
        k.acknowledge_line(number, seen as u64)?;
        Ok(8)
    }

    fn close(&self, k: &mut Kernel<M>, number: usize) {
        if number < INFO {
            k.close_line(number);
        }
    }

    fn ready(&self, k: &mut Kernel<M>, number: usize) -> EventFlags {
        let mut flags = EventFlags::EVENT_WRITE;
        let fired = match k.lines.file(number) {
            Some(File { line, kind: Kind::Line { acknowledged } }) => {
                k.lines.line(line).is_some_and(|line| line.count != acknowledged)
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
            DIRECTORY if from == WIRES => Ok(Some(Entry::file(from, "info"))),
            DIRECTORY => Ok((from < WIRES).then(|| Entry::file(from, from.to_string()))),
            _ => fail(ENOTDIR),
        }
    }
}

fn read_count<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    line: usize,
    acknowledged: u64,
    into: UserSlice,
    at: Position,
) -> Outcome {
    let line = k.lines.line(line).ok_or(Errno(EISDIR))?;
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

fn read_message<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    line: usize,
    into: UserSlice,
) -> Outcome {
    let Message { address, data } = k.line_message(line).ok_or(Errno(ENOENT))?;
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
    k.route_line(line, route);
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
        let (open, count) = (k.lines.line(line), k.stats.lines[line]);
        let used = match open {
            _ if k.is_own_line(line) => "kernel",
            Some(open) if open.is_shared => "shared",
            Some(_) => "alone",
            None if count > 0 => "-",
            None => continue,
        };
        let files = open.map_or(0, |open| open.opens);
        text += &format!("{line} {used} {} {files} {count}", k.lines.route(line));
        for cpu in &cpus {
            text += &format!(" {}", k.lines.count(line, *cpu));
        }
        text.push('\n');
    }
    text
}
