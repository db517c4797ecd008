//! `proc:` — processes. `proc:` lists their numbers, `proc:PID/` what there is to know of one;
//! `proc:self` is the reader's own.

mod rows;

use super::text::{Subject, parse_number};
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
use rows::Rows;

pub(super) struct Proc;

impl<M: Machine> Scheme<M> for Proc {
    fn name(&self) -> &'static str {
        "proc"
    }

    fn open(&self, k: &mut Kernel<M>, caller: Caller, path: &str, flags: usize) -> Outcome<Opened> {
        let subject = find(k, caller, path)?;
        let is_file = matches!(subject, Subject::ProcessRow(..) | Subject::Descriptor(..));
        if flags & O_WRONLY != 0 && is_file {
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
        k.read_text(caller, number, into, at.offset, |k, subject| match subject {
            Subject::ProcessRow(pid, row) => {
                let process = k.find_process(pid).ok_or(Errno(ESRCH))?;
                Ok((Rows::<M>::ALL[row].read)(k, process))
            }
            Subject::Descriptor(pid, fd) => descriptor(k, pid, fd),
            _ => fail(EISDIR),
        })
    }

    fn close(&self, k: &mut Kernel<M>, number: usize) {
        k.texts.close(number);
    }

    fn ready(&self, _: &mut Kernel<M>, _: usize) -> EventFlags {
        EventFlags::EVENT_READ
    }

    fn path(&self, k: &mut Kernel<M>, number: usize) -> String {
        match k.texts.subject(number) {
            Ok(Subject::Process(pid)) => pid.to_string(),
            Ok(Subject::ProcessRow(pid, row)) => format!("{pid}/{}", Rows::<M>::ALL[row].name),
            Ok(Subject::Descriptors(pid)) => format!("{pid}/fd"),
            Ok(Subject::Descriptor(pid, fd)) => format!("{pid}/fd/{fd}"),
            _ => String::new(),
        }
    }

    fn stat(&self, k: &mut Kernel<M>, number: usize) -> Outcome<Stat> {
        let (subject, st_mode) = match k.texts.subject(number)? {
            s @ (Subject::ProcessRow(..) | Subject::Descriptor(..)) => (s, MODE_FILE | 0o444),
            s => (s, MODE_DIR | 0o555),
        };
        let owner = match subject {
            Subject::Process(pid)
            | Subject::ProcessRow(pid, _)
            | Subject::Descriptors(pid)
            | Subject::Descriptor(pid, _) => k.find_process(pid),
            _ => None,
        };
        let ids = owner.map(|process| k.processes[process.0].ids).unwrap_or_default();
        Ok(Stat { st_mode, st_nlink: 1, st_uid: ids.euid, st_gid: ids.egid, ..Stat::default() })
    }

    fn entry(&self, k: &mut Kernel<M>, number: usize, from: usize) -> Outcome<Option<Entry>> {
        match k.texts.subject(number)? {
            Subject::ProcessList => {
                // By number, so that a process that ends meanwhile hides no other.
                let pid = k.pids.keys().filter(|pid| **pid as usize >= from).min();
                Ok(pid.map(|pid| Entry::directory(*pid as usize, pid.to_string())))
            }
            Subject::Process(_) => Ok(match Rows::<M>::ALL.get(from) {
                Some(row) => Some(Entry::file(from, row.name)),
                None if from == Rows::<M>::ALL.len() => Some(Entry::directory(from, "fd")),
                None => None,
            }),
            Subject::Descriptors(pid) => {
                let process = k.find_process(pid).ok_or(Errno(ESRCH))?;
                let mut open = k.processes[process.0].files.iter();
                let fd = open.find(|(fd, _)| *fd >= from);
                Ok(fd.map(|(fd, _)| Entry::file(fd, fd.to_string())))
            }
            _ => fail(ENOTDIR),
        }
    }
}

/// What a path inside the scheme names. `ENOENT`.
fn find<M: Machine>(k: &Kernel<M>, caller: Caller, path: &str) -> Outcome<Subject> {
    if path.is_empty() {
        return Ok(Subject::ProcessList);
    }
    let (who, rest) = path.split_once('/').unwrap_or((path, ""));
    let pid = match who {
        "self" => k.processes[caller.process.0].pid,
        number => parse_number(number).ok_or(Errno(ENOENT))?,
    };
    let process = k.find_process(pid).ok_or(Errno(ENOENT))?;
    match rest.split_once('/') {
        None if rest.is_empty() => Ok(Subject::Process(pid)),
        None if rest == "fd" => Ok(Subject::Descriptors(pid)),
        Some(("fd", fd)) => {
            let fd = parse_number(fd).ok_or(Errno(ENOENT))?;
            k.processes[process.0].files.get(fd).map_err(|_| Errno(ENOENT))?;
            Ok(Subject::Descriptor(pid, fd))
        }
        _ => {
            let row = Rows::<M>::ALL.iter().position(|row| row.name == rest);
            row.map(|row| Subject::ProcessRow(pid, row)).ok_or(Stop::Error(Errno(ENOENT)))
        }
    }
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
