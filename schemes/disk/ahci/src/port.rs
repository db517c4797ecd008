//! A port with a disk as a [`Device`].
//!
//! The port has a list of commands; the controller hands them to the disk one after the other, in
//! any order. When one fails the controller stops. The one that failed is told, and the others are
//! handed over again.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use diskd::device::{Broken, Command, Device, Done, Facts};
use diskd::memory::{Source, Span};

use crate::controller::Controller;
use crate::identity::Identity;

/// Registers of a port (3.3).
const LIST: usize = 0x00;
const RECEIVED: usize = 0x08;
const INTERRUPTS: usize = 0x10;
const ALLOWED: usize = 0x14;
const COMMAND: usize = 0x18;
const TASK_FILE: usize = 0x20;
const SIGNATURE: usize = 0x24;
const LINK: usize = 0x28;
const ERRORS: usize = 0x30;
const ISSUED: usize = 0x38;

/// In [`COMMAND`]: started, spinning, powered, receiving; and what of it still runs (3.3.7).
const START: u32 = 1;
const SPIN_UP: u32 = 1 << 1;
const POWER_ON: u32 = 1 << 2;
const RECEIVE: u32 = 1 << 4;
const RECEIVES: u32 = 1 << 14;
const RUNS: u32 = 1 << 15;
/// In [`TASK_FILE`]: failed; wants data; busy (3.3.8).
const FAILED: u32 = 1;
const WANTS_DATA: u32 = 1 << 3;
const BUSY: u32 = 1 << 7;
/// In [`INTERRUPTS`]: a command is done; the link changed; the disk or the bus failed (3.3.5).
const DONE: u32 = 1;
const LINK_CHANGED: u32 = 1 << 22;
const FAILURES: u32 = 0b0111_1000 << 24;
/// In [`LINK`]: a disk is there and talks (3.3.10).
const TALKS: u32 = 3;
/// In [`SIGNATURE`]: an ATA disk.
const DISK: u32 = 0x0101;

/// Commands (ATA/ATAPI Command Set 3, 7).
const IDENTIFY: u8 = 0xEC;
const READ: u8 = 0x25;
const WRITE: u8 = 0x35;
const FLUSH: u8 = 0xEA;

/// Most slots this driver uses.
const DEPTH: usize = 16;
/// The most bytes of a command.
const LONGEST: usize = 256 << 10;
/// Memory of a port: the list of 32 commands, then where the disk's answers are received, then a
/// table for each slot (4.2).
const HEADER: usize = 32;
const ANSWERS: usize = 1024;
const TABLES: usize = 2048;
const TABLE: usize = 256;
/// Where in a table the list of pieces of memory is, and how many there is room for.
const PIECES: usize = 128;
const PIECES_MAX: usize = (TABLE - PIECES) / 16;
/// The most bytes of a piece.
const PIECE: usize = 4 << 20;

/// A command that the port has.
#[derive(Clone, Copy)]
struct UnderWay {
    what: &'static str,
    /// How many bytes it reads.
    wanted: usize,
}

/// A port.
pub struct Port {
    controller: Rc<RefCell<Controller>>,
    number: u32,
    memory: Span,
    facts: Facts,
    under_way: [Option<UnderWay>; DEPTH],
    done: Vec<Done>,
}

impl Port {
    /// Sets a port up. `None` when there is no disk behind it, or none that can be driven.
    pub fn open(
        controller: &Rc<RefCell<Controller>>,
        number: u32,
        source: &dyn Source,
    ) -> Result<Option<Self>, Broken> {
        let depth = controller.borrow().depth().min(DEPTH);
        if controller.borrow().read_port(number, LINK) & 0xF != TALKS {
            return Ok(None);
        }
        let memory = source.memory(TABLES + DEPTH * TABLE).map_err(|error| error.to_string())?;
        let facts = Facts {
            kind: "ahci",
            model: String::new(),
            block: 512,
            blocks: 0,
            is_read_only: false,
            depth,
            longest: LONGEST,
        };
        let under_way = [None; DEPTH];
        let done = Vec::new();
        let controller = Rc::clone(controller);
        let port = Self { controller, number, memory, facts, under_way, done };
        if !port.controller.borrow().reaches(memory.physical() + memory.length() as u64) {
            return Err("it does not reach the memory there is".into());
        }
        port.write(COMMAND, 0);
        port.until("stopped", |port| port.read(COMMAND) & (RUNS | RECEIVES) == 0)?;
        port.write_long(LIST, memory.physical());
        port.write_long(RECEIVED, memory.physical() + ANSWERS as u64);
        port.write(COMMAND, SPIN_UP | POWER_ON | RECEIVE);
        port.until("ready", |port| port.read(TASK_FILE) & (BUSY | WANTS_DATA) == 0)?;
        if port.read(SIGNATURE) != DISK {
            return Ok(None);
        }
        port.start()?;
        port.write(ALLOWED, DONE | LINK_CHANGED | FAILURES);
        port.identify(source)
    }

