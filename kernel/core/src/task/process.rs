//! `proc:PID` — what the threads of a process share.

use super::{QueueId, TaskId};
use crate::handle::FileTable;
use crate::kernel::Alarms;
use crate::memory::SpaceId;
use crate::namespace::View;
use crate::schedule::Priority;
use crate::signal::ProcessSignals;
use abi::wait::{Change, Ended};
use alloc::string::String;
use alloc::vec::Vec;

/// A process's public number.
pub type Pid = u32;

/// The index of a process in the kernel's table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ProcessId(pub usize);

impl ProcessId {
    /// No process.
    pub const NONE: ProcessId = ProcessId(usize::MAX);
}

/// Whose it is: real and effective user and group.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ids {
    /// Real user.
    pub ruid: u32,
    /// Effective user; 0 may do everything.
    pub euid: u32,
    /// Real group.
    pub rgid: u32,
    /// Effective group.
    pub egid: u32,
}

/// Whether a process lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It has threads.
    Alive,
    /// It is to end so, once its CPUs have let go of its threads.
    Ending(Ended),
    /// It ended so; its parent has not asked yet.
    Zombie(Ended),
}

/// Why a process does not run although nobody has stopped it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Hold {
    /// It does run.
    #[default]
    None,
    /// It waits while another job saves its work.
    Waits,
    /// It is parked: its pages are in the store.
    Parked,
}

/// What processes have used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Ticks in user code, and in the kernel on its behalf.
    pub ticks: [u64; 2],
    /// The most pages that one of them had at once.
    pub peak: usize,
}

impl Usage {
    /// Adds what others have used.
    pub fn add(&mut self, other: Self) {
        self.ticks[0] += other.ticks[0];
        self.ticks[1] += other.ticks[1];
        self.peak = self.peak.max(other.peak);
    }
}

/// One process.
pub struct Process {
    /// Its number.
    pub pid: Pid,
    /// Who started it, or PID 1 after that one ended.
    pub parent: Pid,
    /// Children that have not been waited for.
    pub children: Vec<Pid>,
    /// Process group.
    pub group: Pid,
    /// Session.
    pub session: Pid,
    /// User and group.
    pub ids: Ids,
    /// Its memory; none once it has ended.
    pub space: Option<SpaceId>,
    /// Its open files.
    pub files: FileTable,
    /// Its threads.
    pub threads: Vec<TaskId>,
    /// The names of schemes that it can use.
    pub view: View,
    /// Working directory; the runtime resolves relative paths against it.
    pub cwd: String,
    /// The program's path.
    pub exe: String,
    /// The arguments, each ended by a NUL.
    pub command_line: Vec<u8>,
    /// Dispositions, and signals no thread has taken yet.
    pub signals: ProcessSignals,
    /// Whether it lives.
    pub standing: Standing,
    /// Stopped by a signal until `SIGCONT`.
    pub is_stopped: bool,
    /// The last stop or continuation, until the parent has been told.
    pub change: Option<Change>,
    /// When `SIGALRM` comes, and other signals that were asked for.
    pub alarms: Alarms,
    /// Whether it is kept for the crash collector when it crashes.
    pub leaves_core: bool,
    /// Bits that new files do not get; the runtime applies it.
    pub umask: u32,
    /// Woken when a child ends, stops or goes on.
    pub child_ended: QueueId,
    /// How urgent its threads are.
    pub priority: Priority,
    /// What it used: the time of threads that have ended, and all of it once it has ended itself.
    pub past: Usage,
    /// What children used that it has waited for, and theirs.
    pub reaped: Usage,
    /// When it started, nanoseconds since boot.
    pub started_ns: u64,
    /// How often it wanted to trace what it may not.
    pub refusals: u64,
    /// The log has told that it uses call numbers that do not exist.
    pub is_warned: bool,
    /// How much memory it had, while memory was short.
    pub growth: Growth,
    /// Chosen to end when the world goes on.
    pub is_doomed: bool,
    /// Why it does not run, if it does not.
    pub hold: Hold,
    /// It has been given time to save its work, and ends then.
    pub is_saving: bool,
    /// The lowest number among those it was parked with.
    pub parked_with: Pid,
    /// The next process of the same job, in the list of the last emergency.
    pub next_in_job: Option<ProcessId>,
}

/// How much memory a process had lately, noted every ten seconds while memory is short.
#[derive(Clone, Copy, Debug, Default)]
pub struct Growth {
    /// Pages, the latest note first.
    notes: [u32; 6],
}

impl Growth {
    /// Notes how many pages it has now.
    pub fn note(&mut self, pages: usize) {
        self.notes.rotate_right(1);
        self.notes[0] = pages as u32;
    }

    /// Pages it had at the latest note and at the oldest.
    pub fn before(&self) -> [usize; 2] {
        [self.notes[0] as usize, self.notes[5] as usize]
    }
}

impl Process {
    /// The last part of the program's path.
    pub fn name(&self) -> &str {
        self.exe.rsplit(['/', ':']).next().unwrap_or(&self.exe)
    }
}
