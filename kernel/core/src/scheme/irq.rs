//! `irq:N` — interrupt lines, for drivers.
//!
//! Reading parks until the line has fired since the last acknowledgement, and gives the count as
//! 8 bytes. Writing those 8 bytes acknowledges, and lets the line fire again. Only root may open
//! one; the lines of console and keyboard are the kernel's own.
//!
//! `irq:msi` — a new line for a device that interrupts by writing to memory. `dup` with the name
//! `message` gives a file that tells, in 16 bytes, to which address and what it has to write. The
//! line is free again when its last file is closed.

use super::debug::{CONSOLE, KEYBOARD, SECOND};
use super::{Opened, Position, Scheme, directory::Entry, place, text::parse_number};
use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::{CpuId, Machine, Message};
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
/// Where the numbers of files begin that tell a line's message.
const MESSAGES: usize = 256;

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
        let number = match path {
            "msi" => free_message(k)?,
            _ => parse_number(path).filter(|line| *line < LINES).ok_or(Errno(ENOENT))?,
        };
        let machine = &k.machine;
        let own = [Some(machine.console_line()), machine.second_line(), machine.keyboard_line()];
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

    fn dup(&self, k: &mut Kernel<M>, _: Caller, number: usize, what: &[u8]) -> Outcome<Opened> {
        let is_message = (0..MESSAGES).contains(&number) && message(k, number).is_some();
        if what != b"message" || !is_message {
            return fail(EOPNOTSUPP);
        }
        if let Some(line) = k.lines.open.get_mut(&number) {
            line.opens += 1;
        }
        Opened::stream(MESSAGES + number)
    }

    fn read(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        into: UserSlice,
        at: Position,
    ) -> Outcome {
        if let Some(line) = message_of(number) {
            return read_message(k, caller, line, into);
        }
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
        if message_of(number).is_some() {
            return fail(EBADF);
        }
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
        let number = message_of(number).unwrap_or(number);
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
        match message_of(number) {
            Some(line) => format!("{line}/message"),
            None if number == DIRECTORY => String::new(),
            None => format!("{number}"),
        }
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

/// The line whose message an open file tells.
fn message_of(number: usize) -> Option<usize> {
    number.checked_sub(MESSAGES).filter(|_| number != DIRECTORY)
}

/// What a device has to write where to make a line fire.
fn message<M: Machine>(k: &Kernel<M>, line: usize) -> Option<Message> {
    k.machine.message(u8::try_from(line).ok()?)
}

/// The first line that devices can write to and nobody has open.
fn free_message<M: Machine>(k: &Kernel<M>) -> Outcome<usize> {
    let mut lines = LINES..MESSAGES;
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
    k.copy_out(caller.space, into, &[address, u64::from(data)].map(u64::to_ne_bytes).concat())?;
    Ok(16)
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
        if Some(line) == self.machine.keyboard_line() {
            self.console_fired(KEYBOARD);
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
