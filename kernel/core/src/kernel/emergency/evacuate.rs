//! Writing pages to the store, one short step at a time: first counting whose pages are whose,
//! then runs of frames in the order of their numbers.

use super::super::Kernel;
use crate::emergency::block::{IoError, Operation};
use crate::emergency::store::{Arrival, Store};
use crate::emergency::{Locking, Stage, Sweep, Walk};
use crate::machine::{Access, Machine};
use crate::memory::{Frame, Kind, Page, Pages};
use crate::task::ProcessId;
use abi::{PAGE_SIZE, USER_END};
use store_format::{FIRST_SLOT, State};

/// Pages looked at in one step.
const COUNT_STEP: usize = 2048;
/// Frames erased in one step.
const ERASE_STEP: usize = 512;
/// How often the disk is asked again before it counts as refusing.
const TRIES: u8 = 3;
/// Refused pages after which the disk counts as broken.
const REFUSED_MAX: usize = 64;

impl<M: Machine> Kernel<M> {
    /// One step of what is being done. True when the next one should come at once.
    pub(super) fn step(&mut self) -> bool {
        match self.emergency.store.poll(&mut self.machine) {
            Arrival::Pending => return true,
            Arrival::Over(operation, result) => {
                self.arrived(operation, result);
                return true;
            }
            Arrival::None => {}
        }
        match self.emergency.stage {
            Stage::Count(walk) => self.count(walk),
            Stage::Probe(probe) => self.probe_step(probe),
            Stage::Open => self.put_header(State::Active),
            Stage::Seal => self.put_header(State::Sealed),
            Stage::Reopen => self.put_header(State::Restoring),
            Stage::Close => self.put_header(State::Idle),
            Stage::OpenFlush
            | Stage::WriteFlush
            | Stage::SealFlush
            | Stage::ParkFlush(_)
            | Stage::OverwriteFlush
            | Stage::CloseFlush => {
                if let Err(error) = self.emergency.store.flush(&mut self.machine) {
                    self.go_without(error);
                }
            }
            Stage::Write(sweep) => self.evacuate_all(sweep),
            Stage::Restore(sweep) => self.restore_step(sweep),
            Stage::Lock(at) => self.lock_step(at),
            Stage::Overwrite(sweep) => self.overwrite_step(sweep),
            Stage::Erase(next) => self.erase(next),
            Stage::Park(parking) => self.park_step(parking),
            Stage::Wait | Stage::Done => return false,
        }
        true
    }

    fn put_header(&mut self, state: State) {
        if let Err(error) = self.emergency.store.write_header(&mut self.machine, state) {
            self.go_without(error);
        }
    }

    /// An operation is over: on to the next stage, or try again, or go without the store.
    fn arrived(&mut self, operation: Operation, result: Result<(), IoError>) {
        if self.came_meanwhile(operation, result) {
            return;
        }
        if self.is_late(operation) {
            // What was on its way when it was decided: the stage it belongs to is over.
            if let Err(IoError::Silent) = result {
                self.go_without(IoError::Silent);
            }
            return;
        }
        let next = match (self.emergency.stage, result) {
            (Stage::Probe(probe), result) => return self.probed(probe, operation, result),
            (Stage::Write(sweep), result) => return self.wrote(sweep, operation, result),
            (Stage::Restore(sweep), result) => return self.read(sweep, operation, result),
            (Stage::Park(parking), result) => return self.piece_arrived(parking, result),
            (Stage::ParkFlush(parking), Ok(())) => return self.parked(parking),
            (Stage::ParkFlush(parking), Err(_)) => return self.cannot_park(parking),
            (Stage::Overwrite(sweep), result) => {
                return self.overwritten(sweep, operation, result);
            }
            (_, Err(IoError::Failed)) if self.emergency.header_tries < TRIES => {
                self.emergency.header_tries += 1;
                return;
            }
            // Pages can be read without the header's saying so.
            (Stage::Reopen, Err(IoError::Failed)) => Stage::Restore(Sweep::default()),
            (_, Err(error)) => return self.go_without(error),
            (Stage::Open, Ok(())) => Stage::OpenFlush,
            (Stage::OpenFlush, Ok(())) => {
                self.emergency.record.began_ns = self.now();
                Stage::Write(Sweep::default())
            }
            (Stage::WriteFlush, Ok(())) => Stage::Seal,
            (Stage::Seal, Ok(())) => Stage::SealFlush,
            (Stage::SealFlush, Ok(())) => {
                self.emergency.record.safe_ns = self.now();
                if self.emergency.is_erasing || self.emergency.is_test {
                    Stage::Erase(0)
                } else {
                    Stage::Wait
                }
            }
            (Stage::Reopen, Ok(())) if self.is_lazy() => Stage::Lock(Locking::default()),
            (Stage::Reopen, Ok(())) => {
                self.emergency.record.began_ns = self.now();
                Stage::Restore(Sweep::default())
            }
            (Stage::OverwriteFlush, Ok(())) => Stage::Close,
            (Stage::Close, Ok(())) => Stage::CloseFlush,
            (Stage::CloseFlush, Ok(())) => Stage::Done,
            (stage, Ok(())) => stage,
        };
        self.emergency.header_tries = 0;
        self.finish_stage(next);
    }

