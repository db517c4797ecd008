//! Paths inside `proc:`.

use super::registers::Set;
use super::rows::Rows;
use super::thread::{ThreadRows, Wanted};
use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::scheme::text::{Subject, parse_number};
use crate::task::{ProcessId, TaskId};

/// The one file that is no process's.
pub(super) const CRASHES: &str = "crashes";

/// What a path names.
pub(super) enum Found {
    /// What everybody may look at.
    Open(Subject),
    /// What only those may open who may trace the thread.
    Guarded(TaskId, Wanted),
    /// For one alone, who collects what has crashed.
    Crashes,
}

/// What a path inside the scheme names. `ENOENT`; `ESRCH` for a thread's file of a process that
/// has none any more.
pub(super) fn find<M: Machine>(k: &Kernel<M>, caller: Caller, path: &str) -> Outcome<Found> {
    if path.is_empty() {
        return Ok(Found::Open(Subject::ProcessList));
    }
    if path == CRASHES {
        return Ok(Found::Crashes);
    }
    let (who, rest) = path.split_once('/').unwrap_or((path, ""));
    let pid = match who {
        "self" => k.processes[caller.process.0].pid,
        number => parse_number(number).ok_or(Errno(ENOENT))?,
    };
    let process = k.find_process(pid).ok_or(Errno(ENOENT))?;
    let (first, below) = rest.split_once('/').unwrap_or((rest, ""));
    let subject = match (first, below) {
        ("", _) => Subject::Process(pid),
        ("fd", "") => Subject::Descriptors(pid),
        ("fd", fd) => {
            let fd = parse_number(fd).ok_or(Errno(ENOENT))?;
            k.processes[process.0].files.get(fd).map_err(|_| Errno(ENOENT))?;
            Subject::Descriptor(pid, fd)
        }
        ("thread", "") => Subject::Threads(pid),
        ("thread", below) => return find_thread(k, process, below),
        _ => match Rows::<M>::ALL.iter().position(|row| row.name == rest) {
            Some(row) => Subject::ProcessRow(pid, row),
            None => {
                let threads = &k.processes[process.0].threads;
                let wanted = wanted::<M>(rest).ok_or(Errno(ENOENT))?;
                let task = *threads.first().ok_or(Errno(ESRCH))?;
                return Ok(of_thread(k, task, wanted));
            }
        },
    };
    Ok(Found::Open(subject))
}

/// What a path below `thread/` names.
fn find_thread<M: Machine>(k: &Kernel<M>, process: ProcessId, path: &str) -> Outcome<Found> {
    let (tid, rest) = path.split_once('/').unwrap_or((path, ""));
    let tid = parse_number(tid).ok_or(Errno(ENOENT))?;
    let task = k.tids.get(&tid).copied().ok_or(Errno(ENOENT))?;
    if k.tasks[task.0].process != process {
        return fail(ENOENT);
    }
    if rest.is_empty() {
        return Ok(Found::Open(Subject::Thread(k.processes[process.0].pid, tid)));
    }
    let wanted = wanted::<M>(rest).ok_or(Errno(ENOENT))?;
    Ok(of_thread(k, task, wanted))
}

fn of_thread<M: Machine>(k: &Kernel<M>, task: TaskId, wanted: Wanted) -> Found {
    let key = k.thread_key(task);
    match wanted {
        Wanted::RegisterList => Found::Open(Subject::RegisterList(key)),
        Wanted::Row(row) if !ThreadRows::<M>::ALL[row].is_guarded => {
            Found::Open(Subject::ThreadRow(key, row))
        }
        wanted => Found::Guarded(task, wanted),
    }
}

/// Which of a thread's files a name means.
fn wanted<M: Machine>(name: &str) -> Option<Wanted> {
    match name {
        "trace" => Some(Wanted::Trace),
        "mem" => Some(Wanted::Memory),
        "profile" => Some(Wanted::Profile),
        "regs" => Some(Wanted::RegisterList),
        _ => match name.strip_prefix("regs/") {
            Some(set) => Set::ALL.iter().find(|have| have.name() == set).copied().map(Wanted::Set),
            None => ThreadRows::<M>::ALL.iter().position(|row| row.name == name).map(Wanted::Row),
        },
    }
}
