//! Calls about signals.

use super::Arguments;
use crate::error::*;
use crate::kernel::{Caller, Kernel, info_bytes};
use crate::machine::{Context, Machine};
use crate::memory::UserSlice;
use crate::signal::{AlternateStack, UNSTOPPABLE, is_signal};
use crate::task::{Pid, ProcessId, Reason, Standing, Wait};
use abi::signal::{
    SI_QUEUE, SI_USER, SIG_DFL, SIG_IGN, SIGCONT, SIGKILL, SIGSTOP, SS_DISABLE, SS_ONSTACK,
    SigAction, SigInfo, is_queued,
};
use alloc::vec::Vec;

/// `pid, signal`
pub(super) fn kill<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let (wanted, signal) = (a[0] as isize, a[1]);
    if signal != 0 && !is_signal(signal) {
        return fail(EINVAL);
    }
    let own = &k.processes[caller.process.0];
    let (own_pid, own_group) = (own.pid, own.group);
    let fits = |pid: Pid, group: Pid| match wanted {
        -1 => pid > 1 && pid != own_pid,
        0 => group == own_group,
        wanted if wanted > 0 => pid as isize == wanted,
        wanted => -(group as isize) == wanted,
    };
    let targets: Vec<ProcessId> = k
        .processes
        .iter()
        .filter(|(_, record)| fits(record.pid, record.group))
        .map(|(index, _)| ProcessId(index))
        .collect();
    if targets.is_empty() {
        return fail(ESRCH);
    }
    let allowed: Vec<ProcessId> =
        targets.into_iter().filter(|target| may_signal(k, caller, *target, signal)).collect();
    if allowed.is_empty() {
        return fail(EPERM);
    }
    if signal == 0 {
        return Ok(0);
    }
    let info = user_info(k, caller, signal);
    // The caller last: its own end must not keep the others from hearing.
    for target in allowed.iter().filter(|target| **target != caller.process) {
        k.signal_process(*target, info);
    }
    if allowed.contains(&caller.process) {
        k.signal_process(caller.process, info);
    }
    Ok(0)
}

/// Root may signal everybody, others their own; `SIGCONT` goes anywhere in the session. PID 1 is
/// not for killing.
fn may_signal<M: Machine>(k: &Kernel<M>, caller: Caller, target: ProcessId, signal: usize) -> bool {
    let (own, other) = (&k.processes[caller.process.0], &k.processes[target.0]);
    if other.pid == 1 && matches!(signal, SIGKILL | SIGSTOP) {
        return false;
    }
    own.ids.euid == 0
        || own.ids.euid == other.ids.ruid
        || own.ids.ruid == other.ids.ruid
        || signal == SIGCONT && own.session == other.session
}

fn user_info<M: Machine>(k: &Kernel<M>, caller: Caller, signal: usize) -> SigInfo {
    let own = &k.processes[caller.process.0];
    SigInfo {
        signo: signal as i32,
        code: SI_USER,
        pid: own.pid as i32,
        uid: own.ids.ruid,
        ..SigInfo::default()
    }
}

/// `pid, signal, value`
pub(super) fn queue<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [pid, signal, value, ..] = a;
    if signal != 0 && !is_signal(signal) {
        return fail(EINVAL);
    }
    let found = Pid::try_from(pid).ok().and_then(|pid| k.find_process(pid));
    let target = found.ok_or(Errno(ESRCH))?;
    if !may_signal(k, caller, target, signal) {
        return fail(EPERM);
    }
    if signal == 0 {
        return Ok(0);
    }
    let info = SigInfo { code: SI_QUEUE, value, ..user_info(k, caller, signal) };
    match k.signal_process(target, info) || !is_queued(signal) {
        true => Ok(0),
        false => fail(EAGAIN),
    }
}

/// `process, thread, signal`
pub(super) fn kill_thread<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [pid, tid, signal, ..] = a;
    let tid = u32::try_from(tid).map_err(|_| Errno(ESRCH))?;
    let task = k.tids.get(&tid).copied().ok_or(Errno(ESRCH))?;
    let process = k.tasks[task.0].process;
    if k.processes[process.0].pid as usize != pid
        || k.processes[process.0].standing != Standing::Alive
    {
        return fail(ESRCH);
    }
    if signal != 0 && !is_signal(signal) {
        return fail(EINVAL);
    }
    if !may_signal(k, caller, process, signal) {
        return fail(EPERM);
    }
    if signal != 0 {
        let info = user_info(k, caller, signal);
        k.signal_task(task, info);
    }
    Ok(0)
}

/// `signal, *new, *old`
pub(super) fn action<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [signal, new, old, ..] = a;
    if !is_signal(signal) {
        return fail(EINVAL);
    }
    let mut wanted = None;
    if new != 0 {
        if matches!(signal, SIGKILL | SIGSTOP) {
            return fail(EINVAL);
        }
        let [handler, flags, mask, restorer] = k.copy_in_words(caller.space, new)?;
        if !matches!(handler, SIG_DFL | SIG_IGN) {
            // Whether there is code shows when it runs, but it must not be the kernel's half.
            UserSlice::new(handler, 1).map_err(|_| Errno(EINVAL))?;
        }
        wanted = Some(SigAction { handler, flags, mask: mask as u64, restorer });
    }
    if old != 0 {
        let have = k.processes[caller.process.0].signals.action(signal);
        let words = [have.handler, have.flags, have.mask as usize, have.restorer];
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        k.copy_out_exact(caller.space, old, &bytes)?;
    }
    if let Some(wanted) = wanted {
        k.processes[caller.process.0].signals.set_action(signal, wanted);
    }
    Ok(0)
}

