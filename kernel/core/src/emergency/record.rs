//! `emergency:log` — what happened, who decided, how long it took.

use super::snapshot::NAME_SIZE;
use alloc::collections::VecDeque;
use core::fmt;

/// Jobs named in one record.
const NAMED: usize = 8;
/// Records kept.
const KEPT: usize = 32;

/// Who chose.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Decider {
    /// A person, at the picker.
    #[default]
    Person,
    /// The policy, because nobody answered.
    Policy,
    /// The registered daemon.
    Daemon,
    /// Nobody: it was a test.
    Test,
}

/// What became of a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Verb {
    /// It was ended.
    #[default]
    Ended,
    /// It got time to save, and then ended.
    Saved,
    /// It is in the store.
    Parked,
    /// Its pages could not be brought back; nobody chose it.
    Lost,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verb::Ended => "ended",
            Verb::Saved => "saved and ended",
            Verb::Parked => "parked",
            Verb::Lost => "lost",
        })
    }
}

/// A job that did not just go on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ended {
    /// Its first process.
    pub pid: u32,
    /// How many processes.
    pub processes: u32,
    /// The start of its name.
    pub name: [u8; NAME_SIZE],
    /// Frames that came free.
    pub frames: usize,
    /// What became of it.
    pub verb: Verb,
}

/// One emergency. Moments are nanoseconds since boot, with pauses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Record {
    /// Counted from 1.
    pub number: u64,
    /// A program was refused memory.
    pub wanted_ns: u64,
    /// The last CPU came in.
    pub frozen_ns: u64,
    /// The picker was on its way to the screen.
    pub shown_ns: u64,
    /// Everything that can be was in the store.
    pub safe_ns: u64,
    /// It was decided.
    pub decided_ns: u64,
    /// The world went on.
    pub thawed_ns: u64,
    /// When the pages began to be written, or read.
    pub began_ns: u64,
    /// Nanoseconds for writing all pages, and for bringing them back.
    pub write_ns: u64,
    /// As above.
    pub read_ns: u64,
    /// In a test: pages that went to the disk and back before, and the nanoseconds for each way.
    pub raw_pages: usize,
    /// As above.
    pub raw_write_ns: u64,
    /// As above.
    pub raw_read_ns: u64,
    /// The longest time from a key to its echo, in nanoseconds.
    pub echo_ns: u64,
    /// Who decided.
    pub decider: Decider,
    /// Pages written to the store.
    pub evacuated: usize,
    /// Pages that were held in memory or read back, and found unchanged.
    pub restored: usize,
    /// Of those, read back from the disk.
    pub read_back: usize,
    /// Pages of ended jobs, never brought back.
    pub discarded: usize,
    /// Pages that the disk refused to take; they stayed in memory.
    pub failed_writes: usize,
    /// Pages that were not what had been written.
    pub lost_pages: usize,
    /// Pages that can still be read on the store's disk.
    pub readable: usize,
    /// Allocations from the kernel's heap between freezing and going on: must be 0.
    pub allocations: u64,
    /// Frames free before and after.
    pub free: [usize; 2],
    /// Who ended.
    pub ended: [Ended; NAMED],
    /// How many did; the first few are named.
    pub ended_count: usize,
}

impl Record {
    /// Notes a job that ended.
    pub fn add(&mut self, ended: Ended) {
        if let Some(place) = self.ended.get_mut(self.ended_count) {
            *place = ended;
        }
        self.ended_count += 1;
    }

    /// The jobs that are named.
    pub fn named(&self) -> &[Ended] {
        &self.ended[..self.ended_count.min(NAMED)]
    }
}

/// A name with everything but printable ASCII made harmless.
pub struct Name<'a>(pub &'a [u8]);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.iter().take_while(|byte| **byte != 0) {
            let shown = if matches!(byte, b' '..=b'~') { *byte as char } else { '?' };
            fmt::Write::write_char(f, shown)?;
        }
        Ok(())
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |from: u64, to: u64| to.saturating_sub(from) / 1_000_000;
        let kib = |frames: usize| frames * 4;
        writeln!(f, "emergency: {}", self.number)?;
        writeln!(f, "at_ms: {}", self.wanted_ns / 1_000_000)?;
        writeln!(f, "freeze_us: {}", self.frozen_ns.saturating_sub(self.wanted_ns) / 1000)?;
        writeln!(f, "picker_us: {}", self.shown_ns.saturating_sub(self.wanted_ns) / 1000)?;
        writeln!(f, "evacuate_ms: {}", millis(self.frozen_ns, self.safe_ns))?;
        writeln!(f, "decide_ms: {}", millis(self.frozen_ns, self.decided_ns))?;
        writeln!(f, "restore_ms: {}", millis(self.decided_ns, self.thawed_ns))?;
        let decider = match self.decider {
            Decider::Person => "person",
            Decider::Policy => "policy",
            Decider::Daemon => "daemon",
            Decider::Test => "test",
        };
        writeln!(f, "decided_by: {decider}")?;
        writeln!(f, "echo_us: {}", self.echo_ns / 1000)?;
        writeln!(f, "write_ns: {}", self.write_ns)?;
        writeln!(f, "read_ns: {}", self.read_ns)?;
        if self.raw_pages > 0 {
            writeln!(f, "raw_pages: {}", self.raw_pages)?;
            writeln!(f, "raw_write_ns: {}", self.raw_write_ns)?;
            writeln!(f, "raw_read_ns: {}", self.raw_read_ns)?;
        }
        writeln!(f, "evacuated: {}", self.evacuated)?;
        writeln!(f, "restored: {}", self.restored)?;
        writeln!(f, "read_back: {}", self.read_back)?;
        writeln!(f, "discarded: {}", self.discarded)?;
        writeln!(f, "failed_writes: {}", self.failed_writes)?;
        writeln!(f, "lost_pages: {}", self.lost_pages)?;
        writeln!(f, "readable: {}", self.readable)?;
        writeln!(f, "allocations: {}", self.allocations)?;
        writeln!(f, "free_before_kib: {}", kib(self.free[0]))?;
        writeln!(f, "free_after_kib: {}", kib(self.free[1]))?;
        for ended in self.named() {
            writeln!(
                f,
                "{}: {} (pid {}, {} processes, {} KiB)",
                ended.verb,
                Name(&ended.name),
                ended.pid,
                ended.processes,
                kib(ended.frames)
            )?;
        }
        match self.ended_count.saturating_sub(NAMED) {
            0 => Ok(()),
            more => writeln!(f, "ended: {more} more jobs"),
        }
    }
}

/// The last emergencies.
pub struct Records {
    kept: VecDeque<Record>,
    /// How many there have been.
    pub count: u64,
}

impl Default for Records {
    fn default() -> Self {
        Self { kept: VecDeque::with_capacity(KEPT), count: 0 }
    }
}

impl Records {
    /// Keeps a record; the oldest goes when there are too many.
    pub fn add(&mut self, record: Record) {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(record);
    }

    /// Something more has become known of the last emergency.
    pub fn amend(&mut self, change: impl FnOnce(&mut Record)) {
        if let Some(last) = self.kept.back_mut() {
            change(last);
        }
    }

    /// How many jobs of this name were ended since then.
    pub fn ended_since(&self, since_ns: u64, name: &[u8; NAME_SIZE]) -> usize {
        let late = self.kept.iter().filter(|record| record.decided_ns >= since_ns);
        let ended = late.flat_map(|record| record.named());
        ended.filter(|ended| ended.verb == Verb::Ended && ended.name == *name).count()
    }

    /// Those that are kept, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.kept.iter()
    }
}
