//! Calls on processes and threads.

use super::Arguments;
use crate::error::*;
use crate::kernel::{Caller, Kernel};
use crate::machine::{Context, Machine};
use crate::memory::{Pages, UserSlice};
use crate::signal::AlternateStack;
use crate::task::{Ids, Pid, ProcessId, Reason, Standing, Wait};
use abi::number::{WCONTINUED, WLIVING, WNOHANG, WNOWAIT, WUNTRACED};
use abi::wait::{Change, Ended};
use abi::{PAGE_SIZE, USER_END, USER_START};

/// `status`
pub(super) fn exit<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let ended = Ended::Exited(a[0] as u8);
    k.stop_at_exit(caller.task, ended)?;
    k.end_process(caller.process, ended);
    Err(Stop::Replaced)
}

pub(super) fn fork<M: Machine>(k: &mut Kernel<M>, caller: Caller, _: Arguments) -> Outcome {
    k.fork(caller)
}

/// `*ExecArgs`
pub(super) fn exec<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    k.exec(caller, a[0])
}

/// `pid, *status, options`
pub(super) fn wait<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [wanted, status, options, ..] = a;
    let child_ended = k.processes[caller.process.0].child_ended;
    let (child, word) = match find_child(k, caller, wanted as isize, options) {
        Found::Ended(child, ended) => (child, ended.status()),
        Found::Changed(child, change) => (child, change.status()),
        Found::Alive if options & WNOHANG != 0 => return Ok(0),
        Found::Alive => return Err(Stop::Park(Wait::on(Reason::Child, child_ended))),
        Found::None => return fail(ECHILD),
    };
    if status != 0 {
        // Copy first: a bad pointer must not lose the child.
        k.copy_out_exact(caller.space, status, &word.to_ne_bytes())?;
    }
    let record = &mut k.processes[child.0];
    let pid = record.pid as usize;
    match record.standing {
        _ if options & WNOWAIT != 0 => {}
        Standing::Zombie(_) => {
            let (own, of_children) = (record.past, record.reaped);
            let reaped = &mut k.processes[caller.process.0].reaped;
            reaped.add(own);
            reaped.add(of_children);
            k.forget_zombie(child);
        }
        _ => record.change = None,
    }
    Ok(pid)
}

/// What there is among the caller's children.
enum Found {
    /// None that was asked for.
    None,
    /// Some, but none that has ended.
    Alive,
    /// One that has ended.
    Ended(ProcessId, Ended),
    /// One that has stopped or goes on, and that was asked for.
    Changed(ProcessId, Change),
}

/// What `wait` with these options finds in a child.
fn look_at<M: Machine>(k: &Kernel<M>, child: ProcessId, options: usize) -> Found {
    let record = &k.processes[child.0];
    let is_wanted = |change: &Change| match change {
        Change::Stopped(_) => options & WUNTRACED != 0,
        Change::Continued => options & WCONTINUED != 0,
    };
    match (record.standing, record.change.filter(is_wanted)) {
        (Standing::Zombie(_), _) if options & WLIVING != 0 => Found::None,
        (Standing::Zombie(ended), _) => Found::Ended(child, ended),
        (_, Some(change)) => Found::Changed(child, change),
        _ => Found::Alive,
    }
}

/// The child that `wait` asks for: by its number, or the first of a group that there is something
/// to tell about.
fn find_child<M: Machine>(k: &Kernel<M>, caller: Caller, wanted: isize, options: usize) -> Found {
    let own = &k.processes[caller.process.0];
    if wanted > 0 {
        let child = Pid::try_from(wanted).ok().and_then(|pid| k.find_process(pid));
        let is_own = |child: &ProcessId| k.processes[child.0].parent == own.pid;
        return child.filter(is_own).map_or(Found::None, |child| look_at(k, child, options));
    }
    let mut found = Found::None;
    for child in own.children.iter().filter_map(|pid| k.find_process(*pid)) {
        let record = &k.processes[child.0];
        let fits = match wanted {
            -1 => true,
            0 => record.group == own.group,
            group => -(record.group as isize) == group,
        };
        if fits {
            match look_at(k, child, options) {
                Found::None => {}
                Found::Alive => found = Found::Alive,
                there => return there,
            }
        }
    }
    found
}

pub(super) fn pid<M: Machine>(k: &mut Kernel<M>, caller: Caller, _: Arguments) -> Outcome {
    Ok(k.processes[caller.process.0].pid as usize)
}

pub(super) fn parent<M: Machine>(k: &mut Kernel<M>, caller: Caller, _: Arguments) -> Outcome {
    Ok(k.processes[caller.process.0].parent as usize)
}

pub(super) fn tid<M: Machine>(k: &mut Kernel<M>, caller: Caller, _: Arguments) -> Outcome {
    Ok(k.tasks[caller.task.0].tid as usize)
}

/// The process that a register names.
fn find<M: Machine>(k: &Kernel<M>, pid: usize) -> Option<ProcessId> {
    k.find_process(Pid::try_from(pid).ok()?)
}

/// The process with number `pid`, or the caller's for 0. `ESRCH`.
fn process_or_self<M: Machine>(k: &Kernel<M>, caller: Caller, pid: usize) -> Outcome<ProcessId> {
    match pid {
        0 => Ok(caller.process),
        pid => find(k, pid).ok_or(Stop::Error(Errno(ESRCH))),
    }
}

/// `pid`
pub(super) fn group<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let process = process_or_self(k, caller, a[0])?;
    Ok(k.processes[process.0].group as usize)
}

