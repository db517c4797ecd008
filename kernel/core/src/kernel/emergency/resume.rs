//! `emerg resume` — a parked job comes back, a piece at a time, while the world goes on.
//!
//! Nothing of it runs before all of it is there and has passed its hash. Its places in the lot are
//! kept until then, so that giving up in the middle costs nothing: when memory runs short it stays
//! parked. A page that comes back wrong ends the job.

use super::super::{Kernel, Waiter};
use crate::emergency::Resuming;
use crate::emergency::block::IoError;
use crate::emergency::store::Arrival;
use crate::error::*;
use crate::log::Level;
use crate::machine::Machine;
use crate::task::{Hold, Pid, ProcessId};
use abi::PAGE_SIZE;
use abi::wait::{ENDED_BY_EMERGENCY, Ended};
use alloc::string::String;
use alloc::vec::Vec;

/// Between two steps, so that others run.
const STEP_NS: u64 = 500_000;
/// How often the disk is asked for the same piece.
const TRIES: u8 = 3;

/// Why a page could not be brought back.
enum Failure {
    Wrong,
    NoMemory,
}

impl<M: Machine> Kernel<M> {
    /// Has the parked job of process `pid` back.
    ///
    /// # Errors
    /// `ESRCH` when it is not parked, `EBUSY` when another one or other pages are coming back,
    /// `ENOMEM` when there is too little memory for it, `EIO` without a store.
    pub(crate) fn resume_job(&mut self, pid: Pid) -> Outcome<()> {
        let process = self.find_process(pid).map(|id| &self.processes[id.0]);
        let parked = process.filter(|process| process.hold == Hold::Parked);
        let job = parked.ok_or(Errno(ESRCH))?.parked_with;
        let is_occupied = self.emergency.is_active()
            || self.emergency.saving.is_some()
            || self.emergency.store.held.count() > 0;
        if self.emergency.resuming.is_some() || is_occupied {
            return fail(EBUSY);
        }
        if !self.emergency.store.is_ready() {
            return fail(EIO);
        }
        let places = 0..self.emergency.store.lot.limit();
        let pages = places.filter(|place| self.is_place_of(*place, job)).count();
        if self.frames.totals().free < pages + self.resume_target() {
            return fail(ENOMEM);
        }
        self.emergency.resuming = Some(Resuming { job, next: 0, count: 0, tries: 0 });
        self.add_timer(self.now(), Waiter::Resume);
        Ok(())
    }

    /// One step: what was read is mapped, and the next piece is asked for.
    pub(crate) fn resume_step(&mut self) {
        let Some(resuming) = self.emergency.resuming else { return };
        let next = match self.emergency.store.poll(&mut self.machine) {
            Arrival::Over(_, Ok(())) => self.map_piece(resuming),
            Arrival::Over(_, Err(IoError::Failed)) if resuming.tries + 1 < TRIES => {
                Some(Resuming { count: 0, tries: resuming.tries + 1, ..resuming })
            }
            Arrival::Over(_, Err(_)) => {
                self.lose_parked(resuming.job);
                None
            }
            Arrival::Pending | Arrival::None => Some(resuming),
        };
        let Some(mut next) = next else {
            return self.emergency.resuming = None;
        };
        if next.count == 0 && !self.ask_for_piece(&mut next) {
            self.emergency.resuming = None;
            return self.came_home(next.job);
        }
        self.emergency.resuming = Some(next);
        self.add_timer(self.now() + STEP_NS, Waiter::Resume);
    }

    /// Starts reading the next places of the job. False when there are none.
    fn ask_for_piece(&mut self, resuming: &mut Resuming) -> bool {
        let limit = self.emergency.store.lot.limit();
        let is_wanted = |place: &usize| self.is_place_of(*place, resuming.job);
        let Some(first) = (resuming.next..limit).find(is_wanted) else { return false };
        let run = (first..limit)
            .take(self.emergency.store.lot.piece() as usize)
            .take_while(is_wanted)
            .count() as u32;
        resuming.next = first;
        resuming.count = run;
        if self.emergency.store.read_piece(&mut self.machine, first, run).is_err() {
            // Asked again in the next step, as after a refusal.
            resuming.count = 0;
            resuming.tries += 1;
            if resuming.tries >= TRIES {
                self.lose_parked(resuming.job);
            }
        }
        true
    }

