//! `emergency:` — when memory runs out, the world stops and a person chooses.
//!
//! The parts here decide nothing about threads: [`pressure`] names levels, [`snapshot`] lists who
//! has what, [`picker`] turns keys into a choice, [`screen`] and [`input`] are its face, [`serial`]
//! shows it on a terminal, [`store`] keeps pages on a disk of its own. Stopping the world, ending
//! and going on are in `kernel/emergency`.
//!
//! Nothing here allocates between the moment the world stops and the moment it goes on:
//! everything has its place from boot on, and a counter proves it.

pub mod bits;
pub mod block;
pub mod daemon;
pub mod hash;
pub mod home;
pub mod input;
pub mod lot;
pub mod picker;
pub mod policy;
pub mod pressure;
pub mod record;
pub mod screen;
pub mod secrecy;
pub mod serial;
pub mod snapshot;
pub mod store;

pub use block::BlockIo;
pub use store::reserve_words;

use crate::kernel::TimerKey;
use crate::machine::{CpuId, Machine};
use crate::task::{Pid, QueueId};
use alloc::boxed::Box;
use daemon::Daemon;
use home::Homecoming;
use input::Input;
use picker::{Decision, Picker};
use policy::Policy;
use pressure::MemoryPressureLevel;
use record::{Decider, Record, Records};
use screen::Screen;
use serial::Serial;
use snapshot::Snapshot;
use store::Store;

/// How long a job may save its work unless the command line says otherwise, in seconds.
const SAVE_S: u64 = 20;

/// Whether the world goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Phase {
    /// It does.
    #[default]
    Calm,
    /// It does, but the kernel's heap cannot grow: what needs some of it is refused.
    Short,
    /// CPUs come in one by one.
    Gathering,
    /// Everything stands still.
    Frozen,
}

/// What is being done while the world stands still, one step at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Finding out whose pages are whose.
    Count(Walk),
    /// Measuring the disk, in a test.
    Probe(Probe),
    /// The header says that pages are being written.
    Open,
    /// That header stays.
    OpenFlush,
    /// Writing frames.
    Write(Sweep),
    /// The pages stay.
    WriteFlush,
    /// The header says that they do.
    Seal,
    /// And stays.
    SealFlush,
    /// Giving up the copies in memory, from this frame on.
    Erase(usize),
    /// Writing the pages of a job to the lot.
    Park(Parking),
    /// They stay there.
    ParkFlush(Parking),
    /// Nothing is left to do until somebody decides.
    Wait,
    /// The header says that pages are being read.
    Reopen,
    /// Bringing back what is held, and checking it.
    Restore(Sweep),
    /// Locking what is held, so that it comes back when it is touched.
    Lock(Locking),
    /// Writing zeroes over what can be read on the disk.
    Overwrite(Sweep),
    /// The zeroes stay.
    OverwriteFlush,
    /// The header says that the store holds nothing.
    Close,
    /// And stays.
    CloseFlush,
    /// The world may go on.
    Done,
}

/// How far counting is: which job, which of its processes, which page.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Walk {
    /// The job.
    pub entry: usize,
    /// The job's first process has been taken.
    pub is_begun: bool,
    /// The process; none behind the last.
    pub process: Option<crate::task::ProcessId>,
    /// The page of its space.
    pub page: usize,
    /// The second time round: taking back the tallies of shared frames.
    pub is_second: bool,
    /// Shared frames were met the first time.
    pub has_shared: bool,
}

/// How far measuring the disk is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Probe {
    /// Pages to write, and then to read.
    pub pages: usize,
    /// How many of them have been.
    pub done: usize,
    /// They are being read.
    pub is_reading: bool,
    /// When writing or reading began.
    pub began_ns: u64,
}

/// How far writing or reading is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sweep {
    /// The next frame.
    pub next: usize,
    /// Up to here page by page, because a run failed.
    pub narrow_until: usize,
    /// How often the disk has refused this one.
    pub tries: u8,
}

/// How far locking pages is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Locking {
    /// The next slot whose owners may have been ended. All are looked at before the first space.
    pub slot: usize,
    /// The space, by its number.
    pub space: usize,
    /// The page of it.
    pub page: usize,
}

/// How far parking a job is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Parking {
    /// The job, by its place in the snapshot.
    pub job: usize,
    /// The process whose pages are next; none behind the last.
    pub process: Option<crate::task::ProcessId>,
    /// The page of its space.
    pub page: usize,
    /// The first of the places that are being written.
    pub place: usize,
    /// How many of them.
    pub count: u32,
    /// The slot that is being read, because memory does not have the page.
    pub fetched: Option<usize>,
}

/// A job's pages are on their way back from the lot, while the world goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resuming {
    /// The job, by its lowest number.
    pub job: Pid,
    /// The next place to look at.
    pub next: usize,
    /// Places that are being read, from `next` on.
    pub count: u32,
    /// How often the disk has refused them.
    pub tries: u8,
}

