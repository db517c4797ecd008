//! Runs of slots: to the disk, and back.

use super::*;

impl<M: Machine> Store<M> {
    /// Most pages in one [`Store::write_run`].
    pub fn write_max(&self) -> u32 {
        match (&self.cipher, self.scratch) {
            (Some(_), Some((_, count))) => count.min(CIPHER_MAX),
            _ => RUN_MAX,
        }
    }

    /// Starts writing the frames `[first, first + count)` to their slots.
    pub fn write_run(&mut self, machine: &mut M, first: usize, count: u32) -> Result<(), IoError> {
        let mut run = self.run(first, count)?;
        match &self.cipher {
            Some(cipher) => {
                let (scratch, room) = self.scratch.ok_or(IoError::Failed)?;
                if count > room {
                    return Err(IoError::Failed);
                }
                for page in 0..count {
                    let stream = cipher.stream(run.frame.0 + page, self.header.generation);
                    let (from, to) = (Frame(run.frame.0 + page), Frame(scratch.0 + page));
                    apply(machine, stream, from, to);
                }
                run.frame = scratch;
            }
            None => self.bare.set_run(first..first + count as usize),
        }
        self.start(machine, Operation::Write(run))
    }

    /// Starts writing zeroes to slots that hold nothing, or reading those: `most` at most from
    /// `first` on.
    pub fn probe_run(
        &mut self,
        machine: &mut M,
        first: usize,
        most: u32,
        is_reading: bool,
    ) -> Result<(), IoError> {
        let (frame, room) = self.scratch.ok_or(IoError::Failed)?;
        let run = Run { frame, ..self.run(first, most.min(room))? };
        self.start(machine, if is_reading { Operation::Read(run) } else { Operation::Write(run) })
    }

    /// Starts reading them back.
    pub fn read_run(&mut self, machine: &mut M, first: usize, count: u32) -> Result<(), IoError> {
        let run = self.run(first, count)?;
        self.start(machine, Operation::Read(run))
    }

    /// Starts writing one frame.
    pub fn write_page(&mut self, machine: &mut M, slot: usize) -> Result<(), IoError> {
        self.write_run(machine, slot, 1)
    }

    /// Starts reading one frame.
    pub fn read_page(&mut self, machine: &mut M, slot: usize) -> Result<(), IoError> {
        self.read_run(machine, slot, 1)
    }

    fn run(&self, first: usize, count: u32) -> Result<Run, IoError> {
        let is_inside = first + count as usize <= self.total_page_slots();
        let run = Run { page: FIRST_SLOT + first as u64, frame: Frame(first as u32), count };
        is_inside.then_some(run).ok_or(IoError::Failed)
    }

    /// The slots of a run.
    pub fn slots(run: Run) -> core::ops::Range<usize> {
        let first = (run.page - FIRST_SLOT) as usize;
        first..first + run.count as usize
    }

    /// The run of slots that is being read.
    pub fn flying(&self) -> Option<Run> {
        let operation = self.flight.map(|flight| flight.operation);
        match operation {
            Some(Operation::Read(run)) => Some(run),
            _ => None,
        }
    }

    /// Whether an operation reads slots, and not places of the lot.
    pub fn is_from_slots(&self, operation: Operation) -> bool {
        let end = FIRST_SLOT + self.header.total_slots;
        matches!(operation, Operation::Read(run) if run.page >= FIRST_SLOT && run.page < end)
    }
}
