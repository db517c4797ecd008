//! `proc:PID/thread/TID/` — one thread: what it does and waits for, and who may look inside.

use super::registers::Set;
use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::log::Level;
use crate::machine::{Context, Machine};
use crate::scheme::Opened;
use crate::scheme::text::Subject;
use crate::task::{ProcessId, State, TaskId};
use crate::trace::MemoryFile;
use abi::redox::flag::*;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// One of a thread's files.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    Trace,
    Memory,
    Profile,
    RegisterList,
    Set(Set),
    Row(usize),
}

/// One text file of a thread.
pub(super) struct ThreadRow<M: Machine> {
    /// Its name.
    pub(super) name: &'static str,
    /// Whether only those may read it who may trace the thread.
    pub(super) is_guarded: bool,
    /// Makes its text.
    pub(super) read: fn(&mut Kernel<M>, TaskId) -> Outcome<String>,
}

/// All text files of a thread.
pub(super) struct ThreadRows<M>(core::marker::PhantomData<M>);

impl<M: Machine> ThreadRows<M> {
    pub(super) const ALL: &'static [ThreadRow<M>] = &[
        ThreadRow { name: "wait", is_guarded: false, read: wait },
        ThreadRow { name: "usage", is_guarded: false, read: usage },
        ThreadRow { name: "syscall", is_guarded: true, read: syscall },
        ThreadRow { name: "stack", is_guarded: true, read: super::stack::stack },
    ];
}

/// The names of a thread's files, and whether each is a directory. Memory belongs to the process,
/// and so do samples.
pub(super) fn names<M: Machine>(is_process: bool) -> impl Iterator<Item = (&'static str, bool)> {
    let rows = ThreadRows::<M>::ALL.iter().map(|row| (row.name, false));
    let whole = if is_process { &["mem", "profile"][..] } else { &[] };
    rows.chain(whole.iter().map(|name| (*name, false))).chain([("trace", false), ("regs", true)])
}

/// Whether the caller may take a process apart: root, or the same owner through and through.
/// `EPERM`, and a line in the log.
pub(super) fn check_authority<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    target: ProcessId,
) -> Outcome<()> {
    let (own, other) = (&k.processes[caller.process.0], &k.processes[target.0]);
    let (user, group) = (own.ids.euid, own.ids.egid);
    let is_same = [other.ids.ruid, other.ids.euid] == [user; 2]
        && [other.ids.rgid, other.ids.egid] == [group; 2];
    if user == 0 || is_same || caller.process == target {
        return Ok(());
    }
    let (pid, target) = (own.pid, other.pid);
    let own = &mut k.processes[caller.process.0];
    own.refusals += 1;
    let count = own.refusals;
    // A loop must not fill the log.
    if count.is_power_of_two() {
        k.log(
            Level::Warn,
            "trace",
            format_args!("process {pid} of user {user} may not trace process {target} ({count})"),
        );
    }
    fail(EPERM)
}

/// Opens what the caller may open.
pub(super) fn open<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    task: TaskId,
    wanted: Wanted,
    flags: usize,
) -> Outcome<Opened> {
    let key = k.thread_key(task);
    match wanted {
        Wanted::Trace => super::session::open(k, caller, task, flags),
        Wanted::Memory => {
            let process = k.process_key(k.tasks[task.0].process);
            let is_borrowed = flags & O_EXCL != 0;
            let memory = MemoryFile { process, is_borrowed, patches: Vec::new() };
            let memory = k.traces.memories.insert(memory);
            Opened::positioned(k.texts.open(Subject::Memory(memory)))
        }
        Wanted::Profile => super::profile::open(k, k.tasks[task.0].process),
        Wanted::Set(set) => Opened::positioned(k.texts.open(Subject::Registers(key, set))),
        Wanted::Row(_) if flags & O_WRONLY != 0 => fail(EACCES),
        Wanted::Row(row) => Opened::positioned(k.texts.open(Subject::ThreadRow(key, row))),
        Wanted::RegisterList => fail(EISDIR),
    }
}

/// What it waits for, and on whom.
fn wait<M: Machine>(k: &mut Kernel<M>, task: TaskId) -> Outcome<String> {
    let thread = &k.tasks[task.0];
    let state = match thread.state {
        State::Ready => "ready".to_string(),
        State::Running(cpu) => format!("running on {}", cpu.0),
        State::Parked(wait) => wait.reason.to_string(),
        State::Stopped => "stopped by a signal".to_string(),
        State::Traced => "stopped by its tracer".to_string(),
        State::Ending => "ending".to_string(),
    };
    let mut text = format!("state: {state}\n");
    if let State::Parked(_) = thread.state
        && let Some(deadline) = thread.unfinished.deadline
    {
        text += &format!("until: {deadline}\n");
    }
    let tracer = thread.session.map(|id| k.traces.sessions[id.0].tracer);
    if let Some(tag) = thread.unfinished.owed
        && let Some(server) = k.user_schemes.get(tag.scheme)
    {
        let daemon = server.daemon_space().and_then(|space| {
            let thread = k.tasks.iter().find(|(_, task)| task.space == space)?.1;
            Some(k.processes[thread.process.0].pid)
        });
        if let Some(pid) = daemon {
            text += &format!("daemon: {pid}\n");
        }
    }
    if let Some(pid) = tracer {
        text += &format!("tracer: {pid}\n");
    }
    Ok(text)
}

/// Time, in nanoseconds, and turns.
fn usage<M: Machine>(k: &mut Kernel<M>, task: TaskId) -> Outcome<String> {
    let [user, kernel] = k.ticks_of(task);
    let (user, kernel) = (k.machine.nanoseconds(user), k.machine.nanoseconds(kernel));
    let thread = &k.tasks[task.0];
    Ok(format!(
        "user: {user}\nkernel: {kernel}\nswitches: {}\ncpu: {}\n",
        thread.switches, thread.last_cpu.0
    ))
}

/// The call it is in: `name(argument, ..)`.
fn syscall<M: Machine>(k: &mut Kernel<M>, task: TaskId) -> Outcome<String> {
    let thread = &mut k.tasks[task.0];
    if !thread.unfinished.is_call() {
        return Ok("none\n".to_string());
    }
    let Some(context) = &thread.context else { return Ok("running\n".to_string()) };
    let call = context.call();
    let Some(known) = abi::call::find(call.number) else {
        return Ok(format!("{:#x}\n", call.number));
    };
    let arguments = call.arguments.iter().take(known.arguments.len());
    let arguments: Vec<String> = arguments.map(|value| format!("{value:#x}")).collect();
    Ok(format!("{}({})\n", known.name, arguments.join(", ")))
}
