//! The loop while the world stands still: keys, one step of the store, the screen.
//!
//! Every step is short, so that a key is seen at once however much there is to write.

use super::super::Kernel;
use crate::emergency::Stage;
use crate::emergency::input::Input;
use crate::emergency::picker::{Decision, Picker, PickerAction, Progress, Situation};
use crate::emergency::pressure::MemoryPressureLevel;
use crate::emergency::record::Decider;
use crate::emergency::screen::Screen;
use crate::emergency::snapshot::{Fate, MAX_SNAPSHOT_ENTRIES, Member};
use crate::machine::Machine;
use crate::task::{Hold, Process, ProcessId, Standing};

/// Keys are ignored for so long after the picker came up: what was being typed was not for it.
const DEAF_NS: u64 = 300_000_000;
/// The screen is drawn again no sooner, unless a key was pressed.
const REDRAW_NS: u64 = 50_000_000;
/// When the console took no more bytes, it is tried again after so long.
const CONSOLE_NS: u64 = 2_000_000;
const SECOND_NS: u64 = 1_000_000_000;
/// A job whose like was ended so often within this time is marked from the start.
const REPEATED: usize = 3;
const REPEATED_NS: u64 = 60 * SECOND_NS;

impl<M: Machine> Kernel<M> {
    /// The world has just stopped: who has what, and the picker comes up.
    pub(super) fn meet(&mut self) {
        let is_again = self.emergency.daemon.reply.is_some();
        if !is_again {
            self.emergency.records.count += 1;
            self.emergency.record.number = self.emergency.records.count;
        }
        self.emergency.level = MemoryPressureLevel::OutOfMemory;
        self.emergency.level_changes += 1;
        self.stop_resuming();
        self.take_snapshot();
        let are_away = self.emergency.store.held.count() > 0;
        match are_away {
            true if is_again => self.emergency.stage = Stage::Count(Default::default()),
            true => self.recall(),
            false => self.recalled(),
        }
        self.emergency.pending = None;
        self.emergency.picker = Picker::default();
        self.mark_repeaters();
        self.take_reply();
        self.emergency.input = Input::default();
        self.emergency.screen = Screen::default();
        self.emergency.serial.open();
        self.draw();
        self.emergency.record.shown_ns = self.now();
    }

    /// One round.
    pub(super) fn drive(&mut self) {
        self.take_keys();
        self.ask_policy();
        self.notify_entering_picker();
        self.end_test();
        let has_more = self.step() | self.carry_out();
        if self.is_done() && self.leave_screen() {
            self.thaw();
            return;
        }
        let now = self.now();
        let has_come_to_rest = self.emergency.is_busy && !has_more;
        if has_come_to_rest || now >= self.emergency.drawn_ns + REDRAW_NS {
            self.draw();
        }
        let is_shown = self.show();
        self.emergency.is_busy = has_more;
        self.emergency.wake_at = match () {
            () if !is_shown => Some(now + CONSOLE_NS),
            () if now < self.emergency.record.frozen_ns + DEAF_NS => Some(now + DEAF_NS),
            () if self.countdown().is_some() => Some(now + SECOND_NS / 4),
            () => self.asks_at().map(|at| at.max(now)),
        };
    }

    /// A test goes on by itself when everything is in the store, if memory suffices.
    fn end_test(&mut self) {
        if self.emergency.is_test && self.emergency.stage == Stage::Wait {
            self.emergency.is_test = false;
            self.emergency.pending = Some((Decision::Continue, Decider::Test));
        }
    }

    /// Lists who has what. When there may be more jobs than the list has room for, those with much
    /// come first, so that what is summed up as `others` is small.
    fn take_snapshot(&mut self) {
        self.emergency.snapshot.clear();
        if self.processes.len() <= MAX_SNAPSHOT_ENTRIES {
            self.add_to_snapshot(|_| true);
        } else {
            let most = self.frames.limit();
            for bits in (0..=bits_of(most)).rev() {
                self.add_to_snapshot(|pages| bits_of(pages.min(most)) == bits);
            }
        }
        self.emergency.snapshot.rank();
    }

