//! A namespace as a [`Device`]: reads, writes and flushes on its queue.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use diskd::device::{Broken, Command, Device, Done, Facts};
use diskd::memory::Span;

use crate::controller::Controller;
use crate::queue::{Completion, Queue};

/// Commands under way at once, at most; fewer than a ring has places.
pub(crate) const DEPTH: usize = 16;
/// The most bytes of a command, whatever the controller would take.
pub(crate) const LONGEST: usize = 256 << 10;
const PAGE: usize = 4096;

/// Commands (NVM Command Set, 6).
const FLUSH: u32 = 0;
const WRITE: u32 = 1;
const READ: u32 = 2;

/// A namespace with its queue.
pub struct Parts {
    pub(crate) id: u32,
    pub(crate) queue: Queue,
    pub(crate) facts: Facts,
    /// A page for each slot, for the list of the pages of its command.
    pub(crate) lists: Span,
    /// Whether the controller keeps anything back that a flush would write.
    pub(crate) has_cache: bool,
}

/// A namespace.
pub struct Namespace {
    controller: Rc<RefCell<Controller>>,
    parts: Parts,
    /// What the slots' commands do.
    under_way: [Option<&'static str>; DEPTH],
    /// Commands that are done without the controller.
    done: Vec<usize>,
}

impl Namespace {
    pub(crate) fn new(controller: Rc<RefCell<Controller>>, parts: Parts) -> Self {
        Self { controller, parts, under_way: [None; DEPTH], done: Vec::new() }
    }

    /// The two words of a command that tell where its memory is (4.3): the first page; then the
    /// second, or a list of all others.
    fn pages(&self, slot: usize, memory: &[Span]) -> (u64, u64) {
        let pages = |span: &Span| {
            let (start, length) = (span.physical(), span.length());
            (0..length).step_by(PAGE).map(move |offset| start + offset as u64)
        };
        let mut all = memory.iter().flat_map(pages);
        let first = all.next().unwrap_or(0);
        let rest: Vec<u64> = all.collect();
        match rest[..] {
            [] => (first, 0),
            [second] => (first, second),
            _ => {
                let list = self.parts.lists.part(slot * PAGE, PAGE);
                let bytes: Vec<u8> = rest.iter().flat_map(|page| page.to_le_bytes()).collect();
                list.write(&bytes);
                (first, list.physical())
            }
        }
    }
}

impl Device for Namespace {
    fn facts(&self) -> &Facts {
        &self.parts.facts
    }

    fn begin(&mut self, slot: usize, command: Command<'_>) -> Result<(), Broken> {
        let mut words = [0; 16];
        words[1] = self.parts.id;
        let (opcode, what) = match command {
            Command::Read(..) => (READ, "read"),
            Command::Write(..) => (WRITE, "write"),
            Command::Flush if !self.parts.has_cache => {
                self.done.push(slot);
                return Ok(());
            }
            Command::Flush => (FLUSH, "flush"),
        };
        words[0] = opcode;
        if let Command::Read(block, memory) | Command::Write(block, memory) = command {
            let length: usize = memory.iter().map(|span| span.length()).sum();
            let (first, second) = self.pages(slot, memory);
            (words[6], words[7]) = (first as u32, (first >> 32) as u32);
            (words[8], words[9]) = (second as u32, (second >> 32) as u32);
            (words[10], words[11]) = (block as u32, (block >> 32) as u32);
            words[12] = (length / self.parts.facts.block) as u32 - 1;
        }
        self.under_way[slot] = Some(what);
        let controller = self.controller.borrow();
        self.parts.queue.submit(&*controller.registers, slot as u16, words);
        Ok(())
    }

    fn finished(&mut self) -> Result<Option<Done>, Broken> {
        if let Some(slot) = self.done.pop() {
            return Ok(Some(Done { slot, outcome: Ok(()) }));
        }
        let controller = self.controller.borrow();
        let Some(completion) = self.parts.queue.take(&*controller.registers)? else {
            return Ok(None);
        };
        let Completion { command, status, .. } = completion;
        let slot = usize::from(command);
        let Some(what) = self.under_way.get_mut(slot).and_then(Option::take) else {
            return Err(format!("it finished command {command}, which it does not have").into());
        };
        let outcome = match status {
            0 => Ok(()),
            _ => Err(format!("{what}: status type {} code {:#04x}", status >> 8, status & 0xFF)),
        };
        Ok(Some(Done { slot, outcome }))
    }

    fn is_there(&mut self) -> Result<(), Broken> {
        self.controller.borrow().check()
    }

    fn wait(&mut self, limit: Duration) {
        (self.controller.borrow_mut().wait)(limit);
    }
}