    /// Whether the operation is not the one that this stage has started.
    fn is_late(&self, operation: Operation) -> bool {
        let wanted = match self.emergency.stage {
            Stage::Open => State::Active,
            Stage::Seal => State::Sealed,
            Stage::Reopen => State::Restoring,
            Stage::Close => State::Idle,
            Stage::Restore(_) => return !self.emergency.store.is_from_slots(operation),
            // A job was on its way back from the lot when the world stopped.
            Stage::Count(_) | Stage::Wait => return true,
            Stage::Overwrite(_) => return !self.emergency.store.is_overwriting(operation),
            _ => return false,
        };
        let is_header = matches!(operation, Operation::Write(run) if run.page < FIRST_SLOT);
        !is_header || self.emergency.store.header.state != wanted
    }

    /// The store is of no more use. What was written is still in memory, unless it was erased.
    pub(super) fn go_without(&mut self, error: IoError) {
        self.emergency.store.give_up(match error {
            IoError::Failed => "the disk reports errors",
            IoError::Silent => "the disk does not answer",
        });
        let stage = match self.emergency.stage {
            Stage::Reopen => Stage::Restore(Sweep::default()),
            Stage::Overwrite(_) | Stage::OverwriteFlush => Stage::Done,
            Stage::Close | Stage::CloseFlush => Stage::Done,
            _ => Stage::Wait,
        };
        self.finish_stage(stage);
    }

    /// Finds out which frames are to be written, and what ending each job would free.
    fn count(&mut self, mut walk: Walk) {
        let mut left = COUNT_STEP;
        while left > 0 {
            let Some(entry) = self.emergency.snapshot.entries().get(walk.entry).copied() else {
                return self.counted();
            };
            left -= 1;
            let current = if walk.is_begun { walk.process } else { entry.first };
            walk.is_begun = true;
            walk.process = current;
            let Some(process) = current else {
                walk = after_job(walk);
                continue;
            };
            match self.next_page_of(process, walk.page) {
                Some((page, frame, is_counted)) => {
                    walk.page = page.next().0;
                    if is_counted {
                        self.count_frame(&mut walk, frame, !entry.is_essential);
                    }
                }
                None => {
                    if !walk.is_second {
                        self.name_in_header(process);
                    }
                    walk.process = self.processes[process.0].next_in_job;
                    walk.page = 0;
                }
            }
        }
        self.finish_stage(Stage::Count(walk));
    }

    /// The first page of a process at or behind `page`, and whether its frame belongs to programs.
    pub(super) fn next_page_of(
        &self,
        process: ProcessId,
        page: usize,
    ) -> Option<(Page, Frame, bool)> {
        let space = self.spaces.get(self.processes[process.0].space?.0)?;
        let rest = Pages { start: Page(page), end: Page(USER_END / PAGE_SIZE) };
        let (page, frame, access) = self.machine.next_mapped(&space.tables, rest)?;
        let kind = space.region(page).map(|region| region.kind);
        let is_programs = matches!(kind, Some(Kind::Private | Kind::Shared));
        let is_memory = frame != self.zero && !access.contains(Access::DEVICE);
        let is_archive = self.archive.as_ref().is_some_and(|boot| boot.holds(frame));
        Some((page, frame, is_programs && is_memory && !is_archive))
    }