/// Some jobs have time to save their work, and only they and what they need run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Saving {
    /// When the time is over.
    pub until_ns: u64,
    /// The timer that ends it.
    pub timer: TimerKey,
}

/// Everything about emergencies.
pub struct Emergency<M> {
    /// Without it, running out of memory is an error for whoever asked.
    pub is_enabled: bool,
    /// Whether the world stands still.
    pub phase: Phase,
    /// Who works while it does: the CPU that came in last.
    pub driver: Option<CpuId>,
    /// The driver must not halt: there is more to do at once.
    pub is_busy: bool,
    /// When the driver must look again at the latest.
    pub wake_at: Option<u64>,
    /// Nanoseconds that programs have not noticed.
    pub paused_ns: u64,
    /// Threads that were refused memory wait here.
    pub refused: QueueId,
    /// How short memory is.
    pub level: MemoryPressureLevel,
    /// Seconds since growth was noted.
    pub sampled_s: u32,
    /// The next tick of the pressure clock has been asked for.
    pub is_ticking: bool,
    /// Counts changes of the level, so that a reader knows whether it has seen the last.
    pub level_changes: u64,
    /// What is being done.
    pub stage: Stage,
    /// What has been decided, until what is on its way has arrived.
    pub pending: Option<(Decision, Decider)>,
    /// How often the disk has refused the header or the flush that this stage waits for.
    pub header_tries: u8,
    /// Where pages go.
    pub store: Store<M>,
    /// Frames lose their contents once they are in the store, as if they had been given away.
    pub is_erasing: bool,
    /// Pages come back when they are touched, after the world goes on.
    pub is_lazy: bool,
    /// The world has stopped anew while pages were away: they come back before anything else.
    pub is_recalling: bool,
    /// Pages that come back while the world goes on.
    pub home: Homecoming,
    /// Who has what.
    pub snapshot: Snapshot,
    /// The person's face of it.
    pub picker: Picker,
    /// What it shows.
    pub screen: Screen,
    /// Where that is shown.
    pub serial: Serial,
    /// All of it is.
    pub is_shown: bool,
    /// What is typed.
    pub input: Input,
    /// What happens when nobody answers.
    pub policy: Policy,
    /// How long a job may save its work, in seconds.
    pub save_s: u64,
    /// The program that decides in a person's stead.
    pub daemon: Daemon,
    /// This is a test: the disk is measured, everything goes there and back, and nobody is asked.
    pub is_test: bool,
    /// When a key was pressed that the screen does not show yet.
    pub pressed_ns: Option<u64>,
    /// Jobs that save their work now.
    pub saving: Option<Saving>,
    /// Threads that wait to be told to save.
    pub told_to_save: QueueId,
    /// The job that comes back from the lot now.
    pub resuming: Option<Resuming>,
    /// This emergency, as far as it is known.
    pub record: Record,
    /// Allocations from the kernel's heap before the world stopped.
    pub allocations_before: u64,
    /// Those before.
    pub records: Records,
    /// Interrupt lines that fired meanwhile, one bit each.
    pub lines: [u64; 4],
    /// When the picker was last drawn.
    pub drawn_ns: u64,
}

impl<M: Machine> Emergency<M> {
    /// No emergency. `reserve` is for the store.
    pub fn new(
        [refused, told_to_save, away]: [QueueId; 3],
        reserve: &'static mut [u64],
        frames: usize,
    ) -> Box<Self> {
        Box::new(Self {
            is_enabled: true,
            phase: Phase::Calm,
            driver: None,
            is_busy: false,
            wake_at: None,
            paused_ns: 0,
            refused,
            level: MemoryPressureLevel::Normal,
            sampled_s: 0,
            is_ticking: false,
            level_changes: 0,
            stage: Stage::Done,
            pending: None,
            header_tries: 0,
            store: Store::new(reserve, frames),
            is_erasing: false,
            is_lazy: false,
            is_recalling: false,
            home: Homecoming::new(away),
            snapshot: Snapshot::default(),
            picker: Picker::default(),
            screen: Screen::default(),
            serial: Serial::default(),
            is_shown: true,
            input: Input::default(),
            policy: Policy::default(),
            save_s: SAVE_S,
            daemon: Daemon::default(),
            is_test: false,
            pressed_ns: None,
            saving: None,
            told_to_save,
            resuming: None,
            record: Record::default(),
            allocations_before: 0,
            records: Records::default(),
            lines: [0; 4],
            drawn_ns: 0,
        })
    }

    /// Whether no CPU may run programs.
    pub fn is_active(&self) -> bool {
        matches!(self.phase, Phase::Gathering | Phase::Frozen)
    }

    /// Whether everything stands still.
    pub fn is_frozen(&self) -> bool {
        self.phase == Phase::Frozen
    }
}