    /// Adds the processes whose number of pages `is_wanted`.
    fn add_to_snapshot(&mut self, is_wanted: impl Fn(usize) -> bool) {
        for index in 0..self.processes.limit() {
            let Some(process) = self.processes.get(index) else { continue };
            let space = process.space.and_then(|space| self.spaces.get(space.0));
            let resident = space.map_or(0, |space| space.resident);
            if process.standing != Standing::Alive || !is_wanted(resident) {
                continue;
            }
            let member = Member {
                id: ProcessId(index),
                pid: process.pid,
                group: process.group,
                name: process.name(),
                resident,
                before: process.growth.before(),
                started_ns: process.started_ns,
                is_essential: self.is_essential(process),
            };
            let is_parked = process.hold == Hold::Parked;
            let (job, before) = self.emergency.snapshot.add(member);
            if is_parked {
                self.emergency.snapshot.entry_mut(job).fate = Fate::Parked;
            }
            self.processes[index].next_in_job = before;
        }
    }

    /// Whether others depend on a process: a daemon, or the first one.
    pub(crate) fn is_essential(&self, process: &Process) -> bool {
        let mut schemes = self.user_schemes.iter();
        let is_asked = self.emergency.daemon.registered.is_some_and(|one| one.pid == process.pid);
        is_asked
            || process.pid == 1
            || schemes.any(|(_, scheme)| scheme.daemon_space() == process.space)
    }

    /// Marks jobs that keep coming back: whose like was ended three times in the last minute.
    fn mark_repeaters(&mut self) {
        let since = self.now().saturating_sub(REPEATED_NS);
        let emergency = &mut *self.emergency;
        for job in 0..emergency.snapshot.len() {
            let entry = &emergency.snapshot.entries()[job];
            let may_end = entry.fate == Fate::Lives && !entry.is_essential && !entry.is_others;
            if may_end && emergency.records.ended_since(since, &entry.name) >= REPEATED {
                emergency.picker.set_mark(job, Some(PickerAction::Kill));
                emergency.picker.message =
                    "A job like the marked one was ended three times in the last minute.";
            }
        }
    }

    fn take_keys(&mut self) {
        let now = self.now();
        if now < self.emergency.record.frozen_ns + DEAF_NS {
            self.emergency.input.clear();
            self.emergency.pressed_ns = None;
            return;
        }
        let situation = self.situation();
        let mut was_pressed = false;
        while let Some(key) = self.emergency.input.key() {
            was_pressed = true;
            let emergency = &mut *self.emergency;
            let decision = emergency.picker.key(key, &emergency.snapshot, &situation);
            if let Some(decision) = decision {
                emergency.pending = Some((decision, Decider::Person));
                break;
            }
        }
        if was_pressed {
            self.draw();
        }
        if let Some(pressed) = self.emergency.pressed_ns.take() {
            let waited = self.now() - pressed;
            let record = &mut self.emergency.record;
            record.echo_ns = record.echo_ns.max(waited);
        }
    }

    /// Seconds until the policy decides: none when a person is there, or nobody is to decide.
    fn countdown(&self) -> Option<u64> {
        let emergency = &*self.emergency;
        let (_, seconds) = emergency.policy.0?;
        if emergency.picker.is_touched || self.is_leaving() {
            return None;
        }
        let since = emergency.record.decided_ns.max(emergency.record.frozen_ns);
        let waited = self.now().saturating_sub(since);
        Some((seconds * SECOND_NS).saturating_sub(waited).div_ceil(SECOND_NS))
    }

