//! `emergency:snapshot` — who had the memory when the world stopped, by job.
//!
//! A job is what a person started with one command: the processes of one group that run the same
//! program. A list of fixed size with its room taken at boot; jobs that do not fit are summed up
//! as `others`. Making it costs the same whatever memory there is; what ending a job would free is
//! counted afterwards, while the picker is already on the screen.

use crate::task::{Pid, ProcessId};
use alloc::vec;
use alloc::vec::Vec;

/// Jobs that are told apart.
pub const MAX_SNAPSHOT_ENTRIES: usize = 512;
/// Places to look a job up: a power of two, at least twice the entries.
const PLACES: usize = 2048;
/// Bytes of a name that are kept.
pub const NAME_SIZE: usize = store_format::NAME_SIZE;
/// No entry.
const NONE: u16 = u16::MAX;

/// What is to become of a job.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fate {
    /// It goes on.
    #[default]
    Lives,
    /// It has been ended.
    Killed,
    /// The store could not give its pages back: it cannot go on.
    Lost,
    /// It is in the store, until somebody has it back.
    Parked,
}

/// One job.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotEntry {
    /// The lowest number among its processes.
    pub pid: Pid,
    /// Its process group.
    pub group: Pid,
    /// The start of its program's name.
    pub name: [u8; NAME_SIZE],
    /// Its processes.
    pub processes: u32,
    /// Pages they have, shared ones counted each time.
    pub resident: usize,
    /// Pages that nobody else has.
    pub would_free: usize,
    /// Pages that only one process has: those that parking it would free.
    pub would_park: usize,
    /// Pages more than about ten seconds ago.
    pub growth_10s: isize,
    /// Pages more than about a minute ago.
    pub growth_60s: isize,
    /// When the first of them started, nanoseconds since boot.
    pub started_ns: u64,
    /// A daemon or PID 1: others depend on it.
    pub is_essential: bool,
    /// PID 1, without which nothing goes on.
    pub is_first: bool,
    /// Several jobs that did not fit.
    pub is_others: bool,
    /// What has been decided.
    pub fate: Fate,
    /// One of its processes; each names the next.
    pub first: Option<ProcessId>,
}

/// What is known of one process when the list is made.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Where it is.
    pub id: ProcessId,
    /// Its number.
    pub pid: Pid,
    /// Its process group.
    pub group: Pid,
    /// Its program's name.
    pub name: &'a str,
    /// Pages it has.
    pub resident: usize,
    /// Pages it had about ten seconds and about a minute ago.
    pub before: [usize; 2],
    /// When it started, nanoseconds since boot.
    pub started_ns: u64,
    /// Whether others depend on it.
    pub is_essential: bool,
}

/// All jobs.
pub struct Snapshot {
    entries: Vec<SnapshotEntry>,
    places: Vec<u16>,
    order: Vec<u16>,
}

impl Default for Snapshot {
    fn default() -> Self {
        Self {
            entries: Vec::with_capacity(MAX_SNAPSHOT_ENTRIES + 1),
            places: vec![NONE; PLACES],
            order: Vec::with_capacity(MAX_SNAPSHOT_ENTRIES + 1),
        }
    }
}

impl Snapshot {
    /// Forgets everything, to begin anew.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
        self.places.fill(NONE);
    }

    /// Counts a process to its job. Returns the job, and the process that was counted before.
    pub fn add(&mut self, member: Member<'_>) -> (usize, Option<ProcessId>) {
        let name = short_name(member.name);
        let index = self.find_or_add(&member, name);
        let entry = &mut self.entries[index];
        entry.processes += 1;
        entry.resident += member.resident;
        entry.growth_10s += member.resident as isize - member.before[0] as isize;
        entry.growth_60s += member.resident as isize - member.before[1] as isize;
        entry.pid = entry.pid.min(member.pid);
        entry.started_ns = entry.started_ns.min(member.started_ns);
        entry.is_essential |= member.is_essential;
        entry.is_first |= member.pid == 1;
        (index, entry.first.replace(member.id))
    }

    fn find_or_add(&mut self, member: &Member<'_>, name: [u8; NAME_SIZE]) -> usize {
        let mut place = hash(member.group, &name);
        loop {
            let index = self.places[place % PLACES];
            if index == NONE {
                break;
            }
            let entry = &self.entries[index as usize];
            let is_same = entry.group == member.group && entry.name == name;
            if is_same && entry.is_first == (member.pid == 1) {
                return index as usize;
            }
            place += 1;
        }
        let is_others = self.entries.len() == MAX_SNAPSHOT_ENTRIES;
        if self.entries.len() > MAX_SNAPSHOT_ENTRIES {
            return MAX_SNAPSHOT_ENTRIES;
        }
        let index = self.entries.len();
        self.entries.push(SnapshotEntry {
            pid: member.pid,
            group: member.group,
            name: if is_others { others_name() } else { name },
            processes: 0,
            resident: 0,
            would_free: 0,
            would_park: 0,
            growth_10s: 0,
            growth_60s: 0,
            started_ns: u64::MAX,
            is_essential: false,
            is_first: member.pid == 1,
            is_others,
            fate: Fate::Lives,
            first: None,
        });
        if !is_others {
            self.places[place % PLACES] = index as u16;
        }
        index
    }

    /// Puts the jobs in the order in which a person should look at them: what is needed by others
    /// last, then by growth, then by what ending it would free.
    pub fn rank(&mut self) {
        self.order.clear();
        self.order.extend(0..self.entries.len() as u16);
        let entries = &self.entries;
        self.order.sort_unstable_by_key(|index| {
            let entry = &entries[*index as usize];
            let class = (entry.is_first, entry.is_essential, entry.is_others);
            let grown = core::cmp::Reverse(entry.growth_10s.max(entry.growth_60s));
            let size = core::cmp::Reverse(entry.would_free.max(entry.resident));
            (class, grown, size, entry.pid)
        });
    }

    /// How many jobs there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The jobs as they were found.
    pub fn entries(&self) -> &[SnapshotEntry] {
        &self.entries
    }

    /// A job by the index that [`Snapshot::add`] gave.
    pub fn entry_mut(&mut self, index: usize) -> &mut SnapshotEntry {
        &mut self.entries[index]
    }

    /// The index of the job in this row of the ranking.
    pub fn ranked(&self, row: usize) -> Option<usize> {
        self.order.get(row).map(|index| *index as usize)
    }

    /// The job that grows fastest among those that may be ended without asking.
    pub fn fastest_growing(&self) -> Option<usize> {
        self.best(|entry| entry.growth_10s.max(entry.growth_60s))
    }

    /// The largest job among those that may be ended without asking.
    pub fn largest(&self) -> Option<usize> {
        self.best(|entry| entry.resident as isize)
    }

    fn best(&self, measure: impl Fn(&SnapshotEntry) -> isize) -> Option<usize> {
        let may_end = |entry: &SnapshotEntry| {
            entry.fate == Fate::Lives && !entry.is_essential && !entry.is_others
        };
        let candidates = self.entries.iter().enumerate().filter(|(_, entry)| may_end(entry));
        candidates.max_by_key(|(_, entry)| (measure(entry), entry.resident)).map(|(index, _)| index)
    }
}

