//! The text files of a process.

use super::{limits, names, priority};
use crate::error::Outcome;
use crate::kernel::{Caller, Kernel};
use crate::machine::{Access, Machine};
use crate::memory::Kind;
use crate::task::{ProcessId, Standing, State};
use abi::PAGE_SIZE;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};

/// One file of `proc:PID/`.
pub(super) struct Row<M: Machine> {
    /// Its name.
    pub(super) name: &'static str,
    /// Makes its text.
    pub(super) read: fn(&mut Kernel<M>, ProcessId) -> String,
    /// Obeys what is written, where that means something.
    pub(super) write: Option<Write<M>>,
}

type Write<M> = fn(&mut Kernel<M>, Caller, ProcessId, &str) -> Outcome<()>;

impl<M: Machine> Row<M> {
    const fn text(name: &'static str, read: fn(&mut Kernel<M>, ProcessId) -> String) -> Self {
        Self { name, read, write: None }
    }
}

/// All files of `proc:PID/`.
pub(super) struct Rows<M>(core::marker::PhantomData<M>);

impl<M: Machine> Rows<M> {
    pub(super) const ALL: &'static [Row<M>] = &[
        Row::text("status", status),
        Row::text("name", |k, p| k.processes[p.0].name().to_owned() + "\n"),
        Row::text("cmdline", |k, p| {
            String::from_utf8_lossy(&k.processes[p.0].command_line).into_owned()
        }),
        Row::text("exe", |k, p| k.processes[p.0].exe.clone() + "\n"),
        Row::text("cwd", |k, p| k.processes[p.0].cwd.clone() + "\n"),
        Row::text("maps", maps),
        Row { name: "limits", read: limits::read, write: Some(limits::write) },
        Row { name: "priority", read: priority::read, write: Some(priority::write) },
        Row { name: "names", read: names::read, write: Some(names::write) },
    ];
}

/// `key: value` lines. Time is in nanoseconds, memory in bytes.
fn status<M: Machine>(k: &mut Kernel<M>, process: ProcessId) -> String {
    let record = &k.processes[process.0];
    let first = record.threads.first().map(|task| &k.tasks[task.0]);
    let state = match (record.standing, first) {
        (Standing::Zombie(_), _) | (_, None) => "Z (ended)".to_owned(),
        (_, Some(task)) => match task.state {
            State::Parked(_) => format!("{} (parked)", task.letter()),
            State::Stopped => "T (stopped)".to_owned(),
            State::Traced => "t (traced)".to_owned(),
            State::Running(_) => "R+ (running)".to_owned(),
            _ => "R (ready)".to_owned(),
        },
    };
    let wait = record.threads.first().and_then(|task| k.parked_reason(*task));
    let wait = wait.map_or_else(|| "-".to_owned(), |reason| reason.to_string());
    let ([mut user, mut kernel], mut switches) = (record.past.ticks, 0);
    for task in &record.threads {
        let ticks = k.ticks_of(*task);
        user += ticks[0];
        kernel += ticks[1];
        switches += k.tasks[task.0].switches;
    }
    let of_first = |mask: fn(&crate::signal::TaskSignals<M>) -> u64| {
        first.map_or(0, |task| mask(&task.signals))
    };
    let pending = of_first(|signals| signals.pending.mask()) | record.signals.pending.mask();
    let blocked = of_first(|signals| signals.mask);
    let (ignored, caught) = record.signals.dispositions();
    let space = record.space.and_then(|space| k.spaces.get(space.0));
    let present =
        |kinds: &[Kind]| space.map_or(0, |space| space.present_of(&k.machine, kinds) * PAGE_SIZE);
    let shared = present(&[Kind::Shared, Kind::Wired]);
    // What others depend on never leaves memory.
    let wired = match k.is_essential(record) {
        true => space.map_or(0, |space| space.resident * PAGE_SIZE),
        false => present(&[Kind::Wired, Kind::Window]),
    };
    let ids = record.ids;
    let session = first.and_then(|task| task.session);
    let tracer = session.map_or(0, |id| k.traces.sessions[id.0].tracer);
    format!(
        "Name: {}\nState: {state}\nPid: {}\nPPid: {}\nPgid: {}\nSession: {}\nUid: {} {}\n\
         Gid: {} {}\nThreads: {}\nPriority: {}\nTracer: {tracer}\nCpu: {}\nWait: {wait}\n\
         UserTime: {}\nKernelTime: {}\nChildUserTime: {}\nChildKernelTime: {}\n\
         Started: {}\nSwitches: {switches}\nResident: {}\nPeak: {}\nChildPeak: {}\nShared: {shared}\nWired: {wired}\nEvacuated: {}\nVirtual: {}\nDescriptors: {}\n\
         Umask: {:04o}\nSigPnd: {pending:016x}\nSigBlk: {blocked:016x}\nSigIgn: {ignored:016x}\n\
         SigCgt: {caught:016x}\n",
        record.name(),
        record.pid,
        record.parent,
        record.group,
        record.session,
        ids.ruid,
        ids.euid,
        ids.rgid,
        ids.egid,
        record.threads.len(),
        record.priority.number(),
        first.map_or(0, |task| task.last_cpu.0),
        k.machine.nanoseconds(user),
        k.machine.nanoseconds(kernel),
        k.machine.nanoseconds(record.reaped.ticks[0]),
        k.machine.nanoseconds(record.reaped.ticks[1]),
        record.started_ns,
        space.map_or(0, |space| space.resident * PAGE_SIZE),
        space.map_or(0, |space| space.peak()).max(record.past.peak) * PAGE_SIZE,
        record.reaped.peak * PAGE_SIZE,
        space.map_or(0, |space| space.evacuated * PAGE_SIZE),
        space.map_or(0, |space| space.virtual_bytes()),
        record.files.iter().count(),
        record.umask,
    )
}

/// One line for each run of pages that are alike: addresses, rights, kind; place and name of the
/// file, where there is one.
fn maps<M: Machine>(k: &mut Kernel<M>, process: ProcessId) -> String {
    let space = k.processes[process.0].space.and_then(|space| k.spaces.get(space.0));
    let Some(space) = space else { return String::new() };
    let mut text = String::new();
    for region in space.regions() {
        let letter = |right, letter| if region.access.contains(right) { letter } else { '-' };
        let rights = [(Access::READ, 'r'), (Access::WRITE, 'w'), (Access::EXECUTE, 'x')];
        let rights: String = rights.map(|(right, shown)| letter(right, shown)).iter().collect();
        for (pages, origin) in space.pieces(region) {
            let (start, end) = (pages.start.start(), pages.end.start());
            text += &format!("{start:012x}-{end:012x} {rights} {}", region.kind.name());
            if let Some(origin) = origin {
                text += &format!(" {:#x} {}", origin.offset, origin.name);
            }
            text.push('\n');
        }
    }
    text
}
