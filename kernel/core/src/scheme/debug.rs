//! `debug:` — the console's raw bytes: what is typed, what is shown. `debug:1` is the second serial
//! port, which is for debuggers.
//!
//! No echo, no lines: that is the `console:` daemon's work. Bytes typed while nobody reads are
//! kept up to a limit. Only root may open it.

use super::{Opened, Position, Scheme, place};
use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::UserSlice;
use crate::task::{QueueId, Reason, Wait};
use abi::redox::data::Stat;
use abi::redox::flag::{EventFlags, MODE_CHR};
use alloc::collections::VecDeque;

/// Most typed bytes kept.
const KEEP: usize = 4096;
/// Bytes moved at a time.
const CHUNK: usize = 256;

/// What has been typed, and who waits for it.
pub struct Console {
    typed: VecDeque<u8>,
    /// Readers wait here.
    pub readable: QueueId,
    /// Writers wait here for room in the machine's queue.
    pub writable: Option<QueueId>,
}

impl Console {
    /// Nothing typed yet.
    pub fn new(readable: QueueId) -> Self {
        Self { typed: VecDeque::new(), readable, writable: None }
    }
}

/// The file of the console.
pub(crate) const CONSOLE: usize = 0;
/// The file of the second port.
pub(crate) const SECOND: usize = 1;
/// The keyboard, which has a scheme of its own.
pub(crate) const KEYBOARD: usize = 2;

pub(super) struct Debug;

impl<M: Machine> Scheme<M> for Debug {
    fn name(&self) -> &'static str {
        "debug"
    }

    fn open(&self, k: &mut Kernel<M>, caller: Caller, path: &str, _: usize) -> Outcome<Opened> {
        if k.processes[caller.process.0].ids.euid != 0 {
            return fail(EACCES);
        }
        match path {
            "" => Opened::stream(CONSOLE),
            "1" if k.machine.second_line().is_some() => Opened::stream(SECOND),
            "1" => fail(ENODEV),
            _ => fail(ENOENT),
        }
    }

    fn read(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        into: UserSlice,
        at: Position,
    ) -> Outcome {
        k.read_port(caller, number, into, at)
    }

    fn write(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        from: UserSlice,
        at: Position,
    ) -> Outcome {
        let mut done = 0;
        while done < from.length {
            let mut bytes = [0; CHUNK];
            let part = from.part(done, CHUNK);
            k.copy_in(caller.space, part, &mut bytes[..part.length])?;
            let taken = match number {
                SECOND => k.machine.second_write(&bytes[..part.length]),
                _ => k.write_console(Some(caller.process), &bytes[..part.length]),
            };
            done += taken;
            if taken < part.length {
                break;
            }
        }
        match done {
            0 if from.length == 0 => Ok(0),
            0 if at.is_nonblocking => fail(EAGAIN),
            0 => Err(Stop::Park(Wait::on(Reason::Writable, k.console_room(number)))),
            done => Ok(done),
        }
    }

    fn stat(&self, _: &mut Kernel<M>, _: usize) -> Outcome<Stat> {
        Ok(Stat { st_mode: MODE_CHR | 0o600, ..Stat::default() })
    }

    fn ready(&self, k: &mut Kernel<M>, number: usize) -> EventFlags {
        k.port_readiness(number) | EventFlags::EVENT_WRITE
    }
}

impl<M: Machine> Kernel<M> {
    fn port(&mut self, number: usize) -> &mut Console {
        match number {
            SECOND => &mut self.second,
            KEYBOARD => &mut self.keyboard,
            _ => &mut self.console,
        }
    }

    /// Takes what has come from a port.
    pub(super) fn read_port(
        &mut self,
        caller: Caller,
        number: usize,
        into: UserSlice,
        at: Position,
    ) -> Outcome {
        let port = self.port(number);
        if port.typed.is_empty() {
            return match at.is_nonblocking {
                true => fail(EAGAIN),
                false => Err(Stop::Park(Wait::on(Reason::Readable, port.readable))),
            };
        }
        let mut bytes = [0; CHUNK];
        let count = port.typed.len().min(into.length).min(CHUNK);
        for (byte, typed) in bytes.iter_mut().zip(&port.typed) {
            *byte = *typed;
        }
        self.copy_out(caller.space, into, &bytes[..count])?;
        self.port(number).typed.drain(..count);
        Ok(count)
    }

    /// Whether something has come from a port.
    pub(super) fn port_readiness(&mut self, number: usize) -> EventFlags {
        let mut flags = EventFlags::empty();
        flags.set(EventFlags::EVENT_READ, !self.port(number).typed.is_empty());
        flags
    }

    fn console_room(&mut self, number: usize) -> QueueId {
        match self.port(number).writable {
            Some(queue) => queue,
            None => {
                let queue = self.waits.create();
                self.port(number).writable = Some(queue);
                queue
            }
        }
    }

    /// A port's line fired: bytes came, or there is room again.
    pub(crate) fn console_fired(&mut self, number: usize) {
        let mut bytes = [0; CHUNK];
        let mut any = false;
        loop {
            let count = match number {
                SECOND => self.machine.second_read(&mut bytes),
                KEYBOARD => self.machine.keyboard_read(&mut bytes),
                _ => self.machine.console_read(&mut bytes),
            };
            if count == 0 {
                break;
            }
            any = true;
            let typed = &mut self.port(number).typed;
            let room = KEEP.saturating_sub(typed.len());
            typed.extend(&bytes[..count.min(room)]);
        }
        if any {
            let readable = self.port(number).readable;
            self.wake_all(readable);
            let file = match number {
                KEYBOARD => (place::SERIO, KEYBOARD),
                port => (place::DEBUG, port),
            };
            self.raise(file, EventFlags::EVENT_READ);
        }
        if let Some(queue) = self.port(number).writable {
            self.wake_all(queue);
        }
    }
}
