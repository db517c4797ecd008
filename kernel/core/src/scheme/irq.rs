//! `irq:N` — interrupt lines, for drivers.
//!
//! Reading parks until the line has fired since the last acknowledgement, and gives the count as
//! 8 bytes. Writing those 8 bytes acknowledges, and lets the line fire again. Only root may open
//! one; the console's line is the kernel's own.

use super::debug::{CONSOLE, SECOND};
use super::{Opened, Position, Scheme, directory::Entry, place, text::parse_number};
use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::{CpuId, Machine};
use crate::memory::UserSlice;
use crate::task::{QueueId, Reason, Wait};
use abi::redox::data::Stat;
use abi::redox::flag::{EventFlags, MODE_CHR, MODE_DIR};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};

/// The number of the directory.
const DIRECTORY: usize = usize::MAX;
/// Lines that can be opened.
const LINES: usize = 24;

struct Line {
    count: u64,
    acknowledged: u64,
    opens: usize,
    fired: QueueId,
}

/// Lines that drivers have open.
#[derive(Default)]
pub struct Lines {
    open: BTreeMap<usize, Line>,
}

pub(super) struct Irq;

impl<M: Machine> Scheme<M> for Irq {
    fn name(&self) -> &'static str {
        "irq"
    }

    fn open(&self, k: &mut Kernel<M>, caller: Caller, path: &str, _: usize) -> Outcome<Opened> {
        if path.is_empty() {
            return Opened::stream(DIRECTORY);
        }
        if k.processes[caller.process.0].ids.euid != 0 {
            return fail(EACCES);
        }
        let number = parse_number(path).filter(|line| *line < LINES).ok_or(Errno(ENOENT))?;
        let own = [Some(k.machine.console_line()), k.machine.second_line()];
        if own.into_iter().flatten().any(|line| usize::from(line) == number) {
            return fail(EBUSY);
        }
        if !k.lines.open.contains_key(&number) {
            let fired = k.waits.create();
            let line = Line { count: 0, acknowledged: 0, opens: 0, fired };
            k.lines.open.insert(number, line);
            k.machine.unmask_line(number as u8);
        }
        if let Some(line) = k.lines.open.get_mut(&number) {
            line.opens += 1;
        }
        Opened::stream(number)
    }

    fn read(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        into: UserSlice,
        at: Position,
    ) -> Outcome {
        let line = k.lines.open.get(&number).ok_or(Errno(EISDIR))?;
        if into.length < 8 {
            return fail(EINVAL);
        }
        if line.count == line.acknowledged {
            return match at.is_nonblocking {
                true => fail(EAGAIN),
                false => Err(Stop::Park(Wait::on(Reason::Readable, line.fired))),
            };
        }
        let count = line.count;
        k.copy_out(caller.space, into, &count.to_ne_bytes())?;
        Ok(8)
    }

    fn write(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        from: UserSlice,
        _: Position,
    ) -> Outcome {
        if from.length < 8 {
            return fail(EINVAL);
        }
        let [seen] = k.copy_in_words(caller.space, from.address)?;
        let line = k.lines.open.get_mut(&number).ok_or(Errno(EISDIR))?;
        if seen as u64 != line.count {
            return fail(EINVAL);
        }
        line.acknowledged = line.count;
        k.machine.unmask_line(number as u8);
        Ok(8)
    }

    fn close(&self, k: &mut Kernel<M>, number: usize) {
        let Some(line) = k.lines.open.get_mut(&number) else { return };
        line.opens -= 1;
        if line.opens == 0 {
            let queue = line.fired;
            k.lines.open.remove(&number);
            k.end_queue(queue);
        }
    }

    fn ready(&self, k: &mut Kernel<M>, number: usize) -> EventFlags {
        let mut flags = EventFlags::EVENT_WRITE;
        let fired = k.lines.open.get(&number).is_some_and(|l| l.count != l.acknowledged);
        flags.set(EventFlags::EVENT_READ, fired);
        flags
    }

    fn path(&self, _: &mut Kernel<M>, number: usize) -> String {
        if number == DIRECTORY { String::new() } else { format!("{number}") }
    }

    fn stat(&self, _: &mut Kernel<M>, number: usize) -> Outcome<Stat> {
        let mode = if number == DIRECTORY { MODE_DIR | 0o555 } else { MODE_CHR | 0o600 };
        Ok(Stat { st_mode: mode, ..Stat::default() })
    }

    fn entry(&self, _: &mut Kernel<M>, number: usize, from: usize) -> Outcome<Option<Entry>> {
        match number {
            DIRECTORY => Ok((from < LINES).then(|| Entry::file(from, from.to_string()))),
            _ => fail(ENOTDIR),
        }
    }
}

impl<M: Machine> Kernel<M> {
    /// A line fired; it stays masked until whoever has it acknowledges.
    pub(crate) fn line_fired(&mut self, cpu: CpuId, line: u8) {
        self.stats.lines[line as usize] += 1;
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
        let Some(open) = self.lines.open.get_mut(&(line as usize)) else { return };
        open.count += 1;
        let queue = open.fired;
        self.wake_all(queue);
        self.raise((place::IRQ, line as usize), EventFlags::EVENT_READ);
    }
}