    /// Asks the disk what it is.
    fn identify(mut self, source: &dyn Source) -> Result<Option<Self>, Broken> {
        let page = source.memory(512).map_err(|error| error.to_string())?.part(0, 512);
        self.issue(0, IDENTIFY, 0, 0, "identify", &[page], false);
        let outcome = loop {
            if let Some(Done { outcome, .. }) = self.finished()? {
                break outcome;
            }
            self.controller.borrow().until("done with IDENTIFY", || {
                self.read(ISSUED) & 1 == 0 || self.read(INTERRUPTS) & FAILURES != 0
            })?;
        };
        if let Err(status) = outcome {
            eprintln!("ahcid: port {}: {status}", self.number);
            return Ok(None);
        }
        let mut bytes = [0; 512];
        page.read(&mut bytes);
        let Some(identity) = Identity::read(&bytes) else {
            eprintln!("ahcid: port {} has a disk that this driver does not know", self.number);
            return Ok(None);
        };
        let Identity { model, block, blocks, .. } = identity;
        self.facts = Facts { model, block, blocks, ..self.facts };
        Ok(Some(self))
    }

    fn read(&self, register: usize) -> u32 {
        self.controller.borrow().read_port(self.number, register)
    }

    fn write(&self, register: usize, value: u32) {
        self.controller.borrow().write_port(self.number, register, value);
    }

    fn write_long(&self, register: usize, value: u64) {
        self.write(register, value as u32);
        self.write(register + 4, (value >> 32) as u32);
    }

    fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) -> Result<(), Broken> {
        self.controller.borrow().until(what, || holds(self))
    }

    /// Forgets failures and lets commands run (10.3.1).
    fn start(&self) -> Result<(), Broken> {
        self.write(ERRORS, u32::MAX);
        self.write(INTERRUPTS, u32::MAX);
        self.write(COMMAND, SPIN_UP | POWER_ON | RECEIVE | START);
        self.until("started", |port| port.read(COMMAND) & RUNS != 0)
    }

    /// Puts a command into a slot and hands it over (5.5.1).
    #[expect(clippy::too_many_arguments, reason = "the parts of a command, all plain numbers")]
    fn issue(
        &mut self,
        slot: usize,
        command: u8,
        block: u64,
        count: usize,
        what: &'static str,
        memory: &[Span],
        is_write: bool,
    ) {
        /// In a header: length of the command in words, and that data goes to the disk (4.2.2).
        const COMMAND_WORDS: u32 = 5;
        const TO_DISK: u32 = 1 << 6;
        let table = self.memory.part(TABLES + slot * TABLE, TABLE);
        let [a, b, c, d, e, f, ..] = block.to_le_bytes();
        let [low, high, ..] = count.to_le_bytes();
        // A register FIS with a command, addressed by block (Serial ATA 3.1, 10.5.5).
        table.write(&[0x27, 0x80, command, 0, a, b, c, 1 << 6, d, e, f, 0, low, high, 0, 0]);
        table.store(16, 0);
        for (index, span) in memory.iter().enumerate() {
            let entry = table.part(PIECES + index * 16, 16);
            entry.store(0, span.physical() as u32);
            entry.store(4, (span.physical() >> 32) as u32);
            entry.store(8, 0);
            entry.store(12, span.length() as u32 - 1);
        }
        let header = self.memory.part(slot * HEADER, HEADER);
        let direction = if is_write { TO_DISK } else { 0 };
        header.store(0, (memory.len() as u32) << 16 | direction | COMMAND_WORDS);
        header.store(4, 0);
        header.store(8, table.physical() as u32);
        header.store(12, (table.physical() >> 32) as u32);
        let length = memory.iter().map(|span| span.length()).sum();
        let wanted = if is_write { 0 } else { length };
        self.under_way[slot] = Some(UnderWay { what, wanted });
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        self.write(ISSUED, 1 << slot);
    }

    /// Takes back the commands that the controller has struck off.
    fn collect(&mut self) {
        let issued = self.read(ISSUED);
        for slot in 0..DEPTH {
            if issued >> slot & 1 == 1 {
                continue;
            }
            let Some(UnderWay { what, wanted }) = self.under_way[slot].take() else { continue };
            let came = self.memory.part(slot * HEADER, HEADER).load(4) as usize;
            let outcome = match came >= wanted {
                true => Ok(()),
                false => Err(format!("{what}: {came} bytes came, not {wanted}")),
            };
            self.done.push(Done { slot, outcome });
        }
    }

    /// A command has failed and the controller has stopped (6.2.2): tells which, starts it again,
    /// and hands the others over again.
    fn recover(&mut self) -> Result<(), Broken> {
        let (slot, status) = (self.read(COMMAND) >> 8 & 0x1F, self.read(TASK_FILE));
        let (errors, issued) = (self.read(ERRORS), self.read(ISSUED));
        let slot = slot as usize;
        let under_way = self.under_way.get_mut(slot).filter(|_| issued >> slot & 1 == 1);
        let Some(UnderWay { what, .. }) = under_way.and_then(Option::take) else {
            return Err(format!("command {slot} failed, which it does not have").into());
        };
        let status = format!(
            "{what}: status {:#04x} error {:#04x} link {errors:#x}",
            status & 0xFF,
            status >> 8 & 0xFF
        );
        self.done.push(Done { slot, outcome: Err(status) });
        self.write(COMMAND, SPIN_UP | POWER_ON | RECEIVE);
        self.until("stopped", |port| port.read(COMMAND) & RUNS == 0)?;
        if self.read(TASK_FILE) & (BUSY | WANTS_DATA) != 0 {
            return Err("a disk stays busy after a failure".into());
        }
        self.start()?;
        let again = (0..DEPTH).filter(|slot| self.under_way[*slot].is_some());
        let again = again.fold(0, |set, slot| set | 1 << slot);
        self.write(ISSUED, again);
        Ok(())
    }
}

impl Device for Port {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn begin(&mut self, slot: usize, command: Command<'_>) -> Result<(), Broken> {
        let block = self.facts.block;
        let (opcode, first, memory, what) = match command {
            Command::Read(first, memory) => (READ, first, memory, "read"),
            Command::Write(first, memory) => (WRITE, first, memory, "write"),
            Command::Flush => (FLUSH, 0, &[][..], "flush"),
        };
        let reaches =
            |span: &Span| self.controller.borrow().reaches(span.physical() + PIECE as u64);
        if memory.len() > PIECES_MAX || !memory.iter().all(reaches) {
            return Err("memory that it does not reach".into());
        }
        let length: usize = memory.iter().map(|span| span.length()).sum();
        self.issue(slot, opcode, first, length / block, what, memory, opcode == WRITE);
        Ok(())
    }

    fn finished(&mut self) -> Result<Option<Done>, Broken> {
        if let Some(done) = self.done.pop() {
            return Ok(Some(done));
        }
        let interrupts = self.read(INTERRUPTS);
        if interrupts == u32::MAX {
            return Err(Broken::Gone);
        }
        self.write(INTERRUPTS, interrupts);
        self.controller.borrow().acknowledge(self.number);
        self.collect();
        if interrupts & FAILURES != 0 || self.read(TASK_FILE) & FAILED != 0 && self.is_waiting() {
            self.recover()?;
        }
        if interrupts & LINK_CHANGED != 0 && self.read(LINK) & 0xF != TALKS {
            return Err(Broken::Gone);
        }
        Ok(self.done.pop())
    }

    fn is_there(&mut self) -> Result<(), Broken> {
        self.controller.borrow().is_there()
    }

    fn wait(&mut self, limit: Duration) {
        (self.controller.borrow_mut().wait)(limit);
    }
}

impl Port {
    fn is_waiting(&self) -> bool {
        self.under_way.iter().any(Option::is_some)
    }
}