    fn ask_policy(&mut self) {
        if self.countdown() != Some(0) || self.emergency.pending.is_some() {
            return;
        }
        let emergency = &mut *self.emergency;
        let Some((rule, _)) = emergency.policy.0 else { return };
        match rule.choose(&emergency.snapshot) {
            Some(job) => {
                emergency.picker.unmark_all();
                emergency.picker.set_mark(job, Some(PickerAction::Kill));
                emergency.pending = Some((Decision::Act, Decider::Policy));
            }
            // Nothing is left that may be ended without asking.
            None => emergency.picker.is_touched = true,
        }
    }

    /// Whether enough has been decided.
    pub(super) fn is_leaving(&self) -> bool {
        !self.emergency.is_recalling
            && matches!(
                self.emergency.stage,
                Stage::Reopen
                    | Stage::Restore(_)
                    | Stage::Lock(_)
                    | Stage::Overwrite(_)
                    | Stage::OverwriteFlush
                    | Stage::Close
                    | Stage::CloseFlush
                    | Stage::Done
            )
    }

    fn situation(&self) -> Situation {
        let counts = self.frames.totals();
        let emergency = &*self.emergency;
        let store = &emergency.store;
        let (written, all) = (emergency.record.evacuated, store.wanted.count());
        let restored = emergency.record.restored;
        let progress = match emergency.stage {
            _ if emergency.is_recalling || self.is_leaving() && written > 0 => {
                Progress::Restoring(restored, restored + store.held.count())
            }
            _ if !store.is_ready() && written > 0 => Progress::Broken(store.why_not),
            _ if !store.is_ready() => Progress::None(store.why_not),
            Stage::Count(_) | Stage::Probe(_) => Progress::Counting,
            Stage::Park(_) | Stage::ParkFlush(_) => Progress::Parking,
            Stage::Open | Stage::OpenFlush | Stage::Write(_) => {
                Progress::Writing(written, written + all)
            }
            _ => Progress::Safe(written),
        };
        Situation {
            free: counts.free,
            total: counts.total,
            target: self.resume_target(),
            progress,
            countdown: self.countdown(),
            stopped_ns: emergency.record.frozen_ns,
            lost: store.lost.count(),
            can_park: if store.is_ready() { store.lot.room() } else { 0 },
            save_s: emergency.save_s,
        }
    }

    pub(super) fn draw(&mut self) {
        let situation = self.situation();
        let emergency = &mut *self.emergency;
        emergency.picker.draw(&mut emergency.screen, &emergency.snapshot, &situation);
        self.display.cover(&mut self.machine, emergency.screen.cells());
        self.emergency.drawn_ns = self.now();
        self.emergency.is_shown = false;
        self.show();
    }

    /// Sends what the terminal does not show yet. True when it shows everything. Comparing takes
    /// longer than many a step, so that it is done only after something has been drawn.
    fn show(&mut self) -> bool {
        let (emergency, machine) = (&mut *self.emergency, &mut self.machine);
        if !emergency.is_shown {
            let send = |bytes: &[u8]| machine.console_write(bytes);
            emergency.is_shown = emergency.serial.show(&emergency.screen, send);
        }
        emergency.is_shown
    }

    /// Gives the terminal back, unless the daemon is only being asked.
    fn leave_screen(&mut self) -> bool {
        match self.emergency.daemon.is_asking {
            true => self.show(),
            false => self.close_screen(),
        }
    }

    /// Gives the terminal back. True once all of that has been sent.
    fn close_screen(&mut self) -> bool {
        if self.emergency.serial.is_open() {
            self.draw();
            self.emergency.serial.close();
            self.emergency.is_shown = false;
        }
        let is_sent = self.show();
        self.emergency.is_busy = !is_sent;
        is_sent
    }

    /// Frames that must be free to go on: more than the reserve, or it would happen again at once.
    pub(super) fn resume_target(&self) -> usize {
        let total = self.frames.totals().total;
        self.frames.reserve() + (total / 32).max(16)
    }
}

/// How many bits a number of pages has.
fn bits_of(pages: usize) -> u32 {
    usize::BITS - pages.leading_zeros()
}