/// The start of a name, as lists of jobs have it.
pub fn short_name(name: &str) -> [u8; NAME_SIZE] {
    let mut short = [0; NAME_SIZE];
    let length = name.len().min(NAME_SIZE);
    short[..length].copy_from_slice(&name.as_bytes()[..length]);
    short
}

fn others_name() -> [u8; NAME_SIZE] {
    let mut name = [0; NAME_SIZE];
    name[..6].copy_from_slice(b"others");
    name
}

/// FNV-1a (Fowler, Noll, Vo) over group and name.
fn hash(group: Pid, name: &[u8]) -> usize {
    let bytes = group.to_le_bytes().into_iter().chain(name.iter().copied());
    let hash =
        bytes.fold(0x811C_9DC5_u32, |h, byte| (h ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(pid: Pid, group: Pid, name: &str, resident: usize, before: usize) -> Member<'_> {
        Member {
            id: ProcessId(pid as usize),
            pid,
            group,
            name,
            resident,
            before: [before; 2],
            started_ns: u64::from(pid),
            is_essential: pid < 10,
        }
    }

    #[test]
    fn many_small_leaks_of_one_command_are_one_job_and_lead() {
        let mut snapshot = Snapshot::default();
        snapshot.add(member(1, 1, "init", 900, 0));
        snapshot.add(member(20, 20, "editor", 500, 500));
        (30..78).for_each(|pid| {
            snapshot.add(member(pid, 30, "leak", 20, 0));
        });
        snapshot.add(member(90, 30, "sh", 5, 5));
        snapshot.rank();
        let leak = snapshot.entries()[snapshot.ranked(0).unwrap()];
        assert_eq!((&leak.name[..4], leak.processes, leak.resident), (&b"leak"[..], 48, 960));
        assert_eq!(snapshot.entries()[snapshot.ranked(3).unwrap()].pid, 1);
        assert_eq!(snapshot.fastest_growing(), snapshot.ranked(0));
        assert_eq!(snapshot.len(), 4);
    }

    #[test]
    fn five_thousand_jobs_are_told_apart_as_far_as_there_is_room() {
        let mut snapshot = Snapshot::default();
        (10..5010).for_each(|pid| {
            snapshot.add(member(pid, pid, "x", 1, 0));
        });
        snapshot.rank();
        assert_eq!(snapshot.len(), MAX_SNAPSHOT_ENTRIES + 1);
        let others = snapshot.entries()[MAX_SNAPSHOT_ENTRIES];
        assert_eq!(others.processes as usize, 5000 - MAX_SNAPSHOT_ENTRIES);
        assert_eq!(snapshot.ranked(MAX_SNAPSHOT_ENTRIES), Some(MAX_SNAPSHOT_ENTRIES));
    }

    #[test]
    fn a_long_name_is_cut_and_links_go_from_process_to_process() {
        let mut snapshot = Snapshot::default();
        let name = "n".repeat(300);
        assert_eq!(snapshot.add(member(20, 20, &name, 1, 0)), (0, None));
        assert_eq!(snapshot.add(member(21, 20, &name, 1, 0)), (0, Some(ProcessId(20))));
        assert_eq!(snapshot.entries()[0].first, Some(ProcessId(21)));
    }
}
