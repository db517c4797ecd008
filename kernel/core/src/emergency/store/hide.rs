//! Keeping secrets: pages become noise on their way, or zeroes after it.

use super::*;

impl<M: Machine> Store<M> {
    /// A frame has come back as the disk had it: makes it readable.
    pub fn decipher(&self, machine: &mut M, slot: usize) {
        if let Some(cipher) = &self.cipher {
            let frame = Frame(slot as u32);
            let stream = cipher.stream(frame.0, self.header.generation);
            apply(machine, stream, frame, frame);
        }
    }

    /// Whether slots are to be overwritten before the world goes on.
    pub fn must_overwrite(&self) -> bool {
        self.secrecy == Secrecy::Overwrite && self.bare.count() > 0
    }

    /// Starts writing zeroes over the next slots at or behind `first` that hold something
    /// readable, at most `most`. False when there are none.
    pub fn overwrite_run(
        &mut self,
        machine: &mut M,
        first: usize,
        most: u32,
    ) -> Result<bool, IoError> {
        let (frame, room) = self.scratch.ok_or(IoError::Failed)?;
        let Some((first, count)) = self.bare.next_run(first, most.min(room)) else {
            return Ok(false);
        };
        (0..count).for_each(|page| machine.zero(Frame(frame.0 + page)));
        let page = FIRST_SLOT + first as u64;
        self.start(machine, Operation::Write(Run { page, frame, count }))?;
        Ok(true)
    }

    /// Whether an operation is one that [`Store::overwrite_run`] started.
    pub fn is_overwriting(&self, operation: Operation) -> bool {
        let scratch = self.scratch.map(|(first, _)| first);
        matches!(operation, Operation::Write(run) if Some(run.frame) == scratch)
    }

    /// Writes zeroes over everything that the last session left, at boot.
    pub(super) fn overwrite_left(&mut self, machine: &mut M, slots: u64) -> Result<(), IoError> {
        let (frame, room) = self.scratch.ok_or(IoError::Failed)?;
        (0..room).for_each(|page| machine.zero(Frame(frame.0 + page)));
        for first in (0..slots).step_by(room as usize) {
            let count = u64::from(room).min(slots - first) as u32;
            let run = Run { page: FIRST_SLOT + first, frame, count };
            let mut result = Err(IoError::Failed);
            for _ in 0..TRIES {
                if result != Ok(()) {
                    self.start(machine, Operation::Write(run))?;
                    result = self.wait(machine);
                }
            }
            result?;
        }
        self.flush(machine)?;
        self.wait(machine)
    }
}

/// Turns a frame into noise or back, into another or in place.
pub(super) fn apply<M: Machine>(machine: &mut M, mut stream: Stream, from: Frame, to: Frame) {
    let mut piece = [0; PIECE];
    for at in (0..PAGE as u64).step_by(PIECE) {
        machine.read(PhysicalAddress(from.start().0 + at), &mut piece);
        stream.apply(&mut piece);
        machine.write(PhysicalAddress(to.start().0 + at), &piece);
    }
}