/// `how, *new, *old`
pub(super) fn mask<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [how, new, old, ..] = a;
    let have = k.tasks[caller.task.0].signals.mask;
    let mut wanted = have;
    if new != 0 {
        let [set] = k.copy_in_words(caller.space, new)?;
        wanted = match how {
            0 => have | set as u64,
            1 => have & !(set as u64),
            2 => set as u64,
            _ => return fail(EINVAL),
        };
    }
    if old != 0 {
        k.copy_out_exact(caller.space, old, &have.to_ne_bytes())?;
    }
    let thread = &mut k.tasks[caller.task.0];
    thread.signals.mask = wanted & !UNSTOPPABLE;
    k.demand_attention(caller.task);
    Ok(0)
}

pub(super) fn return_from<M: Machine>(k: &mut Kernel<M>, caller: Caller, _: Arguments) -> Outcome {
    k.return_from_handler(caller)
}

/// `*mut u64`
pub(super) fn pending<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let own = k.tasks[caller.task.0].signals.pending.mask();
    let process = k.processes[caller.process.0].signals.pending.mask();
    k.copy_out_exact(caller.space, a[0], &(own | process).to_ne_bytes())?;
    Ok(0)
}

/// `*const SignalStack or 0, *mut SignalStack or 0`
pub(super) fn alternate_stack<M: Machine>(
    k: &mut Kernel<M>,
    caller: Caller,
    a: Arguments,
) -> Outcome {
    let [new, old, ..] = a;
    let thread = &mut k.tasks[caller.task.0];
    let have = thread.signals.alternate;
    let pointer = thread.context().stack_pointer();
    let is_used = have.is_some_and(|stack| stack.holds(pointer));
    let wanted = match new {
        0 => have,
        new => {
            let [address, flags, size] = k.copy_in_words(caller.space, new)?;
            match flags as u32 as usize {
                _ if is_used => return fail(EPERM),
                SS_DISABLE => None,
                0 | SS_ONSTACK => match AlternateStack::new(address, size)? {
                    None => return fail(ENOMEM),
                    stack => stack,
                },
                _ => return fail(EINVAL),
            }
        }
    };
    if old != 0 {
        let (address, size) = have.map_or((0, 0), |stack| (stack.address, stack.size));
        let flags = match (have, is_used) {
            (None, _) => SS_DISABLE,
            (_, true) => SS_ONSTACK,
            (_, false) => 0,
        };
        let bytes: Vec<u8> = [address, flags, size].iter().flat_map(|w| w.to_ne_bytes()).collect();
        k.copy_out_exact(caller.space, old, &bytes)?;
    }
    k.tasks[caller.task.0].signals.alternate = wanted;
    Ok(0)
}

/// Gives a thread another mask until its call has ended. A call that runs again has it already.
fn lend_mask<M: Machine>(k: &mut Kernel<M>, caller: Caller, set: usize) {
    let signals = &mut k.tasks[caller.task.0].signals;
    if signals.suspended_mask.is_none() {
        signals.suspended_mask = Some(signals.mask);
        signals.mask = set as u64 & !UNSTOPPABLE;
        k.demand_attention(caller.task);
    }
}

/// `*const u64 mask`: parks until a handler has run, with another mask meanwhile.
pub(super) fn suspend<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [set] = k.copy_in_words(caller.space, a[0])?;
    lend_mask(k, caller, set);
    Err(Stop::Park(Wait::alone(Reason::Signal)))
}

/// `fd, buffer, length, *const u64 mask`: reads, with another mask while it waits.
pub(super) fn read_masked<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [set] = k.copy_in_words(caller.space, a[3])?;
    lend_mask(k, caller, set);
    let outcome = super::file::read(k, caller, a);
    if !matches!(outcome, Err(Stop::Park(_))) {
        k.take_mask_back(caller.task);
    }
    outcome
}

/// `*const u64 set, *mut SigInfo or 0, *const TimeSpec or 0`: takes a signal of the set, once there is
/// one.
pub(super) fn wait<M: Machine>(k: &mut Kernel<M>, caller: Caller, a: Arguments) -> Outcome {
    let [set, place, timeout, ..] = a;
    let [set] = k.copy_in_words(caller.space, set)?;
    let set = set as u64 & !UNSTOPPABLE;
    let deadline = match timeout {
        0 => None,
        timeout => {
            let timeout = super::copy_in_time(k, caller, timeout)?;
            Some(k.deadline(caller.task, timeout))
        }
    };
    if let Some(info) = pending_of(k, caller, set) {
        let info = k.with_missed(caller.process, info);
        if place != 0 {
            k.copy_out_exact(caller.space, place, &info_bytes(&info))?;
        }
        k.tasks[caller.task.0].signals.awaited = 0;
        k.take_signal(caller.task, info.signo as usize);
        return Ok(info.signo as usize);
    }
    if deadline.is_some_and(|deadline| k.now() >= deadline) {
        k.tasks[caller.task.0].signals.awaited = 0;
        return fail(EAGAIN);
    }
    k.tasks[caller.task.0].signals.awaited = set;
    k.park_until(caller.task, Wait::alone(Reason::Signal), deadline)
}

/// The lowest pending signal of a set.
fn pending_of<M: Machine>(k: &Kernel<M>, caller: Caller, set: u64) -> Option<SigInfo> {
    let own = &k.tasks[caller.task.0].signals.pending;
    let process = &k.processes[caller.process.0].signals.pending;
    let candidates = (own.mask() | process.mask()) & set;
    let signal = candidates.trailing_zeros() as usize + 1;
    own.find(signal).or_else(|| process.find(signal)).filter(|_| candidates != 0)
}