    fn count_frame(&mut self, walk: &mut Walk, frame: Frame, may_leave: bool) {
        if walk.is_second {
            self.frames.forget_tally(frame);
            return;
        }
        let references = self.frames.references(frame);
        if references == 1 {
            self.emergency.snapshot.entry_mut(walk.entry).would_park += 1;
        }
        let is_last = references == 1 || {
            walk.has_shared = true;
            self.frames.tally(frame) == references
        };
        if is_last {
            self.emergency.snapshot.entry_mut(walk.entry).would_free += 1;
        }
        let store = &mut self.emergency.store;
        let slot = frame.0 as usize;
        // What came home in between stays: no slot is written twice in one emergency.
        let is_first = !self.emergency.daemon.was_asked || store.held.count() == 0;
        if may_leave && is_first && store.is_ready() && slot < store.total_page_slots() {
            store.wanted.set(slot);
        }
    }

    fn name_in_header(&mut self, process: ProcessId) {
        let record = &self.processes[process.0];
        let space = record.space.and_then(|space| self.spaces.get(space.0));
        let pages = space.map_or(0, |space| space.resident);
        self.emergency.store.name(record.pid, pages, record.name());
    }

    fn counted(&mut self) {
        let has_work = self.emergency.store.is_ready() && self.emergency.store.wanted.count() > 0;
        self.finish_stage(match has_work {
            true if self.emergency.is_test => self.first_probe(),
            true => Stage::Open,
            false => Stage::Wait,
        });
        self.draw();
    }

    /// Sends the next run of frames on its way.
    pub(super) fn evacuate_all(&mut self, sweep: Sweep) {
        let store = &mut self.emergency.store;
        let most = if sweep.next < sweep.narrow_until { 1 } else { store.write_max() };
        let Some((first, count)) = store.wanted.next_run(sweep.next, most) else {
            let now = self.now();
            let record = &mut self.emergency.record;
            record.write_ns = now - record.began_ns;
            return self.finish_stage(Stage::WriteFlush);
        };
        if sweep.tries == 0 {
            (first..first + count as usize).for_each(|slot| store.note(&self.machine, slot));
        }
        let result = match count {
            1 => store.write_page(&mut self.machine, first),
            _ => store.write_run(&mut self.machine, first, count),
        };
        if let Err(error) = result {
            self.go_without(error);
        }
    }

    fn wrote(&mut self, sweep: Sweep, operation: Operation, result: Result<(), IoError>) {
        let Operation::Write(run) = operation else { return };
        let slots = Store::<M>::slots(run);
        let next = match result {
            Ok(()) => {
                self.emergency.store.wanted.clear_run(slots.clone());
                self.emergency.store.held.set_run(slots.clone());
                slots.clone().for_each(|slot| self.frames.send_away(Frame(slot as u32)));
                self.emergency.record.evacuated += slots.len();
                Sweep { next: slots.end, tries: 0, ..sweep }
            }
            Err(IoError::Silent) => return self.go_without(IoError::Silent),
            Err(IoError::Failed) if sweep.tries < TRIES => {
                Sweep { tries: sweep.tries + 1, ..sweep }
            }
            Err(IoError::Failed) if run.count > 1 => {
                Sweep { next: slots.start, narrow_until: slots.end, tries: 0 }
            }
            Err(IoError::Failed) => {
                self.emergency.store.wanted.clear(slots.start);
                self.emergency.record.failed_writes += 1;
                if self.emergency.record.failed_writes >= REFUSED_MAX {
                    return self.go_without(IoError::Failed);
                }
                Sweep { next: slots.end, tries: 0, ..sweep }
            }
        };
        self.finish_stage(Stage::Write(next));
    }

    /// Gives up what memory holds of the pages in the store, as somebody would who needs room.
    fn erase(&mut self, next: usize) {
        let mut at = next;
        for _ in 0..ERASE_STEP {
            let Some(slot) = self.emergency.store.held.next(at) else {
                return self.finish_stage(Stage::Wait);
            };
            self.machine.zero(Frame(slot as u32));
            at = slot + 1;
        }
        self.finish_stage(Stage::Erase(at));
    }
}

/// The next job, or the same one again to take back its tallies.
fn after_job(walk: Walk) -> Walk {
    if walk.has_shared && !walk.is_second {
        return Walk { entry: walk.entry, is_second: true, has_shared: true, ..Walk::default() };
    }
    Walk { entry: walk.entry + 1, ..Walk::default() }
}