    /// Maps what has come. None when the attempt is over.
    fn map_piece(&mut self, resuming: Resuming) -> Option<Resuming> {
        for index in 0..resuming.count {
            let place = resuming.next + index as usize;
            if !self.is_place_of(place, resuming.job) {
                // The process has ended meanwhile.
                continue;
            }
            match self.map_home(index, place) {
                Ok(()) => {}
                Err(Failure::Wrong) if resuming.tries + 1 < TRIES => {
                    let next = place;
                    return Some(Resuming {
                        next,
                        count: 0,
                        tries: resuming.tries + 1,
                        ..resuming
                    });
                }
                Err(Failure::Wrong) => {
                    self.lose_parked(resuming.job);
                    return None;
                }
                Err(Failure::NoMemory) => {
                    self.stop_resuming();
                    return None;
                }
            }
        }
        let next = resuming.next + resuming.count as usize;
        Some(Resuming { next, count: 0, tries: 0, ..resuming })
    }

    fn map_home(&mut self, index: u32, place: usize) -> Result<(), Failure> {
        let store = &self.emergency.store;
        store.cipher_piece(&mut self.machine, index, place);
        let (owner, page) = store.lot.owner(place).ok_or(Failure::Wrong)?;
        let through = store.lot.frame(index).ok_or(Failure::Wrong)?;
        if store.hash_of_piece(&self.machine, index, place) != Some(store.lot.hash(place)) {
            return Err(Failure::Wrong);
        }
        let space = self.processes[owner.0].space.ok_or(Failure::Wrong)?;
        let Some(frame) = self.frames.allocate() else {
            // Nobody waits for this: it is no emergency.
            self.frames.is_refused = false;
            return Err(Failure::NoMemory);
        };
        self.machine.copy(through.start(), frame.start(), PAGE_SIZE);
        let space = &mut self.spaces[space.0];
        let mapped = space.bring_home(&mut self.machine, &mut self.frames, page, frame);
        mapped.map_err(|_| {
            self.frames.is_refused = false;
            Failure::NoMemory
        })
    }

    /// Gives up bringing a job back: it stays parked, and what it got is free again.
    pub(crate) fn stop_resuming(&mut self) {
        let Some(Resuming { job, .. }) = self.emergency.resuming.take() else { return };
        for place in 0..self.emergency.store.lot.limit() {
            if self.is_place_of(place, job)
                && let Some((owner, page)) = self.emergency.store.lot.owner(place)
            {
                self.evict(owner, page);
            }
        }
    }

    /// All pages are there: the job goes on.
    fn came_home(&mut self, job: Pid) {
        for place in 0..self.emergency.store.lot.limit() {
            if self.is_place_of(place, job) {
                self.emergency.store.lot.give_back(place);
            }
        }
        for process in self.parked_with(job) {
            if let Some(space) = self.processes[process.0].space {
                self.spaces[space.0].is_away = false;
            }
            self.processes[process.0].parked_with = 0;
            let pid = self.processes[process.0].pid;
            self.emergency.store.forget(pid);
            self.let_go(process);
        }
        self.emergency.store.rewrite_header(&mut self.machine);
        self.log(Level::Info, "emergency", format_args!("job {job} is back"));
    }

    /// A page of a parked job is gone, and with it the job.
    fn lose_parked(&mut self, job: Pid) {
        let name = self.find_process(job).map(|id| String::from(self.processes[id.0].name()));
        let name = name.unwrap_or_default();
        self.log(
            Level::Error,
            "emergency",
            format_args!("{name} (pid {job}) could not be read back from the store, and ended"),
        );
        for process in self.parked_with(job) {
            self.end_process(process, Ended::Signalled(ENDED_BY_EMERGENCY));
        }
    }

    /// The processes that were parked together.
    pub(crate) fn parked_with(&self, job: Pid) -> Vec<ProcessId> {
        let all = self.processes.iter();
        let parked = all.filter(|(_, p)| p.hold == Hold::Parked && p.parked_with == job);
        parked.map(|(index, _)| ProcessId(index)).collect()
    }

    /// A parked process has ended: its places are free.
    pub(crate) fn forget_parked(&mut self, process: ProcessId) {
        for place in 0..self.emergency.store.lot.limit() {
            if self.emergency.store.lot.owner(place).is_some_and(|(owner, _)| owner == process) {
                self.emergency.store.lot.give_back(place);
            }
        }
        let record = &mut self.processes[process.0];
        (record.hold, record.parked_with) = (Hold::None, 0);
        let pid = record.pid;
        self.emergency.store.forget(pid);
        self.emergency.store.rewrite_header(&mut self.machine);
    }
}
