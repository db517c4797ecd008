//! Pages come back while the world goes on: when somebody touches them, and by themselves, a few
//! at a time, when nobody does.
//!
//! A page that is away stays mapped to its frame, locked. Whoever touches it is refused as if there
//! were no memory, and waits; what memory still holds unchanged is there at once, the rest is read
//! from the disk. Only what passes its hash is unlocked. A page that does not costs its owners.
//! The same goes for what daemons touch while one of them is asked what to do.

use super::super::{Kernel, Waiter};
use crate::emergency::block::{IoError, Operation, Run};
use crate::emergency::home::Homecoming;
use crate::emergency::record::{Ended as Gone, Record, Verb};
use crate::emergency::secrecy::Secrecy;
use crate::emergency::snapshot::short_name;
use crate::emergency::store::{Arrival, Store};
use crate::emergency::{Locking, Stage};
use crate::log::Level;
use crate::machine::Machine;
use crate::memory::{Frame, Page, Pages};
use crate::task::ProcessId;
use abi::wait::{ENDED_BY_EMERGENCY, Ended};

use alloc::string::String;
use alloc::vec::Vec;
use store_format::State;

/// Pages of a space looked at in one step while the world stands still.
const LOCK_STEP: usize = 1024;
/// Pages checked in one step of the sweep.
const SWEEP_STEP: usize = 32;
/// Most pages read at once: those behind the one that is wanted are likely to be wanted next.
const READ_MOST: u32 = 16;
/// How often the disk is asked for the same page.
const TRIES: u8 = 3;
/// Between two steps while a read is on its way, while a CPU is idle, and while none is.
const READING_NS: u64 = 100_000;
const IDLE_NS: u64 = 500_000;
const BUSY_NS: u64 = 10_000_000;

impl<M: Machine> Kernel<M> {
    /// Whether pages are to come back after the world goes on.
    pub(super) fn is_lazy(&self) -> bool {
        let emergency = &*self.emergency;
        let is_open = emergency.store.secrecy() != Secrecy::Overwrite;
        emergency.is_lazy
            && is_open
            && emergency.record.raw_pages == 0
            && emergency.store.is_ready()
    }

    /// Locks the next pages that are away, in every space that maps them.
    pub(super) fn lock_step(&mut self, mut at: Locking) {
        self.frames.has_away = true;
        for _ in 0..LOCK_STEP {
            let Some(slot) = self.emergency.store.held.next(at.slot) else { break };
            at.slot = slot + 1;
            if !self.frames.is_away(Frame(slot as u32)) {
                // Its owners were ended.
                self.emergency.store.held.clear(slot);
                self.emergency.record.discarded += 1;
            }
        }
        if self.emergency.store.held.next(at.slot).is_some() {
            return self.finish_stage(Stage::Lock(at));
        }
        let everything = Pages::USER;
        if at.space >= self.spaces.limit() {
            return self.finish_stage(Stage::Done);
        }
        let next = match self.spaces.get_mut(at.space) {
            Some(space) => {
                let (machine, page) = (&mut self.machine, Page(at.page));
                let next = space.lock_away(machine, &self.frames, page, LOCK_STEP);
                if next.is_none() {
                    machine.flush(&space.tables, everything);
                }
                next
            }
            None => None,
        };
        at = match next {
            Some(page) => Locking { page: page.0, ..at },
            None => Locking { space: at.space + 1, page: 0, ..at },
        };
        self.finish_stage(Stage::Lock(at));
    }

    /// The world goes on, and pages are away: from now on they come back.
    pub(super) fn begin_homecoming(&mut self) {
        if self.frames.has_away {
            self.emergency.home.next = 0;
            self.emergency.home.narrow_until = 0;
            self.come_home_in(IDLE_NS);
        }
    }

    fn come_home_in(&mut self, nanoseconds: u64) {
        if let Some(timer) = self.emergency.home.timer.take() {
            self.timers.cancel(timer);
        }
        let timer = self.add_timer(self.now() + nanoseconds, Waiter::Homecoming);
        self.emergency.home.timer = Some(timer);
    }

    /// Somebody has been refused, and waits: sends for the page that is away, or has an emergency
    /// find memory.
    pub(crate) fn seek_memory(&mut self) {
        if self.fetches.take_awaited().is_some() {
            return;
        }
        match self.frames.awaited.take() {
            Some(frame) => self.send_for(frame),
            None => self.want_emergency(),
        }
    }

    /// Somebody waits for the page of this frame.
    fn send_for(&mut self, frame: Frame) {
        let slot = frame.0 as usize;
        let is_coming = self.emergency.home.run.is_some_and(|run| holds(run, slot));
        if is_coming || self.emergency.store.lost.has(slot) {
            return;
        }
        if !self.frames.is_away(frame) || self.is_here(slot) {
            self.emergency.home.touched += 1;
            return self.wake_all(self.emergency.home.queue);
        }
        // While another page is on its way, this one is asked for again when that has arrived.
        if self.emergency.store.is_at_rest() {
            self.emergency.home.touched += 1;
            self.fetch_home(slot);
        }
    }

