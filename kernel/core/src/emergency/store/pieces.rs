//! The pages of parked jobs: behind the slots, and unreadable whatever the secrecy of slots.

use super::*;

impl<M: Machine> Store<M> {
    /// A process is parked.
    pub fn name_parked(&mut self, pid: u32) {
        let entries = self.header.entries.iter_mut();
        entries.filter(|entry| entry.pid == pid).for_each(|e| e.flags = slot_flags_parked());
    }

    /// A parked process has its pages back, or has ended.
    pub fn forget(&mut self, pid: u32) {
        self.header.entries.retain(|entry| entry.pid != pid);
    }

    /// The hash of the readable page that is on its way to or from a place of the lot.
    pub fn hash_of_piece(&self, machine: &M, index: u32, place: usize) -> Option<u64> {
        let frame = self.lot.frame(index)?;
        // No slot of a frame has so high a number.
        let place = 1 << 40 | place as u64;
        Some(machine.words(frame, |words| self.key.page(place, 0, words)))
    }

    /// Makes a page of a piece unreadable, or readable again.
    pub fn cipher_piece(&self, machine: &mut M, index: u32, place: usize) {
        if let (Some(cipher), Some(frame)) = (&self.lot_cipher, self.lot.frame(index)) {
            let stream = cipher.stream(place as u32, self.lot.serial(place));
            apply(machine, stream, frame, frame);
        }
    }

    /// Starts writing what passes through the lot's frames to its places.
    pub fn write_piece(
        &mut self,
        machine: &mut M,
        place: usize,
        count: u32,
    ) -> Result<(), IoError> {
        let run = self.piece(place, count)?;
        (0..count).for_each(|index| self.cipher_piece(machine, index, place + index as usize));
        self.start(machine, Operation::Write(run))
    }

    /// Starts reading places into the lot's frames. What comes is unreadable yet.
    pub fn read_piece(&mut self, machine: &mut M, place: usize, count: u32) -> Result<(), IoError> {
        let run = self.piece(place, count)?;
        self.start(machine, Operation::Read(run))
    }

    fn piece(&self, place: usize, count: u32) -> Result<Run, IoError> {
        let frame = self.lot.frame(0).ok_or(IoError::Failed)?;
        Ok(Run { page: self.lot.page_of(place), frame, count })
    }
}
