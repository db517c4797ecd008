//! `proc:` — processes. `proc:` lists their numbers, `proc:PID/` what there is to know of one;
//! `proc:self` is the reader's own.
//!
//! `proc:PID/thread/TID/` is about one thread; its files are in `proc:PID/` too, for the process's
//! first one. Through `trace`, `regs/` and `mem` a tracer takes a process apart: those who may not
//! are refused when they open. `proc:crashes` is for the one who writes down what crashes.

mod crashes;
mod find;
mod limits;
mod memory;
mod names;
mod priority;
mod profile;
mod registers;
mod rows;
mod session;
mod stack;
mod thread;

use super::text::Subject;
use super::{Opened, Position, Scheme, directory::Entry};
use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::UserSlice;
use crate::task::{Pid, ProcessId};
use abi::redox::data::Stat;
use abi::redox::flag::*;
use alloc::format;
use alloc::string::{String, ToString};
use find::{Found, find};
pub use registers::Set;
use rows::Rows;
use thread::ThreadRows;

pub(super) struct Proc;

impl<M: Machine> Scheme<M> for Proc {
    fn name(&self) -> &'static str {
        "proc"
    }

    fn open(&self, k: &mut Kernel<M>, caller: Caller, path: &str, flags: usize) -> Outcome<Opened> {
        let subject = match find(k, caller, path)? {
            Found::Open(subject) => subject,
            Found::Crashes if flags & O_STAT != 0 => Subject::Crashes,
            Found::Crashes => return crashes::open(k, caller),
            Found::Guarded(task, _) if flags & O_STAT != 0 => {
                // Looking at the outside begins no session.
                Subject::Outside(k.thread_key(task))
            }
            Found::Guarded(task, wanted) => {
                thread::check_authority(k, caller, k.tasks[task.0].process)?;
                return thread::open(k, caller, task, wanted, flags);
            }
        };
        let may_write = match subject {
            Subject::ProcessRow(_, row) => Rows::<M>::ALL[row].write.is_some(),
            subject => is_directory(subject),
        };
        if flags & O_WRONLY != 0 && !may_write {
            return fail(EACCES);
        }
        Opened::positioned(k.texts.open(subject))
    }

    fn read(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        into: UserSlice,
        at: Position,
    ) -> Outcome {
        match k.texts.subject(number)? {
            Subject::Trace(id) => session::read(k, caller, id, into, at.is_nonblocking),
            Subject::Memory(memory) => memory::read(k, caller, memory, into, at.offset as usize),
            Subject::Registers(key, set) => registers::read(k, caller, key, set, into, at.offset),
            Subject::Profile(profile) => profile::read(k, caller, profile, into),
            Subject::Crashes if k.crashes.collector == Some(number) => {
                crashes::read(k, caller, into, at.is_nonblocking)
            }
            _ => k.read_text(caller, number, into, at.offset, |k, subject| match subject {
                Subject::ProcessRow(pid, row) => {
                    let process = k.find_process(pid).ok_or(Errno(ESRCH))?;
                    Ok((Rows::<M>::ALL[row].read)(k, process))
                }
                Subject::ThreadRow(key, row) => {
                    let task = k.task_of(key)?;
                    (ThreadRows::<M>::ALL[row].read)(k, task)
                }
                Subject::Descriptor(pid, fd) => descriptor(k, pid, fd),
                _ => fail(EISDIR),
            }),
        }
    }

    fn write(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        from: UserSlice,
        at: Position,
    ) -> Outcome {
        match k.texts.subject(number)? {
            Subject::Trace(id) => session::write(k, caller, id, from),
            Subject::Memory(memory) => memory::write(k, caller, memory, from, at.offset as usize),
            Subject::Registers(key, set) => registers::write(k, caller, key, set, from),
            Subject::Profile(profile) => profile::write(k, caller, profile, from),
            Subject::ProcessRow(pid, row) => {
                let write = Rows::<M>::ALL[row].write.ok_or(Errno(EBADF))?;
                let command = k.copy_in_command(caller, from)?;
                let process = k.find_process(pid).ok_or(Errno(ESRCH))?;
                write(k, caller, process, command.trim())?;
                Ok(from.length)
            }
            _ => fail(EBADF),
        }
    }

    fn call(
        &self,
        k: &mut Kernel<M>,
        caller: Caller,
        number: usize,
        payload: UserSlice,
        words: &[usize],
    ) -> Outcome {
        match (k.texts.subject(number)?, words) {
            (Subject::Memory(memory), [abi::trace::READ_VECTOR, count]) => {
                memory::read_many(k, caller, memory, payload, *count)
            }
            _ => fail(EOPNOTSUPP),
        }
    }

    fn close(&self, k: &mut Kernel<M>, number: usize) {
        let subject = k.texts.subject(number);
        k.texts.close(number);
        match subject {
            Ok(Subject::Trace(id)) => k.end_session(id),
            Ok(Subject::Memory(memory)) => memory::close(k, memory),
            Ok(Subject::Profile(profile)) => k.end_profile(profile),
            Ok(Subject::Crashes) if k.crashes.collector == Some(number) => k.end_collector(),
            _ => {}
        }
    }

    fn ready(&self, k: &mut Kernel<M>, number: usize) -> EventFlags {
        match k.texts.subject(number) {
            Ok(Subject::Trace(id)) => session::ready(k, id),
            Ok(Subject::Crashes) => crashes::ready(k),
            _ => EventFlags::EVENT_READ,
        }
    }

    fn path(&self, k: &mut Kernel<M>, number: usize) -> String {
        match k.texts.subject(number) {
            Ok(Subject::Process(pid)) => pid.to_string(),
            Ok(Subject::ProcessRow(pid, row)) => format!("{pid}/{}", Rows::<M>::ALL[row].name),
            Ok(Subject::Descriptors(pid)) => format!("{pid}/fd"),
            Ok(Subject::Descriptor(pid, fd)) => format!("{pid}/fd/{fd}"),
            Ok(Subject::Threads(pid)) => format!("{pid}/thread"),
            Ok(Subject::Thread(pid, tid)) => format!("{pid}/thread/{tid}"),
            Ok(Subject::RegisterList(key)) => format!("{}/thread/{}/regs", key.pid, key.tid),
            Ok(Subject::Registers(key, set)) => {
                format!("{}/thread/{}/regs/{}", key.pid, key.tid, set.name())
            }
            Ok(Subject::Crashes) => find::CRASHES.to_string(),
            Ok(Subject::ThreadRow(key, row)) => {
                format!("{}/thread/{}/{}", key.pid, key.tid, ThreadRows::<M>::ALL[row].name)
            }
            _ => String::new(),
        }
    }

    fn stat(&self, k: &mut Kernel<M>, number: usize) -> Outcome<Stat> {
        let subject = k.texts.subject(number)?;
        let (owner, st_mode) = match subject {
            Subject::Trace(_) | Subject::Memory(_) | Subject::Profile(_) | Subject::Crashes => {
                (None, MODE_FILE | 0o600)
            }
            Subject::Registers(key, _) | Subject::Outside(key) => {
                (k.find_process(key.pid), MODE_FILE | 0o600)
            }
            Subject::ThreadRow(key, _) => (k.find_process(key.pid), MODE_FILE | 0o400),
            Subject::RegisterList(key) => (k.find_process(key.pid), MODE_DIR | 0o555),
            Subject::ProcessRow(pid, row) if Rows::<M>::ALL[row].write.is_some() => {
                (k.find_process(pid), MODE_FILE | 0o644)
            }
            Subject::ProcessRow(pid, _) | Subject::Descriptor(pid, _) => {
                (k.find_process(pid), MODE_FILE | 0o444)
            }
            Subject::Process(pid)
            | Subject::Descriptors(pid)
            | Subject::Threads(pid)
            | Subject::Thread(pid, _) => (k.find_process(pid), MODE_DIR | 0o555),
            _ => (None, MODE_DIR | 0o555),
        };
        let ids = owner.map(|process| k.processes[process.0].ids).unwrap_or_default();
        Ok(Stat { st_mode, st_nlink: 1, st_uid: ids.euid, st_gid: ids.egid, ..Stat::default() })
    }

    fn entry(
        &self,
        k: &mut Kernel<M>,
        _: Caller,
        number: usize,
        from: usize,
    ) -> Outcome<Option<Entry>> {
        match k.texts.subject(number)? {
            Subject::ProcessList => {
                // By number, so that a process that ends meanwhile hides no other.
                let pid = k.pids.keys().filter(|pid| **pid as usize >= from).min();
                Ok(pid.map(|pid| Entry::directory(*pid as usize, pid.to_string())))
            }
            Subject::Process(_) => {
                let rows = Rows::<M>::ALL.iter().map(|row| (row.name, false));
                let folders = [("fd", true), ("thread", true)];
                Ok(named(rows.chain(folders).chain(thread::names::<M>(true)), from))
            }
            Subject::Thread(..) => Ok(named(thread::names::<M>(false), from)),
            Subject::RegisterList(_) => {
                Ok(named(Set::ALL.iter().map(|set| (set.name(), false)), from))
            }
            Subject::Descriptors(pid) => {
                let process = k.find_process(pid).ok_or(Errno(ESRCH))?;
                let mut open = k.processes[process.0].files.iter();
                let fd = open.find(|(fd, _)| *fd >= from);
                Ok(fd.map(|(fd, _)| Entry::file(fd, fd.to_string())))
            }
            Subject::Threads(pid) => {
                let process = k.find_process(pid).ok_or(Errno(ESRCH))?;
                let threads = k.processes[process.0].threads.iter();
                let tids = threads.map(|task| k.tasks[task.0].tid as usize);
                let tid = tids.filter(|tid| *tid >= from).min();
                Ok(tid.map(|tid| Entry::directory(tid, tid.to_string())))
            }
            _ => fail(ENOTDIR),
        }
    }
}

fn is_directory(subject: Subject) -> bool {
    !matches!(subject, Subject::ProcessRow(..) | Subject::Descriptor(..) | Subject::Crashes)
}

/// The entry at a place of a fixed list.
fn named(mut names: impl Iterator<Item = (&'static str, bool)>, from: usize) -> Option<Entry> {
    names.nth(from).map(|(name, is_directory)| match is_directory {
        true => Entry::directory(from, name),
        false => Entry::file(from, name),
    })
}

/// `proc:PID/fd/N` — the path it was opened as, position and flags.
fn descriptor<M: Machine>(k: &mut Kernel<M>, pid: Pid, fd: usize) -> Outcome<String> {
    let process: ProcessId = k.find_process(pid).ok_or(Errno(ESRCH))?;
    let fd = k.processes[process.0].files.get(fd)?;
    let description = &k.descriptions[fd.description.0];
    Ok(format!(
        "path: {}\noffset: {}\nflags: {:#x}\nclose_on_exec: {}\n",
        description.path, description.offset, description.flags, fd.is_close_on_exec,
    ))
}
