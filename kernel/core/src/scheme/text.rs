//! Files whose contents are text made when they are first read.
//!
//! A row is one file: name, help, how to read it, how to write it. Tables of rows are the
//! directories of `sys:` and `proc:PID`; listing one is the manual.

use super::RegisterSet;
use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::Machine;
use crate::memory::UserSlice;
use crate::table::Table;
use crate::task::Pid;
use crate::trace::{SessionId, ThreadKey};
use alloc::string::String;
use alloc::vec::Vec;
use core::str::FromStr;

/// A number in a path, which has one spelling: neither `+7` nor `007` is 7.
pub(super) fn parse_number<T: FromStr>(text: &str) -> Option<T> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let has_lead = text.len() > 1 && text.starts_with('0');
    (is_plain && !has_lead).then(|| text.parse().ok())?
}

/// What an open text file shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// The list of `sys:`.
    SysList,
    /// A row of `sys:`.
    Sys(usize),
    /// The list of `emergency:`.
    EmergencyList,
    /// A file of `emergency:`.
    Emergency(usize),
    /// The list of scheme names.
    SchemeList,
    /// The list of processes.
    ProcessList,
    /// The list of a process's files.
    Process(Pid),
    /// A row of a process.
    ProcessRow(Pid, usize),
    /// The list of a process's descriptors.
    Descriptors(Pid),
    /// One descriptor.
    Descriptor(Pid, usize),
    /// The list of a process's threads.
    Threads(Pid),
    /// The list of a thread's files.
    Thread(Pid, u32),
    /// A row of a thread.
    ThreadRow(ThreadKey, usize),
    /// The list of a thread's registers.
    RegisterList(ThreadKey),
    /// Some of a thread's registers.
    Registers(ThreadKey, RegisterSet),
    /// A tracer's file that is only looked at from outside.
    Outside(ThreadKey),
    /// A tracer's session.
    Trace(SessionId),
    /// A process's memory.
    Memory(usize),
    /// Samples of a process.
    Profile(usize),
    /// Processes that have crashed.
    Crashes,
}

struct OpenText {
    subject: Subject,
    snapshot: Option<String>,
}

/// Open files of `sys:` and `proc:`.
#[derive(Default)]
pub struct Texts {
    open: Table<OpenText>,
}

impl Texts {
    /// Opens a subject.
    pub fn open(&mut self, subject: Subject) -> usize {
        self.open.insert(OpenText { subject, snapshot: None })
    }

    /// Closes a file.
    pub fn close(&mut self, number: usize) {
        self.open.remove(number);
    }

    /// The open files whose subject `is_wanted`.
    pub fn showing(&self, is_wanted: fn(Subject) -> bool) -> Vec<usize> {
        let open = self.open.iter().filter(|(_, text)| is_wanted(text.subject));
        open.map(|(number, _)| number).collect()
    }

    /// What a file shows.
    pub fn subject(&self, number: usize) -> Outcome<Subject> {
        self.open.get(number).map(|text| text.subject).ok_or(Stop::Error(Errno(EBADF)))
    }
}

impl<M: Machine> Kernel<M> {
    /// Reads an open text at `offset`. The text is made by `render` on the first read, and again
    /// when somebody reads from the start again.
    pub(crate) fn read_text(
        &mut self,
        caller: Caller,
        number: usize,
        into: UserSlice,
        offset: u64,
        render: impl FnOnce(&mut Self, Subject) -> Outcome<String>,
    ) -> Outcome {
        let subject = self.texts.subject(number)?;
        let is_made = self.texts.open[number].snapshot.is_some();
        if !is_made || offset == 0 {
            let text = render(self, subject)?;
            self.texts.open[number].snapshot = Some(text);
        }
        let text = self.texts.open[number].snapshot.take().unwrap_or_default();
        let rest = text.as_bytes().get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(into.length);
        let copied = self.copy_out(caller.space, into, &rest[..count]);
        self.texts.open[number].snapshot = Some(text);
        copied.map(|()| count)
    }

    /// What a program wrote to a control file: at most a page of text.
    pub(crate) fn copy_in_command(&mut self, caller: Caller, from: UserSlice) -> Outcome<String> {
        if from.length > abi::PAGE_SIZE {
            return fail(E2BIG);
        }
        let bytes = self.copy_in_vec(caller.space, from)?;
        String::from_utf8(bytes).map_err(|_| Stop::Error(Errno(EINVAL)))
    }
}
