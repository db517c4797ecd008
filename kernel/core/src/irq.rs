//! Interrupt lines: who has which one open, how often it fired, who has acknowledged it, and which
//! CPU it interrupts.
//!
//! A line that fired stays masked until everybody who has it open has acknowledged all of it. The
//! lines of the consoles and the keyboard are the kernel's own. Knows no paths and no bytes of
//! programs: `irq:` (`scheme/irq.rs`) is its face.

use crate::error::*;
use crate::kernel::Kernel;
use crate::machine::{CpuId, Machine, Message};
use crate::scheme::{CONSOLE, KEYBOARD, SECOND, place};
use crate::table::Table;
use crate::task::QueueId;
use abi::redox::flag::EventFlags;
use alloc::collections::BTreeMap;

/// Lines that are wires, and can be opened by their number.
pub const WIRES: usize = 24;
/// One past the last line there can be.
pub const LINES_END: usize = 256;

/// Which CPU a line interrupts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Route {
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

/// A line that somebody has open.
pub struct Line {
    /// How often it has fired since it was opened.
    pub count: u64,
    /// How many files it has.
    pub opens: usize,
    /// Whether others may open it too.
    pub is_shared: bool,
    /// Where those wait who read it.
    pub fired: QueueId,
}

/// What an open file is.
#[derive(Clone, Copy)]
pub enum Kind {
    /// The line.
    Line {
        /// The count that was acknowledged last.
        acknowledged: u64,
    },
    /// What a device has to write where.
    Message,
    /// Which CPU it interrupts.
    Route,
}

/// An open file of a line.
#[derive(Clone, Copy)]
pub struct File {
    /// Which line.
    pub line: usize,
    /// What of it.
    pub kind: Kind,
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
    /// The open file with this number.
    pub fn file(&self, number: usize) -> Option<File> {
        self.files.get(number).copied()
    }

    /// A line that somebody has open.
    pub fn line(&self, line: usize) -> Option<&Line> {
        self.open.get(&line)
    }

    /// Where a line leads.
    pub fn route(&self, line: usize) -> Route {
        self.routes.get(&line).copied().unwrap_or_default()
    }

    /// How often a line has interrupted a CPU.
    pub fn count(&self, line: usize, cpu: CpuId) -> u64 {
        self.counts.get(&(line, cpu)).copied().unwrap_or(0)
    }

    /// Opens one more file of a line. Returns its number.
    pub fn add(&mut self, line: usize, kind: Kind) -> usize {
        if let Some(open) = self.open.get_mut(&line)
            && !matches!(kind, Kind::Route)
        {
            open.opens += 1;
        }
        self.files.insert(File { line, kind })
    }

    /// Whether everybody who has the line open has acknowledged all of it.
    fn is_quiet(&self, line: usize) -> bool {
        let count = self.open.get(&line).map_or(0, |line| line.count);
        self.files.iter().all(|(_, file)| match file.kind {
            Kind::Line { acknowledged } => file.line != line || acknowledged == count,
            _ => true,
        })
    }
}

impl<M: Machine> Kernel<M> {
    /// Whether a line is the kernel's: the consoles' and the keyboard's.
    pub(crate) fn is_own_line(&self, line: usize) -> bool {
        u8::try_from(line).is_ok_and(|line| self.port_of(line).is_some())
    }

    /// Opens a line: for its opener alone, or with all who share it. Returns the file's number.
    /// `EBUSY` when it is somebody else's.
    pub(crate) fn open_line(&mut self, line: usize, is_shared: bool) -> Outcome {
        if self.is_own_line(line) {
            return fail(EBUSY);
        }
        let acknowledged = match self.lines.open.get(&line) {
            Some(open) if !(open.is_shared && is_shared) => return fail(EBUSY),
            Some(open) => open.count,
            None => {
                let fired = self.waits.create();
                self.lines.open.insert(line, Line { count: 0, opens: 0, is_shared, fired });
                self.machine.unmask_line(line as u8);
                0
            }
        };
        Ok(self.lines.add(line, Kind::Line { acknowledged }))
    }

    /// Opens a line that devices fire by writing to memory, and leads it to a CPU. `EBUSY` when all
    /// are taken.
    pub(crate) fn open_message_line(&mut self, to: CpuId) -> Outcome {
        let mut lines = WIRES..LINES_END;
        let is_free = |line: &usize| {
            !self.lines.open.contains_key(line) && self.line_message(*line).is_some()
        };
        let line = lines.find(is_free).ok_or(Errno(EBUSY))?;
        self.lines.routes.insert(line, Route::Cpu(to));
        self.open_line(line, false)
    }

    /// What a device has to write where to make a line fire.
    pub(crate) fn line_message(&self, line: usize) -> Option<Message> {
        let to = match self.lines.route(line) {
            Route::Cpu(cpu) => cpu,
            _ => CpuId(0),
        };
        self.machine.message(u8::try_from(line).ok()?, to)
    }

    /// A file's reader has seen its line fire `seen` times. `EINVAL` when that is not the count:
    /// it has fired again, or never so often.
    pub(crate) fn acknowledge_line(&mut self, number: usize, seen: u64) -> Outcome<()> {
        let File { line, .. } = self.lines.file(number).ok_or(Errno(EBADF))?;
        let count = self.lines.open.get(&line).map_or(0, |line| line.count);
        if seen != count {
            return fail(EINVAL);
        }
        if let Some(file) = self.lines.files.get_mut(number) {
            file.kind = Kind::Line { acknowledged: count };
        }
        if self.lines.is_quiet(line) {
            self.choose_cpu(line, false);
            self.machine.unmask_line(line as u8);
        }
        Ok(())
    }

    /// A file is closed; its line is free again with the last one.
    pub(crate) fn close_line(&mut self, number: usize) {
        let File { line, kind } = self.lines.files.remove(number);
        if matches!(kind, Kind::Route) {
            return;
        }
        let Some(open) = self.lines.open.get_mut(&line) else { return };
        open.opens -= 1;
        if open.opens > 0 {
            // The others may have waited for its acknowledgement alone.
            if self.lines.is_quiet(line) {
                self.machine.unmask_line(line as u8);
            }
            return;
        }
        let queue = open.fired;
        self.lines.open.remove(&line);
        if line >= WIRES {
            self.lines.routes.remove(&line);
        }
        self.end_queue(queue);
    }

    /// Leads a line elsewhere from now on.
    pub(crate) fn route_line(&mut self, line: usize, route: Route) {
        self.lines.routes.insert(line, route);
        self.choose_cpu(line, true);
    }

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
        if let Some(port) = self.port_of(line) {
            self.console_fired(port);
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

    /// Which of the kernel's own ports a line belongs to.
    fn port_of(&self, line: u8) -> Option<usize> {
        let machine = &self.machine;
        let ports = [
            (Some(machine.console_line()), CONSOLE),
            (machine.second_line(), SECOND),
            (machine.keyboard_line(), KEYBOARD),
        ];
        ports.into_iter().find(|(own, _)| *own == Some(line)).map(|(_, port)| port)
    }
}
