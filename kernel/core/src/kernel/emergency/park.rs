//! Parking jobs: their pages go to the lot, their frames are free, and they wait there.
//!
//! First everything is written and nothing given up; when the disk has said that all of it stays,
//! the frames go. A disk that refuses costs the attempt and nothing else. Pages that others have
//! too stay where they are.

use super::super::Kernel;
use crate::emergency::block::IoError;
use crate::emergency::picker::PickerAction;
use crate::emergency::record::{Ended, Verb};
use crate::emergency::snapshot::Fate;
use crate::emergency::{Parking, Stage};
use crate::machine::Machine;
use crate::memory::{Frame, Page};
use crate::task::{Attention, Hold, ProcessId};
use abi::PAGE_SIZE;

impl<M: Machine> Kernel<M> {
    /// Begins to park the next job that is marked for it. False when there is none.
    pub(super) fn park_next(&mut self) -> bool {
        let emergency = &mut *self.emergency;
        let mut jobs = 0..emergency.snapshot.len();
        let found = jobs.find(|job| emergency.picker.mark(*job) == Some(PickerAction::Park));
        let Some(job) = found else { return false };
        emergency.picker.set_mark(job, None);
        let entry = emergency.snapshot.entries()[job];
        let mut next = entry.first;
        while let Some(id) = next {
            self.processes[id.0].parked_with = entry.pid;
            next = self.processes[id.0].next_in_job;
        }
        self.finish_stage(Stage::Park(Parking { job, process: entry.first, ..Parking::default() }));
        true
    }

    /// Sends the next pages of the job on their way; behind the last, makes them stay.
    pub(super) fn park_step(&mut self, mut parking: Parking) {
        let Some((place, most)) = self.emergency.store.lot.free_run() else {
            return self.cannot_park(parking);
        };
        (parking.place, parking.count) = (place, 0);
        while parking.count < most {
            let Some((process, page, frame)) = self.next_to_park(&mut parking) else { break };
            let slot = frame.0 as usize;
            let is_here = !self.emergency.store.held.has(slot)
                || self.emergency.store.is_intact(&self.machine, slot);
            if !is_here && parking.count > 0 {
                // What has been gathered goes first.
                break;
            }
            if !is_here {
                parking.fetched = Some(slot);
                let read = self.emergency.store.read_page(&mut self.machine, slot);
                self.finish_stage(Stage::Park(parking));
                return if read.is_err() {
                    self.cannot_park(parking)
                };
            }
            self.add_to_piece(&mut parking, process, page, frame);
        }
        if parking.count == 0 {
            return self.finish_stage(Stage::ParkFlush(parking));
        }
        let (place, count) = (parking.place, parking.count);
        self.finish_stage(Stage::Park(parking));
        if self.emergency.store.write_piece(&mut self.machine, place, count).is_err() {
            self.cannot_park(parking);
        }
    }

    /// The next page of the job that nobody else has. Goes on behind it when it has been taken.
    fn next_to_park(&self, parking: &mut Parking) -> Option<(ProcessId, Page, Frame)> {
        while let Some(process) = parking.process {
            match self.next_page_of(process, parking.page) {
                Some((page, frame, true)) if self.frames.references(frame) == 1 => {
                    parking.page = page.0;
                    return Some((process, page, frame));
                }
                Some((page, ..)) => parking.page = page.next().0,
                None => {
                    parking.process = self.processes[process.0].next_in_job;
                    parking.page = 0;
                }
            }
        }
        None
    }

    fn add_to_piece(&mut self, parking: &mut Parking, owner: ProcessId, page: Page, frame: Frame) {
        let store = &mut self.emergency.store;
        let Some(through) = store.lot.frame(parking.count) else { return };
        self.machine.copy(frame.start(), through.start(), PAGE_SIZE);
        let place = parking.place + parking.count as usize;
        let hash = store.hash_of_piece(&self.machine, parking.count, place);
        store.lot.take(place, owner, page, hash.unwrap_or_default());
        parking.count += 1;
        parking.page = page.next().0;
    }

