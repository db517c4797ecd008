//! A controller: switched off and on again, asked what it is and what namespaces it has.

use std::time::{Duration, Instant};

use diskd::device::{Broken, Facts};
use diskd::memory::{Source, Span};
use diskd::registers::Registers;

use crate::Wait;
use crate::namespace::{DEPTH, Parts};
use crate::queue::{Completion, Queue, SIZE, Words};

/// Registers (3.1).
const CAPABILITIES: usize = 0x00;
const CONFIGURATION: usize = 0x14;
const STATUS: usize = 0x1C;
const ADMIN_SIZES: usize = 0x24;
const ADMIN_COMMANDS: usize = 0x28;
const ADMIN_COMPLETIONS: usize = 0x30;

/// In [`CONFIGURATION`]: on; commands of 2⁶ and completions of 2⁴ bytes (3.1.5).
const ENABLE: u32 = 1;
const ENTRY_SIZES: u32 = 6 << 16 | 4 << 20;
/// In [`STATUS`]: ready; a fatal failure (3.1.6).
const READY: u32 = 1;
const FATAL: u32 = 2;
/// What a register reads as when the device is gone.
const NOTHING: u32 = u32::MAX;

/// Admin commands (5).
const CREATE_COMMANDS: u32 = 0x01;
const CREATE_COMPLETIONS: u32 = 0x05;
const IDENTIFY: u32 = 0x06;
const SET_FEATURES: u32 = 0x09;
/// The feature "number of queues" (5.21.1.7).
const QUEUES: u32 = 0x07;
/// What to identify (5.15.1).
const NAMESPACE: u32 = 0;
const CONTROLLER: u32 = 1;
const ACTIVE_NAMESPACES: u32 = 2;

/// More disks than a person has behind one controller.
const NAMESPACES_MAX: usize = 16;
const PAGE: usize = 4096;
/// An admin command that takes longer never comes back.
const PATIENCE: Duration = Duration::from_secs(10);

/// A controller.
pub struct Controller {
    pub(crate) registers: Box<dyn Registers>,
    /// How many bytes of registers there are.
    length: usize,
    stride: usize,
    admin: Queue,
    /// Where the controller writes what it is asked for.
    page: Span,
    pub(crate) wait: Wait,
    model: String,
    longest: usize,
    has_cache: bool,
}

impl Controller {
    /// Switches a controller off, sets up its admin queue and switches it on (3.1.5, 7.6.1).
    pub fn new(
        registers: Box<dyn Registers>,
        length: usize,
        source: &dyn Source,
        wait: Wait,
    ) -> Result<Self, Broken> {
        let capabilities = registers.read_long(CAPABILITIES);
        if capabilities == u64::MAX {
            return Err(Broken::Gone);
        }
        // Bits 48 to 51: the smallest page as a power of two, from 4096; bit 37: has namespaces.
        if capabilities >> 48 & 0xF != 0 || capabilities >> 37 & 1 == 0 {
            return Err("it wants other pages or other commands than this driver has".into());
        }
        if (capabilities & 0xFFFF) + 1 < u64::from(SIZE) {
            return Err("its queues are too short".into());
        }
        let limit = Duration::from_millis(500 * (capabilities >> 24 & 0xFF).max(1));
        let stride = 4 << (capabilities >> 32 & 0xF);
        let admin = Queue::new(0, stride, source)?;
        let page = source.memory(PAGE).map_err(|error| error.to_string())?;
        let mut controller = Self {
            registers,
            length,
            stride,
            admin,
            page,
            wait,
            model: String::new(),
            longest: 0,
            has_cache: true,
        };
        controller.set_on(false, limit)?;
        controller.has_room(&controller.admin)?;
        let size = u32::from(SIZE - 1);
        let (commands, completions) = controller.admin.places();
        controller.registers.write(ADMIN_SIZES, size << 16 | size);
        controller.registers.write_long(ADMIN_COMMANDS, commands);
        controller.registers.write_long(ADMIN_COMPLETIONS, completions);
        controller.set_on(true, limit)?;
        controller.identify()?;
        Ok(controller)
    }

    /// Whether a queue's doorbells are where this driver may write.
    fn has_room(&self, queue: &Queue) -> Result<(), Broken> {
        match queue.registers_end() <= self.length {
            true => Ok(()),
            false => Err("its doorbells lie outside its registers".into()),
        }
    }

