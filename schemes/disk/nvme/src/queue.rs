//! A pair of rings: commands to the controller, completions from it (4.1, 4.6).

use diskd::device::Broken;
use diskd::memory::{Source, Span};
use diskd::registers::Registers;

/// Places of each ring; one stays empty, so that a full ring is told from an empty one.
pub const SIZE: u16 = 32;
/// Bytes of a command and of a completion.
const COMMAND: usize = 64;
const COMPLETION: usize = 16;
/// The first doorbell (3.1.24).
const DOORBELLS: usize = 0x1000;

/// A command: sixteen words, of which the first gets its number here.
pub type Words = [u32; 16];

/// What the controller says of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The number of the command.
    pub command: u16,
    /// What it is, where a command has a result.
    pub result: u32,
    /// Status code type and status code (4.6.1); 0 is success.
    pub status: u16,
}

/// A pair of rings.
#[derive(Debug)]
pub struct Queue {
    id: u16,
    commands: Span,
    completions: Span,
    tail: u16,
    head: u16,
    /// The phase bit of completions that are new.
    phase: bool,
    /// Bytes between doorbells.
    stride: usize,
}

impl Queue {
    /// Empty rings with the number `id`.
    pub fn new(id: u16, stride: usize, source: &dyn Source) -> Result<Self, Broken> {
        let memory = |size| source.memory(usize::from(SIZE) * size).map_err(|e| e.to_string());
        let (commands, completions) = (memory(COMMAND)?, memory(COMPLETION)?);
        Ok(Self { id, commands, completions, tail: 0, head: 0, phase: true, stride })
    }

    /// Where the controller finds the commands and the completions.
    pub fn places(&self) -> (u64, u64) {
        (self.commands.physical(), self.completions.physical())
    }

    /// How many bytes of registers the queue needs.
    pub fn registers_end(&self) -> usize {
        DOORBELLS + (2 * usize::from(self.id) + 2) * self.stride
    }

    /// Hands a command over. There is room: nobody has more than [`SIZE`] − 1 under way.
    pub fn submit(&mut self, registers: &dyn Registers, number: u16, mut words: Words) {
        words[0] |= u32::from(number) << 16;
        let place = self.commands.part(usize::from(self.tail) * COMMAND, COMMAND);
        for (index, word) in words.into_iter().enumerate() {
            place.store(index * 4, word);
        }
        self.tail = (self.tail + 1) % SIZE;
        // The register is device memory: its write comes after those above.
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        registers.write(DOORBELLS + 2 * usize::from(self.id) * self.stride, self.tail.into());
    }

    /// Takes the next completion. One that names another queue is the controller's mistake.
    pub fn take(&mut self, registers: &dyn Registers) -> Result<Option<Completion>, Broken> {
        let place = self.completions.part(usize::from(self.head) * COMPLETION, COMPLETION);
        let last = place.load(12);
        if (last >> 16 & 1 == 1) != self.phase {
            return Ok(None);
        }
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        let (result, queue) = (place.load(0), place.load(8));
        self.head = (self.head + 1) % SIZE;
        self.phase ^= self.head == 0;
        let bell = DOORBELLS + (2 * usize::from(self.id) + 1) * self.stride;
        registers.write(bell, self.head.into());
        if queue >> 16 != u32::from(self.id) || queue & 0xFFFF >= u32::from(SIZE) {
            return Err(format!("a completion of queue {:#x} in queue {}", queue, self.id).into());
        }
        // Bits 25 to 27 are the type, 17 to 24 the code.
        let status = (last >> 17 & 0x7FF) as u16;
        Ok(Some(Completion { command: last as u16, result, status }))
    }
}