/// `pid, group`
pub(super) fn set_group<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let process = process_or_self(k, caller, a[0])?;
    let own = &k.processes[caller.process.0];
    let (own_pid, own_session) = (own.pid, own.session);
    let record = &k.processes[process.0];
    let group = match Pid::try_from(a[1]) {
        Ok(0) => record.pid,
        Ok(group) => group,
        Err(_) => return fail(EINVAL),
    };
    if record.pid != own_pid && record.parent != own_pid {
        return fail(ESRCH);
    }
    let exists =
        k.processes.iter().any(|(_, other)| other.group == group && other.session == own_session);
    if record.session != own_session || record.session == record.pid {
        return fail(EPERM);
    }
    if group != record.pid && !exists {
        return fail(EPERM);
    }
    k.processes[process.0].group = group;
    Ok(0)
}

/// `pid`
pub(super) fn session<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let process = process_or_self(k, caller, a[0])?;
    Ok(k.processes[process.0].session as usize)
}

pub(super) fn set_session<M: Machine>(k: &mut Kernel<M>, caller: Caller, _: Arguments) -> Outcome {
    let record = &mut k.processes[caller.process.0];
    if record.group == record.pid && record.session != record.pid {
        return fail(EPERM);
    }
    record.session = record.pid;
    record.group = record.pid;
    Ok(record.pid as usize)
}

/// `*mut [u32; 4]`
pub(super) fn ids<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let Ids { ruid, euid, rgid, egid } = k.processes[caller.process.0].ids;
    let mut bytes = [0; 16];
    for (index, id) in [ruid, euid, rgid, egid].iter().enumerate() {
        bytes[index * 4..index * 4 + 4].copy_from_slice(&id.to_ne_bytes());
    }
    k.copy_out_exact(caller.space, a[0], &bytes)?;
    Ok(0)
}

/// `*const [u32; 4]`
pub(super) fn set_ids<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [low, high] = k.copy_in_words(caller.space, a[0])?;
    let wanted = [low as u32, (low >> 32) as u32, high as u32, (high >> 32) as u32];
    let old = k.processes[caller.process.0].ids;
    let have = [old.ruid, old.euid, old.rgid, old.egid];
    let mut new = have;
    for index in 0..4 {
        let keep = wanted[index] == u32::MAX;
        let pair = index & !1;
        let is_own = wanted[index] == have[pair] || wanted[index] == have[pair + 1];
        if keep {
            continue;
        }
        if old.euid != 0 && !is_own {
            return fail(EPERM);
        }
        new[index] = wanted[index];
    }
    let [ruid, euid, rgid, egid] = new;
    k.processes[caller.process.0].ids = Ids { ruid, euid, rgid, egid };
    Ok(0)
}

/// `path, length`
pub(super) fn change_directory<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    a: Arguments,
) -> Outcome {
    let path = k.copy_path(caller.space, a[0], a[1])?;
    if !path.starts_with('/') && crate::namespace::split_scheme(&path).is_none() {
        return fail(EINVAL);
    }
    k.processes[caller.process.0].cwd = path;
    Ok(0)
}

/// `buffer, length`
pub(super) fn directory<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let cwd = k.processes[caller.process.0].cwd.clone();
    if a[1] < cwd.len() {
        return fail(ERANGE);
    }
    k.copy_out(caller.space, UserSlice::new(a[0], a[1])?, cwd.as_bytes())?;
    Ok(cwd.len())
}

/// `mask`
pub(super) fn umask<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    const PERMISSIONS: usize = 0o777;
    let mask = &mut k.processes[caller.process.0].umask;
    let old = *mask;
    if a[0] <= PERMISSIONS {
        *mask = a[0] as u32;
    }
    Ok(old as usize)
}

/// `entry, stack, argument, fs base, signal stack, its size`
pub(super) fn thread_new<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [entry, stack, argument, thread_pointer, signal_stack, size] = a;
    UserSlice::new(entry, 1)?;
    let alternate = AlternateStack::new(signal_stack, size)?;
    if stack > USER_END || thread_pointer > USER_END {
        return fail(EINVAL);
    }
    if !k.has_room_for_task() {
        return fail(EAGAIN);
    }
    k.check_clone(caller.task)?;
    let mut context = M::Context::start(entry, stack);
    context.set_argument(0, argument);
    context.set_thread_pointer(thread_pointer);
    let mask = k.tasks[caller.task.0].signals.mask;
    let account = k.account_from(caller.task);
    let task = k.add_thread(caller.process, context, account);
    let tid = k.tasks[task.0].tid as usize;
    k.tasks[task.0].context().set_argument(1, tid);
    let signals = &mut k.tasks[task.0].signals;
    (signals.mask, signals.alternate) = (mask, alternate);
    k.made_thread(caller.task, task);
    Ok(tid)
}

/// `address, length, *done`
pub(super) fn thread_exit<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [address, length, done, ..] = a;
    k.stop_at_exit(caller.task, Ended::Exited(0))?;
    if done != 0 {
        k.clear_and_wake(caller, done)?;
    }
    let end = address.saturating_add(length);
    let is_good = length > 0
        && address % PAGE_SIZE == 0
        && length % PAGE_SIZE == 0
        && address >= USER_START
        && end <= USER_END;
    if is_good {
        let pages = Pages::covering(address, length);
        if !k.spaces[caller.space.0].is_reserved(pages) {
            k.unmap_pages(caller.space, pages);
        }
    }
    k.end_thread(caller.task);
    Err(Stop::Replaced)
}