    /// Whether memory still has the page unchanged. Then it is back.
    fn is_here(&mut self, slot: usize) -> bool {
        let store = &mut self.emergency.store;
        let is_here = store.held.has(slot) && store.is_intact(&self.machine, slot);
        if is_here {
            self.has_come_home(slot);
        }
        is_here
    }

    fn has_come_home(&mut self, slot: usize) {
        self.emergency.store.held.clear(slot);
        self.frames.come_back(Frame(slot as u32));
        self.emergency.home.restored += 1;
    }

    /// Starts reading a page, and those behind it.
    fn fetch_home(&mut self, slot: usize) {
        let home = &self.emergency.home;
        let most = if slot < home.narrow_until || home.tries > 0 { 1 } else { READ_MOST };
        let store = &mut self.emergency.store;
        let run = store.held.next_run(slot, most).filter(|(first, _)| *first == slot);
        let count = run.map_or(0, |(_, count)| count);
        let is_away = |slot: &usize| self.frames.is_away(Frame(*slot as u32));
        let count = (slot..slot + count as usize).take_while(is_away).count() as u32;
        let started = match count {
            _ if !store.is_ready() => Err(IoError::Failed),
            0 => Err(IoError::Failed),
            count => store.read_run(&mut self.machine, slot, count),
        };
        match started {
            Ok(()) => {
                let frames = (slot..slot + count as usize).map(|slot| Frame(slot as u32));
                frames.for_each(|frame| self.frames.add_reference(frame));
                self.emergency.home.run = self.emergency.store.flying();
                self.come_home_in(READING_NS);
            }
            Err(_) => self.cannot_come_home(slot),
        }
    }

    /// The page is gone. Its owners end in the next step, outside of whatever happens now.
    fn cannot_come_home(&mut self, slot: usize) {
        self.emergency.store.held.clear(slot);
        self.emergency.store.lost.set(slot);
        self.emergency.home.tries = 0;
        self.emergency.home.lost += 1;
        self.come_home_in(0);
    }

    /// A step: what was read is checked, and the next page's turn comes.
    pub(crate) fn homecoming_step(&mut self) {
        self.emergency.home.timer = None;
        if self.emergency.is_active() {
            // What is on its way arrives in the emergency.
            return;
        }
        if self.emergency.home.run.is_some() {
            match self.emergency.store.poll(&mut self.machine) {
                Arrival::Pending => return self.come_home_in(READING_NS),
                Arrival::Over(operation, result) => self.came_from_disk(operation, result),
                Arrival::None => {}
            }
        }
        self.end_owners_of_lost();
        let is_asking = self.emergency.daemon.lease.is_some();
        if self.emergency.store.is_at_rest() && !is_asking {
            self.sweep_home();
        }
        let is_reading = self.emergency.home.run.is_some();
        let has_lost = self.emergency.store.lost.count() > 0;
        if is_reading || has_lost || is_asking {
            // A step has been asked for, or one will be by whoever touches a page.
            return;
        }
        if self.emergency.store.held.count() == 0 {
            return self.all_are_home();
        }
        let is_idle = self.cpus.iter().any(|cpu| cpu.current().is_none());
        self.come_home_in(if is_idle { IDLE_NS } else { BUSY_NS });
    }

    /// Checks the next pages, and starts reading where memory does not have what it should.
    fn sweep_home(&mut self) {
        for _ in 0..SWEEP_STEP {
            let next = self.emergency.home.next;
            let held = &self.emergency.store.held;
            let Some(slot) = held.next(next).or_else(|| held.next(0)) else { return };
            self.emergency.home.next = slot;
            if !self.frames.is_away(Frame(slot as u32)) {
                // Its owners have ended, or given it back.
                self.emergency.store.held.clear(slot);
            } else if !self.is_here(slot) {
                return self.fetch_home(slot);
            }
        }
    }

    /// A read is over.
    fn came_from_disk(&mut self, operation: Operation, result: Result<(), IoError>) {
        let Operation::Read(run) = operation else { return };
        self.unpin(run);
        if result == Err(IoError::Silent) {
            self.emergency.store.give_up("the disk does not answer");
        }
        let is_whole = self.take_home(run, result.is_ok());
        self.wake_all(self.emergency.home.queue);
        let slot = Store::<M>::slots(run).start;
        if is_whole {
            self.emergency.home.tries = 0;
        } else if run.count > 1 {
            // Who still waits asks again, for a page each.
            self.emergency.home.narrow_until = Store::<M>::slots(run).end;
        } else if self.emergency.home.tries + 1 < TRIES && self.emergency.store.is_ready() {
            self.emergency.home.tries += 1;
            self.fetch_home(slot);
        } else {
            self.cannot_come_home(slot);
        }
    }

