//! Writing zeroes over what can be read on the store's disk, before the world goes on: only with
//! `emergency.secrecy=overwrite`.

use super::super::Kernel;
use crate::emergency::block::{IoError, Operation, RUN_MAX};
use crate::emergency::store::Store;
use crate::emergency::{Stage, Sweep};
use crate::machine::Machine;

/// How often the disk is asked again before it counts as refusing.
const TRIES: u8 = 3;

impl<M: Machine> Kernel<M> {
    /// What comes when nothing in the store is needed any more.
    pub(super) fn closing(&self) -> Stage {
        match self.emergency.store.must_overwrite() {
            true => Stage::Overwrite(Sweep::default()),
            false => Stage::Close,
        }
    }

    pub(super) fn overwrite_step(&mut self, sweep: Sweep) {
        let most = if sweep.next < sweep.narrow_until { 1 } else { RUN_MAX };
        let store = &mut self.emergency.store;
        match store.overwrite_run(&mut self.machine, sweep.next, most) {
            Ok(true) => {}
            Ok(false) => self.finish_stage(Stage::OverwriteFlush),
            Err(error) => self.go_without(error),
        }
    }

    pub(super) fn overwritten(&mut self, sweep: Sweep, op: Operation, result: Result<(), IoError>) {
        let Operation::Write(run) = op else { return };
        let slots = Store::<M>::slots(run);
        let next = match result {
            Ok(()) => {
                slots.clone().for_each(|slot| self.emergency.store.bare.clear(slot));
                Sweep { next: slots.end, tries: 0, ..sweep }
            }
            Err(IoError::Silent) => return self.go_without(IoError::Silent),
            Err(IoError::Failed) if sweep.tries < TRIES => {
                Sweep { tries: sweep.tries + 1, ..sweep }
            }
            Err(IoError::Failed) if run.count > 1 => {
                Sweep { next: slots.start, narrow_until: slots.end, tries: 0 }
            }
            // It stays readable; the record says how many do.
            Err(IoError::Failed) => Sweep { next: slots.end, tries: 0, ..sweep },
        };
        self.finish_stage(Stage::Overwrite(next));
    }
}