    /// A piece has been written, or a page read that memory did not have.
    pub(super) fn piece_arrived(&mut self, parking: Parking, result: Result<(), IoError>) {
        if result == Err(IoError::Silent) {
            self.go_without(IoError::Silent);
        }
        let is_good = match (result, parking.fetched) {
            (Ok(()), Some(slot)) => {
                self.emergency.store.decipher(&mut self.machine, slot);
                self.emergency.store.is_intact(&self.machine, slot)
            }
            (result, _) => result.is_ok(),
        };
        if !is_good {
            return self.cannot_park(parking);
        }
        self.finish_stage(Stage::Park(Parking { fetched: None, ..parking }));
    }

    /// The job goes on living: whatever it has in the lot is given up.
    pub(super) fn cannot_park(&mut self, parking: Parking) {
        let entry = self.emergency.snapshot.entries()[parking.job];
        for place in 0..self.emergency.store.lot.limit() {
            if self.is_place_of(place, entry.pid) {
                self.emergency.store.lot.give_back(place);
            }
        }
        let mut next = entry.first;
        while let Some(id) = next {
            self.processes[id.0].parked_with = 0;
            next = self.processes[id.0].next_in_job;
        }
        self.after_parking();
        self.emergency.picker.message =
            "The store refused: the job could not be parked, and lives.";
        self.draw();
    }

    /// Whether a place has a page of the job whose lowest number this is.
    pub(super) fn is_place_of(&self, place: usize, job: u32) -> bool {
        let owner = self.emergency.store.lot.owner(place);
        owner.is_some_and(|(id, _)| {
            self.processes.get(id.0).is_some_and(|process| process.parked_with == job)
        })
    }

    /// All pages of the job are in the lot and stay there: its frames are free.
    pub(super) fn parked(&mut self, parking: Parking) {
        let before = self.frames.totals().free;
        let entry = self.emergency.snapshot.entry_mut(parking.job);
        entry.fate = Fate::Parked;
        let entry = *entry;
        for place in 0..self.emergency.store.lot.limit() {
            if self.is_place_of(place, entry.pid)
                && let Some((owner, page)) = self.emergency.store.lot.owner(place)
            {
                self.evict(owner, page);
            }
        }
        let mut next = entry.first;
        while let Some(id) = next {
            next = self.processes[id.0].next_in_job;
            self.hold_process(id, Hold::Parked);
            self.emergency.store.name_parked(self.processes[id.0].pid);
            if let Some(space) = self.processes[id.0].space {
                self.spaces[space.0].is_away = true;
            }
        }
        self.emergency.record.add(Ended {
            pid: entry.pid,
            processes: entry.processes,
            name: entry.name,
            frames: self.frames.totals().free - before,
            verb: Verb::Parked,
        });
        self.after_parking();
    }

    /// Frees the frame of a page that is in the lot.
    pub(super) fn evict(&mut self, owner: ProcessId, page: Page) {
        let Some(space) = self.processes[owner.0].space else { return };
        let space = &mut self.spaces[space.0];
        if let Some((frame, _)) = self.machine.lookup(&space.tables, page) {
            self.emergency.store.wanted.clear(frame.0 as usize);
            self.emergency.store.held.clear(frame.0 as usize);
        }
        space.evict(&mut self.machine, &mut self.frames, page);
    }

    /// The threads of a process do not run until it is let go. Allocates nothing.
    pub(super) fn hold_process(&mut self, process: ProcessId, hold: Hold) {
        let record = &mut self.processes[process.0];
        record.hold = hold;
        for task in &record.threads {
            self.tasks[task.0].attention.insert(Attention::WANTED);
        }
    }

    /// Back to where the evacuation was, or on: to the next job, or out.
    fn after_parking(&mut self) {
        let store = &self.emergency.store;
        let has_more = store.is_ready() && store.wanted.count() > 0;
        let is_open = store.header.state != store_format::State::Idle;
        self.emergency.stage = match () {
            () if has_more && is_open => Stage::Write(Default::default()),
            () if has_more => Stage::Open,
            () => Stage::Wait,
        };
        if !self.park_next() {
            self.leave_if_enough();
        }
        self.draw();
    }
}