    /// Checks what was read. Whether all of it is good, or nobody's any more.
    fn take_home(&mut self, run: Run, is_read: bool) -> bool {
        let mut is_whole = true;
        for slot in Store::<M>::slots(run) {
            if !self.frames.is_away(Frame(slot as u32)) {
                self.emergency.store.held.clear(slot);
                continue;
            }
            if is_read {
                self.emergency.store.decipher(&mut self.machine, slot);
                if self.is_here(slot) {
                    self.emergency.home.read_back += 1;
                    continue;
                }
            }
            is_whole = false;
        }
        is_whole
    }

    /// A read that was on its way when the world stopped is over. False when it was another one.
    pub(super) fn came_meanwhile(&mut self, op: Operation, result: Result<(), IoError>) -> bool {
        let Some(run) = self.emergency.home.run.filter(|run| op == Operation::Read(*run)) else {
            return false;
        };
        self.unpin(run);
        if result == Err(IoError::Silent) {
            self.emergency.store.give_up("the disk does not answer");
        }
        self.take_home(run, result.is_ok());
        true
    }

    /// The frames of a run are their owners' alone again.
    fn unpin(&mut self, run: Run) {
        if self.emergency.home.run == Some(run) {
            self.emergency.home.run = None;
            let slots = Store::<M>::slots(run);
            slots.for_each(|slot| self.frames.release(Frame(slot as u32)));
        }
    }

    /// Ends whoever has a page that could not be brought back.
    fn end_owners_of_lost(&mut self) {
        while let Some(slot) = self.emergency.store.lost.next(0) {
            self.emergency.store.lost.clear(slot);
            self.amend_record(|record| record.lost_pages += 1);
            let frame = Frame(slot as u32);
            let all = self.processes.iter();
            let owners = all.filter(|(_, process)| {
                let space = process.space.and_then(|space| self.spaces.get(space.0));
                space.is_some_and(|space| space.maps_any(&self.machine, |have| have == frame))
            });
            let owners: Vec<ProcessId> = owners.map(|(index, _)| ProcessId(index)).collect();
            owners.into_iter().for_each(|owner| self.lose_owner(owner));
        }
    }

    fn lose_owner(&mut self, process: ProcessId) {
        let before = self.frames.totals().free;
        let record = &self.processes[process.0];
        let (pid, name) = (record.pid, String::from(record.name()));
        self.end_process(process, Ended::Signalled(ENDED_BY_EMERGENCY));
        let frames = self.frames.totals().free.saturating_sub(before);
        let verb = Verb::Lost;
        let short = short_name(&name);
        let gone = Gone { pid, processes: 1, name: short, frames, verb };
        self.amend_record(|record| record.add(gone));
        self.log(
            Level::Error,
            "emergency",
            format_args!("ended {name} (pid {pid}): its pages could not be read back"),
        );
    }

    /// More has become known of the emergency that pages are away from.
    fn amend_record(&mut self, change: impl FnOnce(&mut Record)) {
        match self.emergency.daemon.was_asked {
            true => change(&mut self.emergency.record),
            false => self.emergency.records.amend(change),
        }
    }

    /// The store is empty, and its header says so.
    fn all_are_home(&mut self) {
        self.frames.has_away = false;
        if self.emergency.store.header.state != State::Idle {
            self.emergency.store.header.state = State::Idle;
            self.emergency.store.rewrite_header(&mut self.machine);
        }
        let home = self.end_homecoming();
        let (all, touched, lost) = (home.restored, home.touched, home.lost);
        self.log(
            Level::Info,
            "emergency",
            format_args!("{all} pages came home, for {touched} touches; {lost} were lost"),
        );
    }

    /// No page is away. What is known of those that came is part of the last record.
    fn end_homecoming(&mut self) -> Homecoming {
        let empty = Homecoming::new(self.emergency.home.queue);
        let home = core::mem::replace(&mut self.emergency.home, empty);
        self.emergency.records.amend(|last| {
            last.restored += home.restored;
            last.read_back += home.read_back;
        });
        home
    }

    /// The world stops anew, and pages are still away: they are to come back first, because the
    /// store is needed.
    pub(super) fn recall(&mut self) {
        if let Some(timer) = self.emergency.home.timer.take() {
            self.timers.cancel(timer);
        }
        self.emergency.is_recalling = true;
        self.emergency.stage = Stage::Restore(Default::default());
    }

    /// They are back, as after any emergency.
    pub(super) fn recalled(&mut self) {
        self.emergency.is_recalling = false;
        self.frames.has_away = false;
        self.end_homecoming();
        self.emergency.store.begin();
        self.finish_stage(Stage::Count(Default::default()));
    }
}

fn holds(run: Run, slot: usize) -> bool {
    let first = run.frame.0 as usize;
    (first..first + run.count as usize).contains(&slot)
}