    fn set_on(&self, is_on: bool, limit: Duration) -> Result<(), Broken> {
        let configuration = if is_on { ENABLE | ENTRY_SIZES } else { 0 };
        self.registers.write(CONFIGURATION, configuration);
        let deadline = Instant::now() + limit;
        loop {
            let status = self.status()?;
            if (status & READY != 0) == is_on {
                return Ok(());
            }
            if status & FATAL != 0 && is_on {
                return Err("it has failed while it was switched on".into());
            }
            if Instant::now() > deadline {
                return Err("it does not become ready".into());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn status(&self) -> Result<u32, Broken> {
        match self.registers.read(STATUS) {
            NOTHING => Err(Broken::Gone),
            status => Ok(status),
        }
    }

    /// Finds out whether it still works, when there is reason to ask.
    pub(crate) fn check(&self) -> Result<(), Broken> {
        match self.status()? & FATAL {
            0 => Ok(()),
            _ => Err("it has failed".into()),
        }
    }

    /// An admin command, and what came of it.
    fn ask(&mut self, words: Words) -> Result<Completion, Broken> {
        self.admin.submit(&*self.registers, 0, words);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(completion) = self.admin.take(&*self.registers)? {
                return match completion.command {
                    0 => Ok(completion),
                    other => Err(format!("it finished admin command {other}, not 0").into()),
                };
            }
            self.check()?;
            if Instant::now() > deadline {
                return Err("an admin command takes too long".into());
            }
            (self.wait)(PATIENCE / 100);
        }
    }

    /// An admin command that must go well.
    fn demand(&mut self, what: &str, words: Words) -> Result<u32, Broken> {
        match self.ask(words)? {
            Completion { status: 0, result, .. } => Ok(result),
            Completion { status, .. } => Err(format!("{what}: status {status:#x}").into()),
        }
    }

    /// Has the controller describe something in the page.
    fn describe(&mut self, what: u32, namespace: u32) -> Result<Vec<u8>, Broken> {
        let mut words = [0; 16];
        (words[0], words[1], words[10]) = (IDENTIFY, namespace, what);
        let page = self.page.physical();
        (words[6], words[7]) = (page as u32, (page >> 32) as u32);
        self.demand("identify", words)?;
        let mut bytes = vec![0; PAGE];
        self.page.read(&mut bytes);
        Ok(bytes)
    }

    /// What the controller is (5.15.2.2).
    fn identify(&mut self) -> Result<(), Broken> {
        let bytes = self.describe(CONTROLLER, 0)?;
        let model = bytes[24..64].iter().filter(|byte| matches!(byte, 0x20..=0x7E));
        self.model = model.map(|byte| char::from(*byte)).collect::<String>().trim().to_owned();
        // As a power of two of pages; 0 is no limit.
        self.longest = match bytes[77] {
            0 => usize::MAX,
            shift => PAGE << shift.min(20),
        };
        self.has_cache = bytes[525] & 1 != 0;
        Ok(())
    }

    /// The namespaces there are (5.15.2.3): a list of numbers that ends with 0.
    pub fn namespaces(&mut self) -> Result<Vec<u32>, Broken> {
        let bytes = self.describe(ACTIVE_NAMESPACES, 0)?;
        let ids = bytes.chunks_exact(4).map(|id| u32::from_le_bytes([id[0], id[1], id[2], id[3]]));
        Ok(ids.take_while(|id| *id != 0).take(NAMESPACES_MAX).collect())
    }

    /// Asks for so many queues.
    pub fn set_queues(&mut self, count: usize) -> Result<(), Broken> {
        let Some(last) = (count as u32).checked_sub(1) else { return Ok(()) };
        let mut words = [0; 16];
        (words[0], words[10], words[11]) = (SET_FEATURES, QUEUES, last << 16 | last);
        let granted = self.demand("number of queues", words)?;
        match granted & 0xFFFF >= last && granted >> 16 >= last {
            true => Ok(()),
            false => Err(format!("it has no {count} queues").into()),
        }
    }

    /// Makes queue `number` for a namespace, with interrupt 0. `None` when it cannot be used.
    pub fn open(
        &mut self,
        id: u32,
        number: u16,
        source: &dyn Source,
    ) -> Result<Option<Parts>, Broken> {
        let bytes = self.describe(NAMESPACE, id)?;
        let Some(facts) = self.facts(&bytes) else {
            eprintln!("nvmed: namespace {id} has a format that this driver does not know");
            return Ok(None);
        };
        let queue = Queue::new(number, self.stride, source)?;
        self.has_room(&queue)?;
        let (commands, completions) = queue.places();
        let which = u32::from(SIZE - 1) << 16 | u32::from(number);
        // Completions in one piece of memory, with interrupts; then commands that end there
        // (5.3, 5.4).
        const CONTIGUOUS: u32 = 1;
        const INTERRUPTS: u32 = 2;
        for (opcode, place, flags) in [
            (CREATE_COMPLETIONS, completions, CONTIGUOUS | INTERRUPTS),
            (CREATE_COMMANDS, commands, u32::from(number) << 16 | CONTIGUOUS),
        ] {
            let mut words = [0; 16];
            (words[0], words[10], words[11]) = (opcode, which, flags);
            (words[6], words[7]) = (place as u32, (place >> 32) as u32);
            self.demand("making a queue", words)?;
        }
        let lists = source.memory(DEPTH * PAGE).map_err(|error| error.to_string())?;
        Ok(Some(Parts { id, queue, facts, lists, has_cache: self.has_cache }))
    }

    /// What a namespace is (5.15.2.1), from the page that describes it.
    fn facts(&self, bytes: &[u8]) -> Option<Facts> {
        let blocks = u64::from_le_bytes(bytes[..8].try_into().ok()?);
        let format = usize::from(bytes[26] & 0xF);
        let [metadata_low, metadata_high, shift, _] = bytes[128 + 4 * format..][..4] else {
            return None;
        };
        let is_known = (metadata_low, metadata_high) == (0, 0) && (9..=12).contains(&shift);
        is_known.then(|| Facts {
            kind: "nvme",
            model: self.model.clone(),
            block: 1 << shift,
            blocks,
            is_read_only: bytes[99] & 1 != 0,
            depth: DEPTH,
            longest: self.longest.min(crate::namespace::LONGEST),
        })
    }
}
